//! Who we are to a registry: given on the command line, or found in the files and helpers of podman and docker.
//!
//! `credential-helpers` of containers-registries.conf(5) says in which order helpers and files are asked.
//! Files are asked in order, and in each of them, as containers-auth.json(5) says: the helper of the registry, the
//! entry of the longest prefix of `host/namespace/repository`, an entry whose key is a URL of the host (docker's
//! older form), the general store. Nothing here can be printed with its secret.

mod auth_file;
mod helper;
mod key;
mod keyring;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use docker_credential::DockerCredential;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value, json};

pub use self::helper::HelperFailure;
pub use self::key::{Key, KeyError};
pub use self::keyring::{Kept, Keyring};

/// What stands for the files among the helpers of containers-registries.conf(5).
const FILES: &str = "containers-auth.json";

/// Where credentials come from, in the order of precedence.
#[derive(Clone, Default)]
pub struct Credentials {
    /// User and password typed by the user. A client gives them to the first registry that wants some, for which
    /// nothing else is asked, and to no other.
    pub explicit: Option<(String, String)>,
    /// A file the user named: it must exist, and the other files are not asked.
    pub required_file: Option<PathBuf>,
    /// Files of containers-auth.json(5) and of docker's config.json that may be missing.
    pub files: Vec<PathBuf>,
    /// Who is asked, in order: helpers by name, and `containers-auth.json` for the files. Empty: the files alone.
    pub helpers: Vec<String>,
}

/// What a registry is shown.
#[derive(Clone, PartialEq, Eq)]
pub enum Credential {
    /// A user name with a password or an access token.
    Password {
        /// The name.
        user: String,
        /// The secret.
        password: String,
    },
    /// A refresh token, traded for access tokens by POST.
    IdentityToken(String),
}

/// Credentials that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file exists or must, and cannot be opened.
    #[error("credential file {path} is not accessible")]
    Inaccessible {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// The file is not JSON of the known form. The parser's own words could hold a secret.
    #[error("credential file {path} cannot be read (line {line})")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Where the parser stopped.
        line: usize,
    },
    /// The entry for the registry has no user and password in it.
    #[error("credential file {path} has an unreadable entry {key}")]
    Entry {
        /// The file.
        path: PathBuf,
        /// The entry's key.
        key: String,
    },
    /// The file cannot be replaced.
    #[error("credential file {path} cannot be written")]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// A helper is to keep what is for a part of a registry.
    #[error("docker-credential-{helper} keeps credentials of whole registries, and not those of {key}")]
    Namespaced {
        /// What the credentials are for.
        key: String,
        /// The helper's name.
        helper: String,
    },
    /// A credential helper cannot be run or failed.
    #[error(transparent)]
    Helper(#[from] HelperFailure),
}

#[derive(Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct File {
    #[serde(deserialize_with = "entries")]
    auths: BTreeMap<String, Map<String, Value>>,
    #[serde(deserialize_with = "or_empty")]
    creds_store: String,
    #[serde(deserialize_with = "or_empty")]
    cred_helpers: BTreeMap<String, String>,
}

/// `null` is nothing, as for Go.
fn or_empty<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(from: D) -> Result<T, D::Error> {
    Option::deserialize(from).map(Option::unwrap_or_default)
}

fn entries<'de, D: Deserializer<'de>>(from: D) -> Result<BTreeMap<String, Map<String, Value>>, D::Error> {
    let entries: BTreeMap<String, Option<Map<String, Value>>> = or_empty(from)?;
    Ok(entries.into_iter().map(|(key, entry)| (key, entry.unwrap_or_default())).collect())
}

impl Credentials {
    /// Refuses a named file that is not there, before anything is asked for.
    pub(super) fn check(&self) -> Result<(), Error> {
        match &self.required_file {
            Some(path) => read(path).map(|_| ()),
            None => Ok(()),
        }
    }

