//! Which files of an artifact are wanted, and what an earlier pull took.
//!
//! A pull of a part leaves its patterns with the name, so that whoever uses the name later finds what was pulled and
//! does not ask for the rest.

use std::io::Read as _;

use bytes::Bytes;

use super::{Artifact, Result, Session};
use crate::listing::Extent;
use crate::manifest::{self, Descriptor};
use crate::media;
use crate::packaging::{self, HEAD_BYTES, Heads, Needed, Request, Selection};
use crate::reference::Reference;
use crate::store::{self, Entry, Store};

/// Which files of an artifact are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Part {
    /// What the name stands for in the store; all of it where there is nothing.
    #[default]
    Remembered,
    /// All of it, whatever the name stands for.
    Whole,
    /// What the user asks for.
    Asked(Request),
}

impl Artifact {
    /// The manifest, and how much of it.
    pub fn extent(&self) -> Extent {
        let selection = self.plan.selection.as_ref().map(Selection::to_text);
        Extent { manifest: self.descriptor.digest.clone(), selection }
    }

    /// The blobs that are wanted, the config first; for the whole artifact all that the manifest lists.
    pub(super) fn blobs(&self) -> Vec<&Descriptor> {
        match self.plan.selection {
            None => self.manifest.blobs(),
            Some(_) => self.manifest.config.iter().chain(self.plan.blobs()).collect(),
        }
    }

    fn select(mut self, selection: &Selection) -> Result<Self> {
        self.plan = self.plan.select(selection)?;
        let text = self.plan.selection.as_ref().map(Selection::to_text);
        self.descriptor.annotations.extend(text.map(|text| (media::SELECTION.to_owned(), text)));
        Ok(self)
    }
}

impl Session {
    /// The artifact as the store has it, if every blob that is wanted is there.
    pub fn stored(&self, reference: &Reference) -> Result<Option<Artifact>> {
        let Some(entry) = self.entry(reference)? else { return Ok(None) };
        match &self.part {
            Part::Remembered => load(&self.store, &entry),
            Part::Whole if entry.selection().is_some() => Ok(None),
            Part::Whole => load(&self.store, &entry),
            Part::Asked(request) => self.stored_part(&entry, request),
        }
    }

    /// Whether the name stands for a part of an artifact in the store.
    pub fn is_part(&self, reference: &Reference) -> bool {
        self.entry(reference).is_ok_and(|entry| entry.is_some_and(|entry| entry.selection().is_some()))
    }

    fn entry(&self, reference: &Reference) -> Result<Option<Entry>> {
        match self.store.find(&reference.to_string()) {
            Ok(entry) => Ok(Some(entry)),
            Err(store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn stored_part(&self, entry: &Entry, request: &Request) -> Result<Option<Artifact>> {
        let Some(mut artifact) = read(&self.store, entry)? else { return Ok(None) };
        artifact.descriptor.annotations.remove(media::SELECTION);
        let mut heads = Heads::new();
        loop {
            match request.needed(&artifact.plan, &heads)? {
                Needed::Files(selection) => return complete(&self.store, artifact.select(&selection)?),
                Needed::Look(blobs) => {
                    for blob in blobs {
                        let Some(head) = stored_head(&self.store, &blob)? else { return Ok(None) };
                        heads.insert(blob.digest, head);
                    }
                }
            }
        }
    }

    /// Leaves of an artifact that the registry has what is wanted.
    pub(super) async fn narrow(&self, reference: &Reference, artifact: Artifact) -> Result<Artifact> {
        match &self.part {
            Part::Whole => Ok(artifact),
            Part::Remembered => match self.entry(reference)?.as_ref().and_then(Entry::selection) {
                Some(text) => artifact.select(&Selection::from_text(text)?),
                None => Ok(artifact),
            },
            Part::Asked(request) => {
                let selection = self.needed(reference, &artifact, request).await?;
                artifact.select(&selection)
            }
        }
    }

    async fn needed(&self, reference: &Reference, artifact: &Artifact, request: &Request) -> Result<Selection> {
        let mut heads = Heads::new();
        loop {
            match request.needed(&artifact.plan, &heads)? {
                Needed::Files(selection) => return Ok(selection),
                Needed::Look(blobs) => {
                    for blob in blobs {
                        let head = self.prefix(reference, &blob, HEAD_BYTES as u64).await?;
                        heads.insert(blob.digest, head);
                    }
                }
            }
        }
    }
}

/// The first bytes of a blob, if it is in the store and can be read.
fn stored_head(store: &Store, blob: &Descriptor) -> Result<Option<Bytes>> {
    if !store.has_blob(blob)? {
        return Ok(None);
    }
    let mut head = Vec::new();
    let read = store.open_blob(blob)?.take(HEAD_BYTES as u64).read_to_end(&mut head);
    Ok(read.is_ok().then(|| head.into()))
}

/// Loads what a name stands for from the store; `None` when one of its blobs is not there.
pub fn load(store: &Store, entry: &Entry) -> Result<Option<Artifact>> {
    let Some(artifact) = read(store, entry)? else { return Ok(None) };
    match entry.selection() {
        Some(text) => complete(store, artifact.select(&Selection::from_text(text)?)?),
        None => complete(store, artifact),
    }
}

/// Reads the manifest and the config of an entry, if they are there.
fn read(store: &Store, entry: &Entry) -> Result<Option<Artifact>> {
    let (bytes, manifest) = store.manifest(&entry.descriptor.digest)?;
    let config = match &manifest.config {
        Some(config) if !store.has_blob(config)? => return Ok(None),
        Some(config) if config.size <= manifest::MAX_BYTES => store.read_blob(config)?,
        _ => Vec::new(),
    };
    let plan = packaging::plan(&manifest, &config)?;
    let (descriptor, bytes, config) = (entry.descriptor.clone(), Bytes::from(bytes), config.into());
    Ok(Some(Artifact { descriptor, bytes, manifest, config, plan, is_stored: false, is_child: false }))
}

/// The artifact, if all blobs that are wanted of it are there.
fn complete(store: &Store, artifact: Artifact) -> Result<Option<Artifact>> {
    for blob in artifact.blobs() {
        if !store.has_blob(blob)? {
            return Ok(None);
        }
    }
    Ok(Some(Artifact { is_stored: true, ..artifact }))
}
