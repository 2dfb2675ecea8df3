//! Our disk: an OCI image layout that several processes read and write at once.
//!
//! # On disk
//!
//! ```text
//! oci-layout                    {"imageLayoutVersion":"1.0.0"}
//! index.json                    one entry per name; the name is the annotation org.opencontainers.image.ref.name
//! blobs/<alg>/<hex>             verified bytes, mode 0444, never changed
//! ingest/<alg>-<hex>            a blob being fetched, locked by whoever fetches; its bytes come in any order
//! ingest/.<process>-<n>-<n>     a blob being made of what the user has, until its digest is known
//! ingest/<alg>-<hex>.ranges     which of them are there: a header with digest and size, then lines `start end`
//! snapshots/<alg>-<hex>/        the files of the manifest <alg>:<hex>, or of a part, under their names, mode 0444
//! snapshots/<alg>-<hex>.json    their listing; the snapshot exists if the directory and the listing do
//! leases/<process>-<n>.json     digests that a living process needs; locked for as long as it does
//! volumes/<name>.json           what the volume driver knows of a volume
//! volumes/shown/<name>/         where it shows the volume's snapshot
//! lock                          the store's lock
//! slots/<n>                     locked while one of the connections that all pulls share is in use
//! podman.lock                   held by who has podman add an artifact to its own store
//! ```
//!
//! Names with a leading dot are temporary. Directories are 0755 and files readable for all, because rootless engines and
//! engines with user namespaces read them as somebody else. `skopeo` and `oras` read the layout as any other.
//!
//! # Parts
//!
//! A name may stand for a part of its manifest: the annotation `io.artishim.selection` of its entry in the index holds
//! the patterns (`packaging::Selection`). Manifest and config are there, and the blobs of the part; another program
//! that copies the artifact misses the others. The snapshot of a part is named by a digest of its own
//! ([`crate::listing::Extent::key`]: of the manifest's digest, a newline and the annotation); the listing in it
//! names the manifest.
//!
//! # Crashes
//!
//! A process may be killed, and the machine may stop, at any point. A blob, the index and a snapshot get their names by
//! one rename after their content was flushed, so that they are there whole or not at all. An ingest's record is written
//! after a flush of the bytes it claims; its last line may be torn and is then ignored; bytes beyond the end of the data
//! are not believed; and whatever it says, the commit compares size and digest of all bytes before the rename.
//! A file of another size than its manifest says counts as absent, and the commit of the right bytes replaces it.
//!
//! # Locks
//!
//! All locks are `flock`s, which end with their process. Files that are locked and also renamed or deleted (ingests) are
//! compared with their path after locking; the store's `lock` and its `slots` are never deleted.
//!
//! - [`Exclusive`]: changing the index, sweeping. Held shortly, never while bytes come from elsewhere.
//! - [`Shared`]: making or extending a lease, so that no sweep is under way meanwhile.
//! - none: reading the index (it is replaced, not changed), reading blobs and snapshots, and ingests, which
//!   have their own locks. What must not be swept while it is read is leased first.
//!
//! Order: an ingest's lock may be held when the store's is taken, never the other way round, except by a sweep, which
//! does not wait for an ingest's lock. A slot is never waited for by who cannot go on without it: each pull has one
//! connection that is no slot.
//!
//! # Sweeping
//!
//! Under the exclusive lock: the roots are the index's entries, the digests of living leases and those of volumes. A root that is a
//! manifest keeps its config and layers, one that is an index keeps its children and what they list. Blobs not kept are
//! removed; snapshots too whose manifest is not kept, in whole or in part (renamed to a temporary name first); temporary
//! files of dead processes and dead leases as well. A manifest whose name stands for a part keeps what is here of the
//! rest, which a whole pull does not fetch again. An ingest that somebody holds is left alone; one whose blob is there is
//! removed; another one is kept for resumption if it is kept by a root, and for seven days after its last change if it is
//! not.

mod add;
mod claim;
mod copy;
mod durable;
mod error;
mod find;
mod gc;
mod hashing;
mod index;
mod ingest;
mod layout;
mod lease;
mod lock;
mod pieces;
mod plan;
mod podman;
mod record;
mod slots;
mod snapshot;
mod staging;
#[cfg(test)]
#[allow(clippy::single_range_in_vec_init, reason = "a list of one range is what is meant")]
mod tests;
mod volume;

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use add::{Incoming, Stop};
pub use claim::Claim;
pub use copy::remove_copy;
pub use error::{Error, Result};
pub use find::SHORTEST_PREFIX;
pub use index::Entry;
pub use ingest::Ingest;
pub use lease::Lease;
pub use lock::{Exclusive, Shared};
pub use plan::Swept;
pub use podman::{PodmanLock, PodmanStore, Unfamiliar};
pub use slots::SharedConnection;
pub use snapshot::{Snapshot, StagedSnapshot};
pub use staging::Staging;

