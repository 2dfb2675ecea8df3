//! Whether an engine sees our files: shown, not guessed.
//!
//! A file that nobody can have by chance is bound into a container and read back through the API. That is right for
//! socket files mounted into containers, machines with shared directories, ssh and chroots alike.
//!
//! Where we may not write, the store's own index stands for that file. Another machine could have the same one, so that
//! answer is not remembered.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::cache::Cache;
use super::error::{At, Result};
use super::scratch::unique_name;
use super::{Engine, Error, Kind, podman};

/// The file that is looked for.
const NONCE: &str = "nonce";
/// The file that is looked for in a store we cannot write to.
const INDEX: &str = "index.json";
/// How long "yes" is believed. It costs a failed start when it is wrong, so not for ever.
const YES_LASTS: Duration = Duration::from_secs(24 * 3600);
/// How long "no" is believed. It costs a slower delivery when it is wrong, after somebody shared a directory.
const NO_LASTS: Duration = Duration::from_secs(3600);

impl Engine {
    /// Whether this engine sees the files below `store` under the same paths.
    ///
    /// `scratch` is an existing directory below `store` that the engine's user can enter; a directory is made in it for
    /// a moment. Where that cannot be, `store` is taken for an image layout, whose `index.json` the engine must have.
    pub async fn sees_path(&self, store: &Path, scratch: &Path, cache: &Cache) -> Result<bool> {
        if self.opens_our_files() {
            return Ok(true);
        }
        let key = format!("sees {} {}", self.id, store.display());
        if cache.recall(&key, YES_LASTS).as_deref() == Some("yes") {
            return Ok(true);
        }
        if cache.recall(&key, NO_LASTS).as_deref() == Some("no") {
            return Ok(false);
        }
        let probe = match Probe::create(scratch) {
            Err(Error::Io { source, .. }) if is_read_only(&source) => return self.sees_index(store).await,
            probe => probe?,
        };
        let sees = self.sees_file(&probe.directory, NONCE, probe.nonce.as_bytes()).await?;
        cache.remember(&key, if sees { "yes" } else { "no" });
        Ok(sees)
    }

    /// A script called podman may lead out of our container (toolbox, distrobox), so that one is probed.
    fn opens_our_files(&self) -> bool {
        self.is_local && self.cli.as_ref().is_some_and(|cli| !cli.is_wrapped())
    }

    /// Whether the engine has the index of `store`, which must name something: an empty one is the same everywhere.
    async fn sees_index(&self, store: &Path) -> Result<bool> {
        let store = std::path::absolute(store).at(store)?;
        let path = store.join(INDEX);
        let index = match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            index => index.at(&path)?,
        };
        let parsed: serde_json::Value = serde_json::from_slice(&index).unwrap_or_default();
        if parsed["manifests"].as_array().is_none_or(Vec::is_empty) {
            return Ok(false);
        }
        match self.sees_file(&store, INDEX, &index).await {
            // To bring podman an image for the probe, we would have to write.
            Err(Error::Io { source, .. }) if is_read_only(&source) => Ok(false),
            sees => sees,
        }
    }

    /// Whether the engine reads `content` in the file `name` of `directory`.
    ///
    /// Through podman's own command line where there is one: by the API, Podman makes the directory it does not have.
    async fn sees_file(&self, directory: &Path, name: &str, content: &[u8]) -> Result<bool> {
        let text = directory.to_str();
        let text = text.ok_or_else(|| io::Error::other("the path is not UTF-8, which engines need")).at(directory)?;
        let seen = match (&self.cli, &self.api) {
            (Some(cli), _) if self.kind == Kind::Podman && cli.kind == Kind::Podman => {
                podman::read_through_bind(cli, text, name, content.len()).await
            }
            (_, Some(api)) => api.read_through_bind(text, name, content.len()).await,
            (_, None) => Ok(None),
        };
        let seen = match seen {
            Err(Error::FileTooLarge { .. }) => None,
            seen => seen?,
        };
        Ok(seen.as_deref() == Some(content))
    }
}

fn is_read_only(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied)
}

/// A directory with a nonce in it, both readable by everyone, removed in the end.
struct Probe {
    directory: PathBuf,
    nonce: String,
}

impl Probe {
    fn create(scratch: &Path) -> Result<Self> {
        // Links stay as they are: the engine is to follow them on its side, as it will with what is bound later.
        let scratch = std::path::absolute(scratch).at(scratch)?;
        let directory = scratch.join(unique_name("probe"));
        let probe = Self { directory, nonce: unique_name("nonce") };
        fs::create_dir(&probe.directory).at(&probe.directory)?;
        let file = probe.directory.join(NONCE);
        fs::write(&file, &probe.nonce).at(&file)?;
        // Whatever our umask is: the engine may run as another user.
        fs::set_permissions(&probe.directory, fs::Permissions::from_mode(0o755)).at(&probe.directory)?;
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).at(&file)?;
        Ok(probe)
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.directory) {
            tracing::debug!(path = %self.directory.display(), %error, "a probe stays");
        }
    }
}
