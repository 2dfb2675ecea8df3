//! The files of an artifact as far as they are needed to know it: listed, and read from their beginnings.

use std::collections::HashMap;
use std::ops::Range;

use bytes::{Bytes, BytesMut};
use futures_util::future::try_join_all;
use serde_json::Value;

use super::Named;
use crate::gguf;
use crate::listing::{File, Listing};
use crate::manifest::Descriptor;
use crate::packaging::HEAD_BYTES;
use crate::pull::{self, Artifact, Session};
use crate::reference::Reference;
use crate::store::{self, Snapshot};

/// How much of a GGUF file is read at first; most headers without a tokenizer fit.
const FIRST_BYTES: u64 = 1024 * 1024;
/// How many times as much is read next; a tokenizer of 262,144 tokens takes some 6 MiB.
const GROWTH: u64 = 4;
/// The most that is read of a header.
const MOST_BYTES: u64 = 64 * 1024 * 1024;
/// The most that is read of a template, or of a model's `config.json`.
const MAX_TEXT_BYTES: u64 = 1024 * 1024;

/// An artifact that cannot be looked into.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The registry, or what came from it.
    #[error(transparent)]
    Pull(#[from] pull::Error),
    /// The store.
    #[error(transparent)]
    Store(#[from] store::Error),
}

/// An artifact with the place its bytes come from.
pub(super) struct Content<'a> {
    session: &'a Session,
    reference: Option<&'a Reference>,
    artifact: &'a Artifact,
    snapshot: Option<Snapshot>,
}

impl<'a> Content<'a> {
    pub(super) fn new(
        session: &'a Session,
        reference: Option<&'a Reference>,
        artifact: &'a Artifact,
    ) -> Result<Self, Error> {
        let snapshot = session.store.snapshot(&artifact.extent().key())?;
        Ok(Self { session, reference, artifact, snapshot })
    }

    /// The files: all of them where they are laid out, else those that need not be unpacked.
    pub(super) async fn listing(&self) -> Result<Listing, Error> {
        if let Some(snapshot) = &self.snapshot {
            return Ok(snapshot.listing.clone());
        }
        let plan = &self.artifact.plan;
        let heads = plan.untold().into_iter().map(|blob| async move {
            let head = self.read_blob(blob, 0..HEAD_BYTES as u64).await?;
            Ok::<_, Error>((blob.digest.clone(), head))
        });
        let heads: HashMap<_, _> = try_join_all(heads).await?.into_iter().collect();
        Ok(plan.preview(&self.artifact.descriptor.digest, &heads))
    }

    /// The layers whose files are not known yet.
    pub(super) fn archives(&self) -> Vec<Named> {
        if self.snapshot.is_some() {
            return Vec::new();
        }
        let named = |(path, blob): (Option<&str>, &Descriptor)| Named {
            path: path.map(str::to_owned),
            size: blob.size,
            digest: blob.digest.clone(),
        };
        self.artifact.plan.archives().map(named).collect()
    }

    /// The header of a GGUF file, as far as it can be read; what is missing of it is fetched bit by bit.
    pub(super) async fn header(&self, file: &File) -> Result<Option<gguf::Header>, Error> {
        let most = MOST_BYTES.min(file.size);
        let (mut bytes, mut wanted) = (BytesMut::new(), FIRST_BYTES.min(most));
        loop {
            bytes.extend_from_slice(&self.read(file, bytes.len() as u64..wanted).await?);
            match gguf::parse(&bytes) {
                Ok(header) => return Ok(Some(header)),
                Err(gguf::Error::NotGguf) => return Ok(None),
                Err(gguf::Error::Incomplete { needed, .. }) if needed <= most && wanted < most => {
                    wanted = (wanted * GROWTH).max(needed).min(most);
                }
                Err(gguf::Error::Incomplete { seen, .. }) => return Ok(Some(*seen)),
                Err(error @ gguf::Error::Malformed(_)) => {
                    self.session.progress.note(&format!("{}: {error}", file.path));
                    return Ok(None);
                }
            }
        }
    }

    /// A file as text; what of it goes beyond a megabyte is left out.
    pub(super) async fn text(&self, file: &File) -> Result<String, Error> {
        let bytes = self.read(file, 0..MAX_TEXT_BYTES).await?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// A file as JSON; nothing where it is none.
    pub(super) async fn json(&self, file: &File) -> Result<Value, Error> {
        let bytes = self.read(file, 0..MAX_TEXT_BYTES).await?;
        Ok(serde_json::from_slice(&bytes).unwrap_or_default())
    }

    async fn read(&self, file: &File, range: Range<u64>) -> Result<Bytes, Error> {
        if let Some(snapshot) = &self.snapshot {
            return Ok(snapshot.read_part(&file.path, range)?.into());
        }
        match self.artifact.plan.blobs().into_iter().find(|blob| blob.digest == file.blob) {
            Some(blob) => self.read_blob(blob, range).await,
            None => Ok(Bytes::new()),
        }
    }

    async fn read_blob(&self, blob: &Descriptor, range: Range<u64>) -> Result<Bytes, Error> {
        match self.reference {
            Some(reference) => Ok(self.session.range(reference, blob, range).await?),
            None => Ok(self.session.store.read_part(blob, range)?.into()),
        }
    }
}
