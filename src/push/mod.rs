//! From the store to a registry: the blobs several at once, the manifest when all of them are there.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};

use crate::digest::Digest;
use crate::manifest::{Descriptor, Manifest};
use crate::media;
use crate::progress::Progress;
use crate::pull::{self, Interrupt};
use crate::reference::Reference;
use crate::registry::{self, Client, Sent, Upload};
use crate::store::{self, Entry, Store};

/// How many blobs are sent at once: as for docker and oras some, as each has a connection of its own.
const AT_ONCE: usize = 6;

/// How many repositories blobs may be taken from: a token has to name them all.
const MOST_OTHERS: usize = 4;

/// The result of a push.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a registry did not get an artifact.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Blobs that the manifest lists and the store does not have.
    #[error("{0}: blobs are missing in the store")]
    Incomplete(String),
    /// A destination that is the name of other bytes.
    #[error("{reference} is not the digest of what is pushed, which is {digest}")]
    Digest {
        /// The destination.
        reference: String,
        /// The digest of the manifest.
        digest: Digest,
    },
    /// The registry.
    #[error(transparent)]
    Registry(#[from] registry::Error),
    /// The store.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The user asked to stop.
    #[error(transparent)]
    Pull(#[from] pull::Error),
}

/// What a push needs.
pub struct Session {
    /// The way to registries, with the right to write.
    pub client: Client,
    /// Where the artifact is.
    pub store: Store,
    /// Who watches.
    pub progress: Arc<dyn Progress>,
    /// The user's wish to stop.
    pub interrupt: Interrupt,
}

impl Session {
    /// Sends what `entry` stands for to `destination`; tells the digest of its manifest.
    pub async fn push(&self, entry: &Entry, destination: &Reference) -> Result<Digest> {
        let digest = entry.descriptor.digest.clone();
        let lease = self.store.lease(std::slice::from_ref(&digest))?;
        let (bytes, manifest) = self.store.manifest(&digest)?;
        if destination.digest().is_some_and(|wanted| *wanted != digest) {
            return Err(Error::Digest { reference: destination.to_string(), digest });
        }
        let pushed = tokio::select! {
            pushed = self.send(destination, &manifest, bytes.into()) => pushed.map(|()| digest),
            () = self.interrupt.heard() => Err(pull::Error::Interrupted.into()),
        };
        drop(lease);
        pushed
    }

    async fn send(&self, destination: &Reference, manifest: &Manifest, bytes: Bytes) -> Result<()> {
        let blobs: Vec<Descriptor> = manifest.blobs().into_iter().cloned().collect();
        for blob in &blobs {
            if !self.store.has_blob(blob)? {
                return Err(Error::Incomplete(destination.to_string()));
            }
        }
        self.progress.planned(blobs.len(), crate::manifest::total(&blobs));
        let others = others(&self.store, destination, &blobs)?;
        let sends = blobs.iter().map(|blob| self.send_blob(destination, blob, &others));
        let mut sending = stream::iter(sends).buffer_unordered(AT_ONCE);
        while sending.try_next().await?.is_some() {}
        let media_type = manifest.media_type.as_deref().unwrap_or(media::OCI_MANIFEST);
        Ok(self.client.put_manifest(destination, media_type, &bytes).await?)
    }

    async fn send_blob(&self, destination: &Reference, blob: &Descriptor, others: &[(String, Digest)]) -> Result<()> {
        let name = blob.annotation(media::TITLE).unwrap_or("config").to_owned();
        let other = others.iter().find(|(_, digest)| *digest == blob.digest).map(|(repository, _)| repository.clone());
        let (begun, moved) = (Arc::clone(&self.progress), Arc::clone(&self.progress));
        let (of, digest, title) = (blob.clone(), blob.digest.clone(), name.clone());
        let upload = Upload {
            blob: blob.clone(),
            file: Arc::new(self.store.open_blob(blob)?),
            other,
            begins: Arc::new(move |offset| begun.started(&of, &title, offset)),
            sent: Arc::new(move |bytes| moved.advanced(&digest, bytes)),
        };
        match self.client.upload(destination, &upload).await? {
            Sent::Uploaded => self.progress.finished(&blob.digest),
            Sent::Present | Sent::Mounted => self.progress.skipped(blob, &name),
        }
        Ok(())
    }
}

/// Repositories of the destination's registry, and the blobs of `wanted` that they have as far as the store's names tell.
fn others(store: &Store, destination: &Reference, wanted: &[Descriptor]) -> Result<Vec<(String, Digest)>> {
    let wanted: BTreeSet<&Digest> = wanted.iter().map(|blob| &blob.digest).collect();
    let mut others = Vec::new();
    for (repository, digest) in neighbours(store, destination)? {
        let Ok((_, manifest)) = store.manifest(&digest) else { continue };
        let shared = manifest.blobs().into_iter().filter(|blob| wanted.contains(&blob.digest));
        others.extend(shared.map(|blob| (repository.clone(), blob.digest.clone())));
    }
    let mut repositories = BTreeSet::new();
    others.retain(|(repository, _)| {
        repositories.contains(repository) || {
            repositories.len() < MOST_OTHERS && repositories.insert(repository.clone())
        }
    });
    Ok(others)
}

/// The repositories that a push of `entry` to `destination` may take blobs from.
pub fn repositories(store: &Store, entry: &Entry, destination: &Reference) -> Result<Vec<String>> {
    let (_, manifest) = store.manifest(&entry.descriptor.digest)?;
    let blobs: Vec<Descriptor> = manifest.blobs().into_iter().cloned().collect();
    let repositories = others(store, destination, &blobs)?.into_iter().map(|(repository, _)| repository);
    Ok(repositories.collect::<BTreeSet<_>>().into_iter().collect())
}

/// Artifacts of the same registry in other repositories.
fn neighbours(store: &Store, destination: &Reference) -> Result<Vec<(String, Digest)>> {
    let neighbour = |entry: Entry| {
        let name: Reference = entry.name?.parse().ok()?;
        let is_other = name.registry() == destination.registry() && name.repository() != destination.repository();
        is_other.then(|| (name.repository().to_owned(), entry.descriptor.digest))
    };
    Ok(store.list()?.into_iter().filter_map(neighbour).collect())
}
