//! Where `login` puts credentials, and `logout` takes them from.

use std::path::PathBuf;

use base64::Engine as _;
use serde_json::{Value, json};

use super::auth_file::{self, Document};
use super::{Error, FILES, HelperFailure, Key, canonical, has_secret, helper, host_of, places, servers};

/// A file of containers-auth.json(5) with the helpers it names, and those that containers-registries.conf(5) names.
#[derive(Clone, Debug)]
pub struct Keyring {
    /// The file; it need not exist.
    pub file: PathBuf,
    /// As [`super::Credentials::helpers`].
    pub helpers: Vec<String>,
}

/// Where credentials went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kept {
    /// Into the file.
    File(PathBuf),
    /// To the helper of this name.
    Helper(String),
}

impl Keyring {
    /// Keeps a user and a password in the first place that is asked for such. It blocks.
    ///
    /// podman goes on with the next place where that fails; we do not, as that may be a file in the clear.
    pub fn store(&self, key: &Key, user: &str, password: &str) -> Result<Kept, Error> {
        match places(&self.helpers).first() {
            Some(name) if *name != FILES => store_by(name, key, key.registry(), user, password),
            _ => self.store_in_file(key, user, password),
        }
    }

    fn store_in_file(&self, key: &Key, user: &str, password: &str) -> Result<Kept, Error> {
        auth_file::create_directory(&self.file)?;
        auth_file::edit(&self.file, |document| {
            if let Some((server, name)) = document.file.keeper(key.registry()) {
                let kept = store_by(name, key, server, user, password)?;
                // An older password must not be found first, and docker sees by this whom its store knows.
                document.forget(key);
                document.set(key.to_string(), json!({}));
                return Ok(kept);
            }
            let auth = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
            document.forget(key);
            document.set(key.to_string(), json!({ "auth": auth }));
            Ok(Kept::File(self.file.clone()))
        })
    }

    /// Forgets what is for the key, in all places; false where there was nothing. It blocks.
    pub fn erase(&self, key: &Key) -> Result<bool, Error> {
        let mut had_some = false;
        for place in places(&self.helpers) {
            had_some |= match place {
                FILES => {
                    let (had, failure) = auth_file::edit(&self.file, |document| Ok(erase_in_file(document, key)))?;
                    failure.map_or(Ok(had), Err)?
                }
                _ if key.is_namespaced() => false,
                name => helper::erase(name, key.registry())?,
            };
        }
        Ok(had_some)
    }

    /// Forgets everything, in all places. It blocks.
    pub fn erase_all(&self) -> Result<(), Error> {
        for place in places(&self.helpers) {
            match place {
                FILES => {
                    let failure = auth_file::edit(&self.file, |document| Ok(erase_all_in_file(document)))?;
                    failure.map_or(Ok(()), Err)?;
                }
                name => helper::list(name)?.iter().try_for_each(|server| helper::erase(name, server).map(|_| ()))?,
            }
        }
        Ok(())
    }
}

fn store_by(name: &str, key: &Key, server: &str, user: &str, password: &str) -> Result<Kept, Error> {
    if key.is_namespaced() {
        return Err(Error::Namespaced { key: key.to_string(), helper: name.to_owned() });
    }
    helper::store(name, server, user, password)?;
    Ok(Kept::Helper(name.to_owned()))
}

/// Takes away the entry of the key and, for a whole registry, what is kept under another name of it or by a helper; one
/// that fails keeps nothing else from being forgotten.
fn erase_in_file(document: &mut Document, key: &Key) -> (bool, Option<HelperFailure>) {
    let had_entry = document.forget(key);
    if key.is_namespaced() {
        return (had_entry, None);
    }
    let file = &document.file;
    let own = file.helper(key.registry());
    let store = Some(file.creds_store.as_str()).filter(|name| !name.is_empty());
    let stored =
        store.into_iter().flat_map(|name| servers(key.registry()).into_iter().map(move |server| (server, name)));
    let (had_some, failure) = erase_by(own.into_iter().chain(stored));
    (had_entry || had_some, failure)
}

fn erase_all_in_file(document: &mut Document) -> Option<HelperFailure> {
    let file = document.file.clone();
    if let Some(entries) = document.entries() {
        entries.clear();
    }
    let own = file.cred_helpers.iter().map(|(server, name)| (server.as_str(), name.as_str()));
    let is_stored = |server: &&String| !file.auths.get(*server).is_some_and(has_secret);
    let stored = file.auths.keys().filter(is_stored).map(|server| (server.as_str(), file.creds_store.as_str()));
    erase_by(own.chain(stored).filter(|(_, name)| !name.is_empty())).1
}

/// Has helpers forget servers: whether there was anything, and the first that failed.
fn erase_by<'a>(helpers: impl Iterator<Item = (&'a str, &'a str)>) -> (bool, Option<HelperFailure>) {
    let (mut had_some, mut failure) = (false, None);
    for (server, name) in helpers {
        match helper::erase(name, server) {
            Ok(had) => had_some |= had,
            Err(error) => failure = failure.or(Some(error)),
        }
    }
    (had_some, failure)
}

impl Document {
    /// Takes away what is kept in the file for the key, under whatever name; says whether there was a secret.
    fn forget(&mut self, key: &Key) -> bool {
        let is_meant = |name: &str| {
            name == key.to_string() || !key.is_namespaced() && canonical(host_of(name)) == canonical(key.registry())
        };
        let Some(entries) = self.entries() else { return false };
        let had_some = entries.iter().any(|(name, entry)| is_meant(name) && is_secret(entry));
        entries.retain(|name, _| !is_meant(name));
        had_some
    }
}

fn is_secret(entry: &Value) -> bool {
    entry.as_object().is_some_and(has_secret)
}