use crate::digest::{Digest, Mismatch};
use crate::manifest::{self, Descriptor, Manifest};
use error::At;

/// A store on disk; clones are the same store.
#[derive(Clone, Debug)]
pub struct Store {
    root: Arc<Path>,
    read_only: bool,
}

impl Store {
    /// Opens the store at `root`, making it where there is none.
    ///
    /// A directory with other things in it is refused. A store that cannot be written opens for reading.
    pub fn open(root: &Path) -> Result<Self> {
        let root = std::path::absolute(root).at(root)?;
        let read_only = layout::prepare(&root)?;
        Ok(Self { root: root.into(), read_only })
    }

    /// The directory, absolute.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Whether the store can only be read.
    pub const fn is_read_only(&self) -> bool {
        self.read_only
    }

    fn check_writable(&self) -> Result<()> {
        if self.read_only {
            return Err(Error::ReadOnly { path: self.root().to_owned() });
        }
        Ok(())
    }

    /// Where a blob is, or would be.
    pub fn blob_path(&self, digest: &Digest) -> PathBuf {
        self.root.join("blobs").join(digest.algorithm().as_str()).join(digest.hex())
    }

    /// Whether the blob is there with its size; a file of another size is none, and is replaced by the next commit.
    pub fn has_blob(&self, blob: &Descriptor) -> Result<bool> {
        let path = self.blob_path(&blob.digest);
        match fs::metadata(&path) {
            Ok(metadata) => Ok(metadata.is_file() && metadata.len() == blob.size),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error).at(&path),
        }
    }

    /// The bytes of all blobs, also of those that the next sweep takes.
    pub fn blob_bytes(&self) -> Result<u64> {
        let mut bytes = 0;
        for algorithm in fs::read_dir(self.root().join("blobs")).at(self.root())?.filter_map(io::Result::ok) {
            let blobs = fs::read_dir(algorithm.path()).at(&algorithm.path())?.filter_map(io::Result::ok);
            bytes += blobs.filter_map(|blob| blob.metadata().ok()).map(|metadata| metadata.len()).sum::<u64>();
        }
        Ok(bytes)
    }

    /// Opens a blob for reading; its size is checked, its bytes were when it came.
    pub fn open_blob(&self, blob: &Descriptor) -> Result<File> {
        let (file, size) = self.open_digest(&blob.digest)?;
        if size != blob.size {
            return Err(Mismatch::Size { digest: blob.digest.clone(), size: blob.size, seen: size }.into());
        }
        Ok(file)
    }

    /// Reads and verifies a blob of at most [`manifest::MAX_BYTES`].
    pub fn read_blob(&self, blob: &Descriptor) -> Result<Vec<u8>> {
        let file = self.open_blob(blob)?;
        self.read_verified(&file, blob)
    }

    /// Reads what of a blob lies in `range`; its bytes are not verified again.
    pub fn read_part(&self, blob: &Descriptor, range: Range<u64>) -> Result<Vec<u8>> {
        read_part(self.open_blob(blob)?, &self.blob_path(&blob.digest), range)
    }

    /// Reads the manifest, or index, with this digest.
    pub fn manifest(&self, digest: &Digest) -> Result<(Vec<u8>, Manifest)> {
        let (file, size) = self.open_digest(digest)?;
        let bytes = self.read_verified(&file, &Descriptor::new("", digest.clone(), size))?;
        let manifest = Manifest::parse(&bytes, digest)?;
        Ok((bytes, manifest))
    }

    fn open_digest(&self, digest: &Digest) -> Result<(File, u64)> {
        let path = self.blob_path(digest);
        match File::open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(Error::NoBlob { digest: digest.clone() }),
            result => {
                let file = result.at(&path)?;
                let size = file.metadata().at(&path)?.len();
                Ok((file, size))
            }
        }
    }

    fn read_verified(&self, file: &File, blob: &Descriptor) -> Result<Vec<u8>> {
        if blob.size > manifest::MAX_BYTES {
            return Err(Error::TooLarge { digest: blob.digest.clone(), size: blob.size });
        }
        let mut bytes = Vec::new();
        file.take(manifest::MAX_BYTES + 1).read_to_end(&mut bytes).at(&self.blob_path(&blob.digest))?;
        let mut verifier = blob.verifier();
        verifier.update(&bytes)?;
        verifier.finish()?;
        Ok(bytes)
    }
}

fn read_part(mut file: File, path: &Path, range: Range<u64>) -> Result<Vec<u8>> {
    file.seek(SeekFrom::Start(range.start)).at(path)?;
    let mut bytes = Vec::new();
    file.take(range.end.saturating_sub(range.start)).read_to_end(&mut bytes).at(path)?;
    Ok(bytes)
}
