//! Podman's artifact store, of the one layout we know, as a place where verified blobs may go.
//!
//! ```text
//! GRAPHROOT/artifacts/        podman's since 5.6: an OCI image layout for all artifacts, mode 0700
//!   index.lock                its lock, fcntl(2) over the whole file; podman holds it for as long as it pulls
//!   index.json                its artifacts, rewritten in place under the lock
//!   oci-layout                comes with the first artifact
//!   blobs/sha256/<hex>        0644; podman believes what is there to be what the name says, and does not fetch it again
//!   artishim-staging/         ours, see [`Staging`](super::Staging); podman does not look at it, and removes it in a reset
//! ```
//!
//! A blob gets its name there by one rename, after it was verified and flushed. A crash leaves at most a whole blob that
//! no artifact refers to, as podman's own crashes do.

use std::collections::HashSet;
use std::fs::{self, File, Metadata, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::fs::FlockOperation;
use rustix::io::Errno;
use serde::Deserialize;

use super::error::{At, Result};
use super::{Store, durable, layout};
use crate::digest::{Algorithm, Digest};
use crate::manifest::{Descriptor, Manifest};
use crate::media;

/// Where blobs are staged: below podman's own directory, so that they are on its filesystem and get its SELinux label.
const STAGING: &str = "artishim-staging";

/// Podman's artifact store, which was as we know it when it was opened.
#[derive(Clone, Debug)]
pub struct PodmanStore {
    root: PathBuf,
}

/// The right to add blobs to podman's artifact store; podman waits meanwhile.
#[derive(Debug)]
pub struct PodmanLock<'a> {
    store: &'a PodmanStore,
    // Unlocked when it is closed, and before the next thread's turn.
    _file: File,
    _turn: MutexGuard<'static, ()>,
}

/// Why a directory is not taken for podman's artifact store.
#[derive(Debug, thiserror::Error)]
#[error("{} {what}", .path.display())]
pub struct Unfamiliar {
    path: PathBuf,
    what: String,
}

/// Such locks belong to the process, and end when any thread closes the file: threads take turns before.
static TURN: Mutex<()> = Mutex::new(());

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Index {
    schema_version: u32,
    media_type: Option<String>,
    manifests: Option<Vec<Descriptor>>,
}

impl PodmanStore {
    /// The artifact store below podman's graph root; nothing if podman, or podman since 5.6, has never used it.
    pub fn open(graph_root: &Path) -> Result<Option<Self>, Unfamiliar> {
        if !graph_root.is_dir() {
            return Err(unfamiliar(graph_root, "is no directory here"));
        }
        let store = Self { root: graph_root.join("artifacts") };
        if is_absent(&store.root) || is_absent(&store.root.join("index.lock")) {
            return Ok(None);
        }
        store.check()?;
        Ok(Some(store))
    }

    /// Its directory.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where blobs are staged that shall go into it.
    pub fn staging(&self) -> PathBuf {
        self.root.join(STAGING)
    }

    /// Whether a blob can be put there and is not there yet.
    pub fn lacks(&self, blob: &Descriptor) -> bool {
        blob.digest.algorithm() == Algorithm::Sha256 && !self.has(blob)
    }

    fn has(&self, blob: &Descriptor) -> bool {
        fs::symlink_metadata(self.blob_path(&blob.digest))
            .is_ok_and(|metadata| metadata.is_file() && metadata.len() == blob.size)
    }

