//! Who fetches a blob: one at a time, between threads and between processes.

use std::fs::{self, File, TryLockError};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::error::{At, Error, Result};
use super::ingest::Ingest;
use super::lease::Lease;
use super::{Store, durable};
use crate::digest::{Digest, Mismatch};
use crate::manifest::Descriptor;

/// The answer to who fetches a blob.
#[derive(Debug)]
pub enum Claim {
    /// Nobody has to: it is in the store.
    Present,
    /// The caller.
    Fetch(Box<Ingest>),
}

impl Store {
    /// Claims the fetching of `blob`, waiting while somebody else fetches it; the lease keeps it from then on.
    ///
    /// If the other one commits, the blob is present; if it gives up or dies, the caller goes on where it stopped.
    pub fn ingest(&self, lease: &Lease, blob: &Descriptor) -> Result<Claim> {
        self.check_writable()?;
        lease.add(std::slice::from_ref(&blob.digest))?;
        loop {
            // None: the directory whose lock was waited for is gone, or was never there.
            if let Some(claim) = self.claim(lease, blob, Hold::wait)? {
                return Ok(claim);
            }
        }
    }

    /// As [`Store::ingest`], and nothing if somebody else is fetching the blob.
    pub fn try_ingest(&self, lease: &Lease, blob: &Descriptor) -> Result<Option<Claim>> {
        self.check_writable()?;
        lease.add(std::slice::from_ref(&blob.digest))?;
        self.claim(lease, blob, Hold::attempt)
    }

    /// An error if there is no room for those of `blobs` that are not here, counting what is staged of them.
    pub fn check_space(&self, blobs: &[Descriptor]) -> Result<()> {
        let mut needed = 0_u64;
        for blob in blobs {
            if !self.has_blob(blob)? {
                let staged = fs::metadata(self.ingest_path(&blob.digest).join("data"));
                let allocated = staged.map_or(0, |data| data.blocks().saturating_mul(512));
                needed = needed.saturating_add(blob.size.saturating_sub(allocated));
            }
        }
        durable::check_space(self.root(), needed, 0)
    }

    /// Puts a small blob into the store, by the same way as a fetched one.
    pub fn put_blob(&self, lease: &Lease, bytes: &[u8], digest: &Digest) -> Result<()> {
        let actual = Digest::of(digest.algorithm(), bytes);
        if actual != *digest {
            return Err(Mismatch::Digest { expected: digest.clone(), actual }.into());
        }
        match self.ingest(lease, &Descriptor::new("", digest.clone(), bytes.len() as u64))? {
            Claim::Present => Ok(()),
            Claim::Fetch(mut ingest) => {
                ingest.discard()?;
                ingest.write_at(0, &[bytes])?;
                ingest.commit()
            }
        }
    }

    fn claim(
        &self,
        lease: &Lease,
        blob: &Descriptor,
        take: fn(&Path) -> Result<Option<Hold>>,
    ) -> Result<Option<Claim>> {
        if self.has_blob(blob)? {
            return Ok(Some(Claim::Present));
        }
        let Some(hold) = take(&self.ingest_path(&blob.digest))? else { return Ok(None) };
        if self.has_blob(blob)? {
            hold.clear();
            return Ok(Some(Claim::Present));
        }
        Ingest::open(self, lease, blob, hold).map(|ingest| Some(Claim::Fetch(Box::new(ingest))))
    }

    /// The directory where a blob is staged.
    pub(super) fn ingest_path(&self, digest: &Digest) -> PathBuf {
        self.root().join("ingest").join(digest.file_name())
    }
}

/// The right to the directory of one ingest: its `lock`, held.
#[derive(Debug)]
pub(super) struct Hold {
    directory: PathBuf,
    /// Locked for as long as it is open.
    _file: File,
}

impl Hold {
    /// Takes the lock once it is free; nothing if the directory was removed meanwhile.
    fn wait(directory: &Path) -> Result<Option<Self>> {
        let Some(file) = Self::create(directory)? else { return Ok(None) };
        file.lock().at(directory)?;
        Self::check(directory, file)
    }

    /// Takes the lock if it is free, making the directory where there is none.
    fn attempt(directory: &Path) -> Result<Option<Self>> {
        match Self::create(directory)? {
            Some(file) => Self::try_lock(directory, file),
            None => Ok(None),
        }
    }

    /// Takes the lock of a directory that is there, if it is free.
    pub(super) fn find(directory: &Path) -> Result<Option<Self>> {
        match File::open(directory.join("lock")) {
            Ok(file) => Self::try_lock(directory, file),
            // Half made or half removed, which a sweep finishes: it is a directory nobody holds.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Self::attempt(directory),
            Err(error) => Err(error).at(directory),
        }
    }

    fn create(directory: &Path) -> Result<Option<File>> {
        durable::create_dir(directory)?;
        match durable::open_or_create(&directory.join("lock")) {
            Ok(file) => Ok(Some(file)),
            // Its last holder has just removed it.
            Err(Error::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn try_lock(directory: &Path, file: File) -> Result<Option<Self>> {
        match file.try_lock() {
            Ok(()) => Self::check(directory, file),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error).at(directory),
        }
    }

    /// A lock on a file that was removed, or replaced by another one, holds nothing.
    fn check(directory: &Path, file: File) -> Result<Option<Self>> {
        let ours = file.metadata().at(directory)?;
        let is_ours = |theirs: fs::Metadata| theirs.ino() == ours.ino() && theirs.dev() == ours.dev();
        let is_current = fs::metadata(directory.join("lock")).is_ok_and(is_ours);
        Ok(is_current.then(|| Self { directory: directory.to_owned(), _file: file }))
    }

    /// The directory.
    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Removes the directory, the lock last: who finds it gone or replaced tries again. The hold is worth nothing then.
    pub(super) fn clear(&self) {
        let remove = || -> Result<()> {
            ["data", "ranges", ".ranges.tmp", "lock"]
                .iter()
                .try_for_each(|name| durable::remove_file(&self.directory.join(name)))?;
            fs::remove_dir(&self.directory).at(&self.directory)
        };
        if let Err(error) = remove() {
            tracing::debug!(%error, "an ingest stays for the next sweep");
        }
    }
}
