//! Who fetches a blob: one at a time, between threads and between processes.

use std::fs::{self, File, Permissions, TryLockError};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::error::{At, Error, Result};
use super::ingest::Ingest;
use super::lease::Lease;
use super::{Store, durable};
use crate::digest::{Algorithm, Digest, Mismatch};
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
            // None: the file whose lock was waited for is gone, or another one.
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
                let staged = fs::metadata(self.ingest_path(&blob.digest));
                let allocated = staged.map_or(0, |data| data.blocks().saturating_mul(512));
                needed = needed.saturating_add(blob.size.saturating_sub(allocated));
            }
        }
        durable::check_space(self.root(), needed, 0)
    }

    /// The bytes that can still be written here.
    pub fn free_space(&self) -> Result<u64> {
        durable::free_space(self.root())
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
                if ingest.present() > 0 {
                    ingest.discard()?;
                }
                ingest.write_at(0, &[bytes])?;
                ingest.commit()
            }
        }
    }

    fn claim(
        &self,
        lease: &Lease,
        blob: &Descriptor,
        take: fn(PathBuf) -> Result<Option<Hold>>,
    ) -> Result<Option<Claim>> {
        if self.has_blob(blob)? {
            return Ok(Some(Claim::Present));
        }
        let Some(hold) = take(self.ingest_path(&blob.digest))? else { return Ok(None) };
        if self.has_blob(blob)? {
            hold.clear();
            return Ok(Some(Claim::Present));
        }
        Ingest::open(self, lease, blob, hold).map(|ingest| Some(Claim::Fetch(Box::new(ingest))))
    }

    /// The one step that makes a blob visible: its bytes at `from` are verified, durable and read-only.
    pub(super) fn show_blob(&self, from: &Path, digest: &Digest) -> Result<()> {
        durable::rename(from, &self.blob_path(digest))
    }

    /// Makes the names of all blobs durable.
    pub(super) fn sync_blobs(&self) -> Result<()> {
        let algorithms = [Algorithm::Sha256, Algorithm::Sha512];
        algorithms
            .iter()
            .try_for_each(|algorithm| durable::sync_dir(&self.root().join("blobs").join(algorithm.as_str())))
    }

    /// The file in which a blob is staged.
    pub(super) fn ingest_path(&self, digest: &Digest) -> PathBuf {
        self.root().join("ingest").join(digest.file_name())
    }
}

/// The right to one staged file: its lock, held.
///
/// The lock is that of the data itself, which the commit renames: a small blob costs one new file and no more.
#[derive(Debug)]
pub(super) struct Hold {
    path: PathBuf,
    /// Locked for as long as it is open.
    file: File,
}

impl Hold {
    /// Takes the lock once it is free; nothing if the file was renamed or removed meanwhile.
    pub(super) fn wait(path: PathBuf) -> Result<Option<Self>> {
        let Some(file) = Self::create(&path)? else { return Ok(None) };
        file.lock().at(&path)?;
        Self::check(path, file)
    }

    /// Takes the lock if it is free, making the file where there is none.
    pub(super) fn attempt(path: PathBuf) -> Result<Option<Self>> {
        match Self::create(&path)? {
            Some(file) => Self::try_lock(path, file),
            None => Ok(None),
        }
    }

    fn create(path: &Path) -> Result<Option<File>> {
        match durable::create(path) {
            Ok(file) => return Ok(Some(file)),
            Err(Error::Io { source, .. }) if source.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
        match Self::reopen(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            opened => opened.map(Some).at(path),
        }
    }

    /// For writing, which NFS wants of who locks; only for reading where its holder has just made it read-only.
    fn reopen(path: &Path) -> io::Result<File> {
        match File::options().read(true).write(true).open(path) {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => File::open(path),
            opened => opened,
        }
    }

    /// Takes the lock of what a sweep has found, if it is free.
    pub(super) fn find(path: PathBuf) -> Result<Option<Self>> {
        match Self::reopen(&path) {
            Ok(file) => Self::try_lock(path, file),
            // A record without its data, which a sweep removes, is an ingest nobody holds.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Self::attempt(path),
            Err(error) => Err(error).at(&path),
        }
    }

    fn try_lock(path: PathBuf, file: File) -> Result<Option<Self>> {
        match file.try_lock() {
            Ok(()) => Self::check(path, file),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error).at(&path),
        }
    }

    /// A lock on a file that was renamed or removed, or replaced by another one, holds nothing.
    fn check(path: PathBuf, file: File) -> Result<Option<Self>> {
        let ours = file.metadata().at(&path)?;
        let is_ours = |theirs: fs::Metadata| theirs.ino() == ours.ino() && theirs.dev() == ours.dev();
        let is_current = fs::metadata(&path).is_ok_and(is_ours);
        Ok(is_current.then_some(Self { path, file }))
    }

    /// The staged file.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// What is known of the staged file.
    pub(super) fn metadata(&self) -> Result<fs::Metadata> {
        self.file.metadata().at(&self.path)
    }

    /// The staged file, open for reading and writing.
    pub(super) fn open(&self) -> Result<File> {
        // A crash just before the rename leaves data that only root may open for writing.
        self.file.set_permissions(Permissions::from_mode(durable::WRITABLE)).at(&self.path)?;
        File::options().read(true).write(true).open(&self.path).at(&self.path)
    }

    /// Where its record is.
    pub(super) fn record_path(&self) -> PathBuf {
        record_path(&self.path)
    }

    /// Where its record is written before it gets its name.
    pub(super) fn temporary_path(&self) -> PathBuf {
        self.path.with_extension("ranges.tmp")
    }

    /// Removes what is noted of the data: it is whole, or of no use.
    pub(super) fn forget(&self) -> Result<()> {
        durable::remove_file(&self.record_path())?;
        durable::remove_file(&self.temporary_path())
    }

    /// Removes everything, the locked file last: who finds it gone or replaced tries again. The hold is worth nothing then.
    pub(super) fn clear(&self) {
        if let Err(error) = self.forget().and_then(|()| durable::remove_file(&self.path)) {
            tracing::debug!(%error, "an ingest stays for the next sweep");
        }
    }
}

/// Where the record of the data at `path` is.
pub(super) fn record_path(path: &Path) -> PathBuf {
    path.with_extension("ranges")
}