    /// Waits for podman's lock, and calls `wait` first if somebody holds it.
    pub fn lock(&self, wait: impl FnOnce()) -> Result<PodmanLock<'_>> {
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let path = self.root.join("index.lock");
        let file = File::options().read(true).write(true).open(&path).at(&path)?;
        match rustix::fs::fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::AGAIN | Errno::ACCESS) => {
                wait();
                rustix::io::retry_on_intr(|| rustix::fs::fcntl_lock(&file, FlockOperation::LockExclusive)).at(&path)?;
            }
            result => result.at(&path)?,
        }
        Ok(PodmanLock { store: self, _file: file, _turn: turn })
    }

    fn check(&self) -> Result<(), Unfamiliar> {
        let root = directory(&self.root)?;
        plain(&self.root.join("index.lock"), Metadata::is_file, "is no file")?;
        // What is empty lacks what comes with the first artifact.
        let is_used = !self.artifacts()?.is_empty();
        let layout = self.root.join("oci-layout");
        if is_used || !is_absent(&layout) {
            layout::check_version(&self.root).map_err(|_| unfamiliar(&layout, "is not of version 1.0.0"))?;
        }
        for path in [self.root.join("blobs"), self.blobs()] {
            if (is_used || !is_absent(&path)) && directory(&path)?.dev() != root.dev() {
                return Err(unfamiliar(&path, "is on another filesystem"));
            }
        }
        Ok(())
    }

    /// The artifacts of the index. While podman writes it, it cannot be read without the lock.
    fn artifacts(&self) -> Result<Vec<Descriptor>, Unfamiliar> {
        let path = self.root.join("index.json");
        plain(&path, Metadata::is_file, "is no file")?;
        read_index(&path).or_else(|_| {
            let _lock = self.lock(|| ()).map_err(|error| unfamiliar(&path, &error.to_string()))?;
            read_index(&path)
        })
    }

    /// What all artifacts refer to; nothing is known where one of them cannot be read.
    fn referenced(&self) -> Option<HashSet<Digest>> {
        let mut referenced = HashSet::new();
        for artifact in read_index(&self.root.join("index.json")).ok()? {
            let manifest = Manifest::parse(&fs::read(self.blob_path(&artifact.digest)).ok()?, &artifact.digest).ok()?;
            if manifest.manifests.is_some() {
                return None;
            }
            referenced.extend(manifest.blobs().into_iter().map(|blob| blob.digest.clone()));
            referenced.insert(artifact.digest);
        }
        Some(referenced)
    }

    fn blobs(&self) -> PathBuf {
        self.root.join("blobs").join(Algorithm::Sha256.as_str())
    }

    fn blob_path(&self, digest: &Digest) -> PathBuf {
        self.root.join("blobs").join(digest.algorithm().as_str()).join(digest.hex())
    }
}

impl PodmanLock<'_> {
    /// Moves blobs from `staging`; those that podman has by now stay there.
    pub fn put(&self, staging: &Store, blobs: &[Descriptor]) -> Result<()> {
        for path in [self.store.root.join("blobs"), self.store.blobs()] {
            if is_absent(&path) {
                durable::create_dir(&path)?;
                path.parent().map_or(Ok(()), durable::sync_dir)?;
            }
        }
        for blob in blobs.iter().filter(|blob| self.store.lacks(blob)) {
            let staged = staging.blob_path(&blob.digest);
            fs::set_permissions(&staged, Permissions::from_mode(durable::WRITABLE)).at(&staged)?;
            durable::publish(&staged, &self.store.blob_path(&blob.digest))?;
        }
        Ok(())
    }

    /// Moves back to `staging` those of `blobs` that none of podman's artifacts refers to.
    pub fn take_back(&self, staging: &Store, blobs: &[Descriptor]) -> Result<()> {
        let Some(referenced) = self.store.referenced() else {
            tracing::warn!(store = %self.store.root.display(), "podman's artifacts cannot be read, so blobs stay there");
            return Ok(());
        };
        for blob in blobs.iter().filter(|blob| !referenced.contains(&blob.digest) && self.store.has(blob)) {
            durable::publish(&self.store.blob_path(&blob.digest), &staging.blob_path(&blob.digest))?;
        }
        Ok(())
    }
}

fn read_index(path: &Path) -> Result<Vec<Descriptor>, Unfamiliar> {
    let bytes = fs::read(path).map_err(|error| unfamiliar(path, &format!("cannot be read: {error}")))?;
    match serde_json::from_slice::<Index>(&bytes) {
        Ok(Index { schema_version: 2, media_type, manifests })
            if media_type.as_deref().is_none_or(|kind| kind == media::OCI_INDEX) =>
        {
            Ok(manifests.unwrap_or_default())
        }
        _ => Err(unfamiliar(path, "is no index we know")),
    }
}

fn directory(path: &Path) -> Result<Metadata, Unfamiliar> {
    plain(path, Metadata::is_dir, "is no directory")
}

/// What is at `path`, which must be ours, of the right kind, and no link to it.
fn plain(path: &Path, is_right: fn(&Metadata) -> bool, wrong: &str) -> Result<Metadata, Unfamiliar> {
    let metadata = fs::symlink_metadata(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => unfamiliar(path, "does not exist"),
        _ => unfamiliar(path, &format!("cannot be looked at: {error}")),
    })?;
    if metadata.is_symlink() {
        return Err(unfamiliar(path, "is a symbolic link"));
    }
    if !is_right(&metadata) {
        return Err(unfamiliar(path, wrong));
    }
    if metadata.uid() != rustix::process::geteuid().as_raw() {
        return Err(unfamiliar(path, "belongs to another user"));
    }
    Ok(metadata)
}

fn is_absent(path: &Path) -> bool {
    fs::symlink_metadata(path).is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
}

fn unfamiliar(path: &Path, what: &str) -> Unfamiliar {
    Unfamiliar { path: path.to_owned(), what: what.to_owned() }
}
