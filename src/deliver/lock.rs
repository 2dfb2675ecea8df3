//! Turns between processes of this machine that fill the same volume.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::{Error, Result};

/// A turn that can be waited for.
pub(super) struct Turn {
    path: PathBuf,
}

impl Turn {
    /// The turn called `name`; its lock file lies in `directory`, which is made when missing.
    pub(super) fn new(directory: &Path, name: &str) -> Self {
        let name: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
        Self { path: directory.join(format!("{name}.lock")) }
    }

    /// Waits for the turn, which lasts until it is dropped.
    pub(super) async fn wait(&self) -> Result<Held> {
        let path = self.path.clone();
        let lock = move || -> std::io::Result<File> {
            path.parent().map_or(Ok(()), fs::create_dir_all)?;
            let file = File::options().create(true).append(true).open(path)?;
            file.lock()?;
            Ok(file)
        };
        let locked = tokio::task::spawn_blocking(lock).await.map_err(Error::Stopped)?;
        locked.map(Held).map_err(|source| Error::Lock { path: self.path.display().to_string(), source })
    }
}

/// A turn that is held.
pub(super) struct Held(File);

impl Held {
    /// Tells all who can ever hold this turn from all who cannot: the running system and the lock file.
    ///
    /// A host's name would not do: cloned machines and containers share names and paths.
    pub(super) fn owner(&self) -> String {
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        let file = self.0.metadata().map_or_else(|_| String::new(), |file| format!("{}:{}", file.dev(), file.ino()));
        format!("{} {file}", boot.trim())
    }
}