    /// Finds the credential for a repository. Reads files and runs helpers: it blocks.
    pub fn find(&self, registry: &str, repository: &str) -> Result<Option<Credential>, Error> {
        if let Some((user, password)) = &self.explicit {
            return Ok(Some(Credential::Password { user: user.clone(), password: password.clone() }));
        }
        let mut failure = None;
        for place in places(&self.helpers) {
            let found = match place {
                FILES => self.find_in_files(registry, repository),
                helper => helper::get(helper, registry).map_err(Error::from),
            };
            match found {
                Ok(Some(credential)) => return Ok(Some(credential)),
                Ok(None) => {}
                // Another place may have some.
                Err(Error::Helper(broken)) => failure = failure.or(Some(broken)),
                Err(error) => return Err(error),
            }
        }
        failure.map_or(Ok(None), |failure| Err(failure.into()))
    }

    fn find_in_files(&self, registry: &str, repository: &str) -> Result<Option<Credential>, Error> {
        if let Some(path) = &self.required_file {
            return parse(path, &read(path)?)?.find(path, registry, repository);
        }
        for path in &self.files {
            let Some(text) = missing_is_none(read(path))? else { continue };
            if let Some(credential) = parse(path, &text)?.find(path, registry, repository)? {
                return Ok(Some(credential));
            }
        }
        Ok(None)
    }
}

/// Who is asked, in order.
fn places(helpers: &[String]) -> Vec<&str> {
    if helpers.is_empty() { vec![FILES] } else { helpers.iter().map(String::as_str).collect() }
}

fn read(path: &Path) -> Result<Vec<u8>, Error> {
    std::fs::read(path).map_err(|source| Error::Inaccessible { path: path.to_owned(), source })
}

