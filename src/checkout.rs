//! From the store's blobs to a snapshot: a read-only directory with an artifact's files under their names.
//!
//! A file that is a blob byte for byte is a hard link of it and costs nothing; what lies in an archive is unpacked
//! once. The snapshot is made beside its place and renamed when complete.

use std::io::{self, Read};

use crate::packaging::{self, Entry, Sink};
use crate::pull::{Artifact, verified};
use crate::store::{self, Snapshot, StagedSnapshot, Store};

/// A checkout that did not end.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The layers.
    #[error(transparent)]
    Packaging(#[from] packaging::Error),
    /// The disk.
    #[error(transparent)]
    Store(#[from] store::Error),
}

/// The snapshot of an artifact whose blobs are in the store; made when it is not there. Blocks.
pub fn checkout(store: &Store, artifact: &Artifact) -> Result<Snapshot, Error> {
    let digest = &artifact.descriptor.digest;
    // Before anything is written: a store that can only be read serves what it has.
    if let Some(snapshot) = store.snapshot(digest)? {
        return Ok(snapshot);
    }
    let blobs = artifact.manifest.blobs().into_iter().chain([&artifact.descriptor]);
    let lease = store.lease(&blobs.map(|blob| blob.digest.clone()).collect::<Vec<_>>())?;
    let mut sink = SnapshotSink(store.stage_snapshot(&lease, digest)?);
    let mut open = |blob: &crate::manifest::Descriptor| -> io::Result<Box<dyn Read + Send>> {
        Ok(Box::new(verified(store.open_blob(blob).map_err(io::Error::other)?, blob)))
    };
    let room = store.free_space()?;
    let listing = packaging::lay_out(&artifact.plan, digest, Some(room), &mut open, &mut sink)?;
    Ok(sink.0.commit(&listing)?)
}

struct SnapshotSink(StagedSnapshot);

impl Sink for SnapshotSink {
    fn directory(&mut self, path: &str) -> io::Result<()> {
        self.0.create_dir(path).map_err(io::Error::other)
    }

    fn file(&mut self, entry: &Entry<'_>, content: &mut dyn Read) -> io::Result<()> {
        if entry.whole {
            // The blob was verified when it was committed: no need to read it again.
            return self.0.link_blob(entry.path, entry.blob).map_err(io::Error::other);
        }
        let mut file = self.0.create_file(entry.path, entry.mode & 0o111 != 0).map_err(io::Error::other)?;
        io::copy(content, &mut file).map(drop)
    }

    fn link(&mut self, path: &str, target: &str) -> io::Result<()> {
        self.0.symlink(path, target).map_err(io::Error::other)
    }
}
