//! From the store's blobs to a snapshot: a read-only directory with an artifact's files under their names.
//!
//! A file that is a blob byte for byte is a hard link of it and costs nothing; what lies in an archive is unpacked
//! once, and while it arrives if it was not here. The snapshot is made beside its place and renamed when complete, and
//! when all that it was made of has been verified.

use std::io::{self, Read};
use std::sync::Arc;

use crate::listing::Listing;
use crate::manifest::Descriptor;
use crate::packaging::{self, Entry, Open, Sink};
use crate::pull::{self, Arrivals, Artifact, Session, verified};
use crate::reference::Reference;
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
    /// The blobs.
    #[error(transparent)]
    Pull(#[from] pull::Error),
    /// The thread that writes the files ended without a result.
    #[error("the unpacking was stopped")]
    Stopped(#[source] tokio::task::JoinError),
}

/// Fetches what is missing of an artifact and lays it out. The artifact gets its name when both have ended well.
pub async fn fetch_and_check_out(
    session: &Session,
    reference: &Reference,
    artifact: Artifact,
) -> Result<Snapshot, Error> {
    fetch_and_unpack(session, reference, artifact).await.map_err(|error| match error {
        Error::Packaging(error) => pull::Error::from(error).of(reference).into(),
        other => other,
    })
}

async fn fetch_and_unpack(session: &Session, reference: &Reference, artifact: Artifact) -> Result<Snapshot, Error> {
    let store = session.store.clone();
    let is_unpacked = store.snapshot(&artifact.extent().key())?.is_some();
    if artifact.is_stored || is_unpacked || !artifact.plan.has_archives() {
        let artifact = session.fetch(reference, artifact).await?;
        return blocking(move || checkout(&store, &artifact)).await;
    }
    let arrivals = FailOnDrop(Arc::default());
    let (coming, unpacked) = (Arc::clone(&arrivals.0), artifact.clone());
    let unpacking = tokio::task::spawn_blocking(move || unpack_arriving(&store, &unpacked, &coming));
    let collected = session.collect(reference, &artifact, &arrivals.0).await;
    match &collected {
        Ok(_) => arrivals.0.end(),
        Err(_) => arrivals.0.fail(),
    }
    let unpacked = unpacking.await.map_err(Error::Stopped)?;
    let lease = collected?;
    let (store, stored) = (session.store.clone(), artifact.clone());
    let snapshot = blocking(move || finish(&store, &stored, unpacked)).await?;
    session.name(reference, &artifact, &lease).await?;
    Ok(snapshot)
}

/// Arrivals that have failed when nobody brings them any more.
struct FailOnDrop(Arc<Arrivals>);

impl Drop for FailOnDrop {
    fn drop(&mut self) {
        self.0.fail();
    }
}

type Unpacked = (StagedSnapshot, Listing);

/// Shows what was unpacked, now that all of it has been verified.
///
/// What is wrong with it may be due to bytes that were fetched again since, so only a checkout from the store tells.
fn finish(store: &Store, artifact: &Artifact, unpacked: Result<Unpacked, Error>) -> Result<Snapshot, Error> {
    match unpacked {
        Ok((staged, listing)) => Ok(staged.commit(&listing)?),
        Err(error) => {
            tracing::debug!(%error, "unpacking from the store");
            checkout(store, artifact)
        }
    }
}

/// What is read is verified here once more: the pull verifies a blob after it came, and perhaps fetches it again.
fn unpack_arriving(store: &Store, artifact: &Artifact, arrivals: &Arc<Arrivals>) -> Result<Unpacked, Error> {
    let mut open = |blob: &Descriptor| -> io::Result<Box<dyn Read + Send>> {
        Ok(Box::new(verified(arrivals.follow(store, blob), blob)))
    };
    unpack(store, artifact, &mut open, Some(arrivals))
}

fn unpack(store: &Store, artifact: &Artifact, open: Open<'_>, arrivals: Option<&Arrivals>) -> Result<Unpacked, Error> {
    let digest = &artifact.descriptor.digest;
    let blobs = artifact.manifest.blobs().into_iter().chain([&artifact.descriptor]);
    let lease = store.lease(&blobs.map(|blob| blob.digest.clone()).collect::<Vec<_>>())?;
    let mut sink = SnapshotSink { staged: store.stage_snapshot(&lease, &artifact.extent().key())?, arrivals };
    let room = store.free_space()?;
    let listing = packaging::lay_out(&artifact.plan, digest, Some(room), open, &mut sink)?;
    Ok((sink.staged, listing))
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, Error> + Send + 'static) -> Result<T, Error> {
    tokio::task::spawn_blocking(work).await.map_err(Error::Stopped)?
}

/// The snapshot of an artifact whose blobs are in the store; made when it is not there. Blocks.
pub fn checkout(store: &Store, artifact: &Artifact) -> Result<Snapshot, Error> {
    // Before anything is written: a store that can only be read serves what it has.
    if let Some(snapshot) = store.snapshot(&artifact.extent().key())? {
        return Ok(snapshot);
    }
    let mut open = |blob: &Descriptor| -> io::Result<Box<dyn Read + Send>> {
        Ok(Box::new(verified(store.open_blob(blob).map_err(io::Error::other)?, blob)))
    };
    let (staged, listing) = unpack(store, artifact, &mut open, None)?;
    Ok(staged.commit(&listing)?)
}

struct SnapshotSink<'a> {
    staged: StagedSnapshot,
    /// What has to be waited for; without it every blob is in the store.
    arrivals: Option<&'a Arrivals>,
}

