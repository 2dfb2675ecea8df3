//! Leases: what a sweep must keep although no index entry names it.

use std::collections::BTreeSet;
use std::fs::{self, File, Permissions, TryLockError};
use std::io;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::Store;
use super::error::{At, Error, Result};
use super::lock::Exclusive;
use crate::digest::Digest;

/// Keeps blobs, and the snapshots of manifests, from [`Store::gc`] as long as a clone of it lives.
///
/// A leased manifest keeps all that it lists.
#[derive(Clone, Debug)]
pub struct Lease(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    store: Store,
    id: String,
    path: PathBuf,
    // Locked for as long as the lease lives; the system unlocks it when the process dies.
    file: File,
    digests: Mutex<BTreeSet<Digest>>,
}

/// What a sweep found of the leases.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// The names of the leases whose processes live.
    pub(super) ids: Vec<String>,
    /// What they keep.
    pub(super) digests: Vec<Digest>,
    /// The files of dead ones.
    pub(super) dead: Vec<PathBuf>,
}

impl Store {
    /// Keeps `digests` from being swept until the lease is dropped; waits while somebody holds the store exclusively.
    pub fn lease(&self, digests: &[Digest]) -> Result<Lease> {
        self.check_writable()?;
        let _guard = self.shared()?;
        let (id, file) = self.create_lease_file()?;
        let path = self.lease_path(&id);
        let inner = Inner { store: self.clone(), id, path, file, digests: Mutex::default() };
        inner.write(digests)?;
        Ok(Lease(Arc::new(inner)))
    }

    fn create_lease_file(&self) -> Result<(String, File)> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        loop {
            let id = format!("{}-{}", process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
            let path = self.lease_path(&id);
            // Another process may have our number: an earlier one, or one of another container.
            match File::options().read(true).write(true).create_new(true).open(&path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                result => {
                    let file = result.at(&path)?;
                    file.set_permissions(Permissions::from_mode(0o644)).at(&path)?;
                    file.lock().at(&path)?;
                    return Ok((id, file));
                }
            }
        }
    }

    fn lease_path(&self, id: &str) -> PathBuf {
        self.root().join("leases").join(format!("{id}.json"))
    }
}

impl Lease {
    /// Keeps `digests` too; waits while somebody holds the store exclusively.
    pub fn add(&self, digests: &[Digest]) -> Result<()> {
        if self.0.holds(digests) {
            return Ok(());
        }
        let _guard = self.0.store.shared()?;
        self.0.write(digests)
    }

    /// The name of the lease, unlike that of all others alive.
    pub(super) fn id(&self) -> &str {
        &self.0.id
    }
}

impl Inner {
    fn holds(&self, digests: &[Digest]) -> bool {
        let held = self.digests.lock().unwrap_or_else(PoisonError::into_inner);
        digests.iter().all(|digest| held.contains(digest))
    }

    /// Writes the file in place: a sweep, its only reader, is kept out by the shared lock of the caller.
    fn write(&self, digests: &[Digest]) -> Result<()> {
        let mut held = self.digests.lock().unwrap_or_else(PoisonError::into_inner);
        let all: BTreeSet<Digest> = held.iter().chain(digests).cloned().collect();
        let bytes = serde_json::to_vec(&all).map_err(|source| damaged(&self.path, source))?;
        self.file.write_all_at(&bytes, 0).at_needing(&self.path, bytes.len() as u64)?;
        *held = all;
        Ok(())
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.path) {
            tracing::debug!(%error, path = %self.path.display(), "a lease stays for the next sweep");
        }
    }
}

/// Reads all leases; no lease is made or extended meanwhile, which the guard proves.
pub(super) fn read_all(store: &Store, _guard: &Exclusive) -> Result<Found> {
    let directory = store.root().join("leases");
    let mut found = Found::default();
    for entry in fs::read_dir(&directory).at(&directory)? {
        let path = entry.at(&directory)?.path();
        if path.extension().is_some_and(|extension| extension == "json") {
            read(&mut found, path)?;
        }
    }
    Ok(found)
}

fn read(found: &mut Found, path: PathBuf) -> Result<()> {
    let file = match File::open(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        result => result.at(&path)?,
    };
    match file.try_lock() {
        Ok(()) => found.dead.push(path),
        Err(TryLockError::Error(error)) => return Err(error).at(&path),
        Err(TryLockError::WouldBlock) => {
            let digests: Vec<Digest> = serde_json::from_reader(&file).map_err(|source| damaged(&path, source))?;
            found.digests.extend(digests);
            found.ids.extend(path.file_stem().map(|stem| stem.to_string_lossy().into_owned()));
        }
    }
    Ok(())
}

fn damaged(path: &Path, source: serde_json::Error) -> Error {
    Error::Damaged { path: path.to_owned(), source }
}
