//! The guards over the store's `lock` file, which is never deleted.

use std::fs::File;

use super::Store;
use super::durable;
use super::error::{At, Result};

/// Proof that nobody sweeps the store or changes its index.
#[derive(Debug)]
pub struct Shared {
    // None in a read-only store that never had a lock file: nobody can write there.
    _file: Option<File>,
}

/// Proof that nobody else sweeps the store, changes its index or makes a lease.
#[derive(Debug)]
pub struct Exclusive {
    _file: File,
}

impl Store {
    /// Waits until nobody holds the store exclusively; released on drop.
    pub fn shared(&self) -> Result<Shared> {
        let path = self.root().join("lock");
        let file = match File::open(&path) {
            Ok(file) => Some(file),
            Err(_) if self.is_read_only() => None,
            Err(_) => Some(durable::open_or_create(&path)?),
        };
        if let Some(file) = &file {
            file.lock_shared().at(&path)?;
        }
        Ok(Shared { _file: file })
    }

    /// Waits for the turn to have podman add an artifact, which ends when what is returned is dropped.
    pub fn turn_at_podman(&self) -> Result<File> {
        self.check_writable()?;
        let path = self.root().join("podman.lock");
        let file = durable::open_or_create(&path)?;
        file.lock().at(&path)?;
        Ok(file)
    }

    /// Waits until nobody else holds the store; released on drop.
    ///
    /// Whoever holds it must not call what takes the lock itself, such as [`Store::lease`] or [`Store::ingest`]: it
    /// would wait for itself.
    pub fn exclusive(&self) -> Result<Exclusive> {
        self.check_writable()?;
        let path = self.root().join("lock");
        let file = durable::open_or_create(&path)?;
        file.lock().at(&path)?;
        Ok(Exclusive { _file: file })
    }
}