impl Sink for SnapshotSink<'_> {
    fn directory(&mut self, path: &str) -> io::Result<()> {
        self.staged.create_dir(path).map_err(io::Error::other)
    }

    fn file(&mut self, entry: &Entry<'_>, content: &mut dyn Read) -> io::Result<()> {
        if entry.whole {
            // The blob was verified when it was committed: no need to read it again.
            self.arrivals.map_or(Ok(()), |arrivals| arrivals.wait(&entry.blob.digest))?;
            return self.staged.link_blob(entry.path, entry.blob).map_err(io::Error::other);
        }
        let mut file = self.staged.create_file(entry.path, entry.mode & 0o111 != 0).map_err(io::Error::other)?;
        io::copy(content, &mut file).map(drop)
    }

    fn link(&mut self, path: &str, target: &str) -> io::Result<()> {
        self.staged.symlink(path, target).map_err(io::Error::other)
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};

    use bytes::Bytes;

    use super::*;
    use crate::manifest::Manifest;

    #[test]
    fn what_was_staged_wrong_is_not_unpacked_though_all_of_it_was_there() {
        let mut builder = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_ustar();
        header.set_path("m.gguf").unwrap();
        header.set_size(4);
        header.set_mode(0o644);
        header.set_cksum();
        builder.append(&header, &b"GGUF"[..]).unwrap();
        let right = builder.into_inner().unwrap();
        let digest = crate::digest::Digest::sha256(&right);
        let kind = "application/vnd.cncf.model.weight.v1.tar";
        let json = format!(r#"{{"layers":[{{"mediaType":"{kind}","digest":"{digest}","size":{}}}]}}"#, right.len());
        let descriptor = Descriptor::new("", crate::digest::Digest::sha256(json.as_bytes()), json.len() as u64);
        let manifest = Manifest::parse(json.as_bytes(), &descriptor.digest).unwrap();
        let plan = packaging::plan(&manifest, &[]).unwrap();
        let (bytes, config) = (Bytes::from(json), Bytes::new());
        let artifact = Artifact { descriptor, bytes, manifest, config, plan, is_stored: false, is_child: false };
        // In the content, of which a tar has no sum of its own.
        let mut wrong = right.clone();
        wrong[513] ^= 1;
        for (staged, is_right) in [(right, true), (wrong, false)] {
            let directory = tempfile::tempdir().unwrap();
            let store = Store::open(&directory.path().join("store")).unwrap();
            let path = directory.path().join("staged");
            fs::write(&path, &staged).unwrap();
            let arrivals = Arc::new(Arrivals::default());
            arrivals.begin(&digest, Arc::new(File::open(&path).unwrap()), staged.len() as u64);
            assert_eq!(unpack_arriving(&store, &artifact, &arrivals).is_ok(), is_right);
        }
    }
}