fn missing_is_none(read: Result<Vec<u8>, Error>) -> Result<Option<Vec<u8>>, Error> {
    match read {
        Err(Error::Inaccessible { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => Ok(None),
        other => other.map(Some),
    }
}

/// An empty file is what `podman login` finds after a crash, and means no credentials there.
fn parse(path: &Path, text: &[u8]) -> Result<File, Error> {
    if text.trim_ascii().is_empty() {
        return Ok(File::default());
    }
    serde_json::from_slice(text).map_err(|error| Error::Malformed { path: path.to_owned(), line: error.line() })
}

impl File {
    fn find(&self, path: &Path, registry: &str, repository: &str) -> Result<Option<Credential>, Error> {
        if let Some((server, name)) = self.helper(registry)
            && let Some(credential) = helper::get(name, server)?
        {
            return Ok(Some(credential));
        }
        if let Some((key, entry)) = self.entry(registry, repository) {
            return decode(entry).map(Some).ok_or_else(|| Error::Entry { path: path.to_owned(), key: key.clone() });
        }
        if self.creds_store.is_empty() {
            return Ok(None);
        }
        for server in servers(registry) {
            if let Some(credential) = helper::get(&self.creds_store, server)? {
                return Ok(Some(credential));
            }
        }
        Ok(None)
    }

    /// The helper that keeps what is for the registry, after what it calls it.
    fn keeper<'a>(&'a self, registry: &'a str) -> Option<(&'a str, &'a str)> {
        let store = servers(registry).first().map(|server| (*server, self.creds_store.as_str()));
        self.helper(registry).or_else(|| store.filter(|(_, name)| !name.is_empty()))
    }

    fn helper(&self, registry: &str) -> Option<(&str, &str)> {
        let found = servers(registry).into_iter().find_map(|server| self.cred_helpers.get_key_value(server));
        found.map(|(server, name)| (server.as_str(), name.as_str())).filter(|(_, name)| !name.is_empty())
    }

    fn entry(&self, registry: &str, repository: &str) -> Option<(&String, &Map<String, Value>)> {
        let filled = |(_, entry): &(&String, &Map<String, Value>)| has_secret(entry);
        let exact = prefixes(registry, repository)
            .into_iter()
            .find_map(|prefix| self.auths.get_key_value(&prefix).filter(filled));
        let same_host = |key: &str| canonical(host_of(key)) == canonical(registry);
        exact.or_else(|| self.auths.iter().filter(filled).find(|(key, _)| same_host(key)))
    }
}

/// `host/a/b`, `host/a`, `host`: the most specific key first.
fn prefixes(registry: &str, repository: &str) -> Vec<String> {
    let full = format!("{registry}/{repository}");
    let shorter = full.rmatch_indices('/').map(|(end, _)| full[..end].to_owned());
    std::iter::once(full.clone()).chain(shorter).collect()
}

/// The names a registry may have in a file of docker's; Docker Hub has four.
fn servers(registry: &str) -> Vec<&str> {
    match canonical(registry) {
        "docker.io" => vec!["https://index.docker.io/v1/", "docker.io", "index.docker.io", "registry-1.docker.io"],
        other => vec![other],
    }
}

fn canonical(registry: &str) -> &str {
    match registry {
        "index.docker.io" | "registry-1.docker.io" => "docker.io",
        other => other,
    }
}

/// Only a key with a scheme stands for a whole host; `host/namespace` does not.
fn host_of(key: &str) -> &str {
    match key.strip_prefix("https://").or_else(|| key.strip_prefix("http://")) {
        Some(rest) => rest.split('/').next().unwrap_or_default(),
        None => key,
    }
}

/// Docker leaves `{}` behind for what it keeps in a store.
fn has_secret(entry: &Map<String, Value>) -> bool {
    ["auth", "identitytoken", "password"].iter().any(|name| entry.get(*name).is_some_and(is_filled))
}

fn is_filled(value: &Value) -> bool {
    value.as_str().is_some_and(|text| !text.is_empty())
}

fn decode(entry: &Map<String, Value>) -> Option<Credential> {
    let filled: Map<String, Value> =
        entry.iter().filter(|(_, value)| is_filled(value)).map(|(name, value)| (name.clone(), value.clone())).collect();
    let file = json!({ "auths": { "entry": filled } }).to_string();
    docker_credential::get_credential_from_reader(file.as_bytes(), "entry").ok().map(Credential::from)
}

impl From<DockerCredential> for Credential {
    fn from(found: DockerCredential) -> Self {
        match found {
            DockerCredential::IdentityToken(token) => Self::IdentityToken(token),
            // Old docker versions padded the password.
            DockerCredential::UsernamePassword(user, password) => {
                Self::Password { user, password: password.trim_matches('\0').to_owned() }
            }
        }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("explicit", &self.explicit.as_ref().map(|(user, _)| user))
            .field("required_file", &self.required_file)
            .field("files", &self.files)
            .field("helpers", &self.helpers)
            .finish()
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Password { user, .. } => write!(f, "Password({user}, ...)"),
            Self::IdentityToken(_) => f.write_str("IdentityToken(...)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r#"{
        "auths": {
            "quay.io/acme/llama": {"auth": "cmVwbzpwdw=="},
            "quay.io/acme": {"auth": "bmFtZXNwYWNlOnB3"},
            "quay.io": {"auth": "aG9zdDpwdzp3aXRoOmNvbG9ucw=="},
            "https://index.docker.io/v1/": {"auth": "aHViOnB3AAA="},
            "https://legacy.example/v2/": {"username": "plain", "password": "pw"},
            "nested.example/acme": {"auth": "bmVzdGVkOnB3"},
            "azurecr.io": {"auth": "MDAwMDo=", "identitytoken": "refresh"},
            "empty.example": {"auth": "ZW1wdHk6cHc=", "identitytoken": ""},
            "stored.example": {},
            "broken.example": {"auth": "!!!"}
        },
        "currentContext": "x"
    }"#;

    fn find(text: &str, registry: &str, repository: &str) -> Result<Option<Credential>, Error> {
        let path = Path::new("auth.json");
        parse(path, text.as_bytes())?.find(path, registry, repository)
    }

    #[test]
    fn the_most_specific_entry_wins() {
        let cases = [
            ("quay.io", "acme/llama", Some("repo")),
            ("quay.io", "acme/llama2", Some("namespace")),
            ("quay.io", "acme/llama/deeper", Some("repo")),
            ("quay.io", "acmeco/llama", Some("host")),
            ("quay.io:5000", "acme/llama", None),
            ("docker.io", "ai/smollm2", Some("hub")),
            ("registry-1.docker.io", "ai/smollm2", Some("hub")),
            ("legacy.example", "a", Some("plain")),
            ("nested.example", "other/x", None),
            ("nested.example", "acme/x", Some("nested")),
            ("empty.example", "a", Some("empty")),
            ("stored.example", "a", None),
            ("nobody.example", "a", None),
        ];
        for (registry, repository, expected) in cases {
            let found = find(FILE, registry, repository).unwrap();
            let user = found.map(|credential| match credential {
                Credential::Password { user, .. } => user,
                Credential::IdentityToken(token) => token,
            });
            assert_eq!(user.as_deref(), expected, "{registry}/{repository}");
        }
    }

    #[test]
    fn passwords_keep_their_colons_and_lose_their_padding() {
        let password = |registry| match find(FILE, registry, "x").unwrap() {
            Some(Credential::Password { password, .. }) => password,
            other => panic!("{other:?}"),
        };
        assert_eq!(password("quay.io"), "pw:with:colons");
        assert_eq!(password("docker.io"), "pw");
    }

    #[test]
    fn an_identity_token_wins_over_the_user_beside_it() {
        let found = find(FILE, "azurecr.io", "a").unwrap();
        assert_eq!(found, Some(Credential::IdentityToken(String::from("refresh"))));
    }

    #[test]
    fn unreadable_files_and_entries_are_named_without_their_content() {
        let error = find(FILE, "broken.example", "a").unwrap_err();
        assert_eq!(error.to_string(), "credential file auth.json has an unreadable entry broken.example");
        let error = find(r#"{"auths": {"x": "secret"}}"#, "x", "a").unwrap_err();
        assert_eq!(error.to_string(), "credential file auth.json cannot be read (line 1)");
        for nothing in
            [" \n", r#"{"auths": null, "credsStore": null, "credHelpers": null}"#, r#"{"auths": {"x": null}}"#]
        {
            assert!(find(nothing, "x", "a").unwrap().is_none(), "{nothing}");
        }
    }

    #[test]
    fn a_helper_that_is_not_there_is_named() {
        let store = r#"{"credsStore": "artishim-absent"}"#;
        let helper = r#"{"credHelpers": {"quay.io": "artishim-absent"}}"#;
        for file in [store, helper] {
            let error = find(file, "quay.io", "a").unwrap_err();
            let words = "docker-credential-artishim-absent gives no credentials for quay.io: it cannot be run";
            assert_eq!(error.to_string(), words);
        }
        assert!(find(helper, "ghcr.io", "a").unwrap().is_none());
    }

    #[test]
    fn files_are_asked_in_order_and_only_a_named_one_must_exist() {
        let directory = tempfile::tempdir().unwrap();
        let (first, second) = (directory.path().join("first.json"), directory.path().join("second.json"));
        std::fs::write(&first, r#"{"auths": {"a.example": {"auth": "Zmlyc3Q6cHc="}}}"#).unwrap();
        std::fs::write(&second, FILE).unwrap();
        let absent = directory.path().join("absent.json");
        let mut credentials =
            Credentials { files: vec![absent.clone(), first, second.clone()], ..Credentials::default() };
        let user = |credentials: &Credentials, registry| {
            credentials.find(registry, "x").unwrap().map(|credential| format!("{credential:?}"))
        };
        assert_eq!(user(&credentials, "a.example").unwrap(), "Password(first, ...)");
        assert_eq!(user(&credentials, "quay.io").unwrap(), "Password(host, ...)");
        credentials.required_file = Some(second);
        assert_eq!(user(&credentials, "a.example"), None);
        credentials.required_file = Some(absent.clone());
        let words = format!("credential file {} is not accessible", absent.display());
        assert_eq!(credentials.check().unwrap_err().to_string(), words);
        credentials.explicit = Some((String::from("me"), String::from("secret")));
        assert_eq!(user(&credentials, "quay.io").unwrap(), "Password(me, ...)");
        assert!(!format!("{credentials:?}").contains("secret"));
    }
}
