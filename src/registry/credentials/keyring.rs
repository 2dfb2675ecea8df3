//! Where `login` puts credentials, and `logout` takes them from.

use std::path::PathBuf;

use base64::Engine as _;
use serde_json::{Value, json};

use super::auth_file::{self, Document};
use super::{Error, FILES, Key, canonical, has_secret, helper, host_of, places, servers};

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
                document.set(key.to_string(), json!({}));
                return Ok(kept);
            }
            let auth = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
            document.set(key.to_string(), json!({ "auth": auth }));
            Ok(Kept::File(self.file.clone()))
        })
    }

    /// Forgets what is for the key, in all places; false where there was nothing. It blocks.
    pub fn erase(&self, key: &Key) -> Result<bool, Error> {
        let mut had_some = false;
        for place in places(&self.helpers) {
            had_some |= match place {
                FILES => auth_file::edit(&self.file, |document| erase_in_file(document, key))?,
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
                FILES => auth_file::edit(&self.file, erase_all_in_file)?,
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

/// Takes away the entry of the key and, for a whole registry, what is kept under another name of it or by a helper.
fn erase_in_file(document: &mut Document, key: &Key) -> Result<bool, Error> {
    let mut had_some = false;
    if !key.is_namespaced() {
        if let Some((server, name)) = document.file.helper(key.registry()) {
            had_some |= helper::erase(name, server)?;
        }
        if !document.file.creds_store.is_empty() {
            for server in servers(key.registry()) {
                had_some |= helper::erase(&document.file.creds_store, server)?;
            }
        }
    }
    let is_meant = |name: &str| {
        name == key.to_string() || !key.is_namespaced() && canonical(host_of(name)) == canonical(key.registry())
    };
    if let Some(entries) = document.entries() {
        had_some |= entries.iter().any(|(name, entry)| is_meant(name) && is_secret(entry));
        entries.retain(|name, _| !is_meant(name));
    }
    Ok(had_some)
}

fn erase_all_in_file(document: &mut Document) -> Result<(), Error> {
    for (server, name) in &document.file.cred_helpers {
        helper::erase(name, server)?;
    }
    let is_stored = |name: &&String| !document.file.auths.get(*name).is_some_and(has_secret);
    if !document.file.creds_store.is_empty() {
        for server in document.file.auths.keys().filter(is_stored) {
            helper::erase(&document.file.creds_store, server)?;
        }
    }
    if let Some(entries) = document.entries() {
        entries.clear();
    }
    Ok(())
}

fn is_secret(entry: &Value) -> bool {
    entry.as_object().is_some_and(has_secret)
}
