//! Artifacts made of files, as `podman artifact add` makes them, or as a ModelPack that says what model it is.
//!
//! The blobs come first, the manifest after them and the name last, all under one lease: whoever finds the name finds
//! everything below it, and of an attempt that failed only blobs stay, for the next sweep.

mod error;
mod files;
mod folder;
mod manifest;
mod modelpack;
mod sniff;

use std::io::Read;
use std::path::PathBuf;

use serde_json::Value;

pub use self::error::{Error, Result};
use self::manifest::Draft;
use crate::digest::Digest;
use crate::manifest::{Annotations, Descriptor};
use crate::media;
use crate::pull::Session;
use crate::reference::Reference;
use crate::store::{self, Entry, Lease, Store};

/// What is to become an artifact.
pub struct Request {
    /// The files, in the order of the layers.
    pub sources: Vec<Source>,
    /// Annotations of each new layer, and of a new manifest.
    pub annotations: Annotations,
    /// The type of a new artifact.
    pub artifact_type: Option<String>,
    /// The media type of the new layers, where it is not to be told from their content.
    pub file_type: Option<String>,
    /// How files become layers.
    pub form: Form,
    /// What happens to an artifact of this name.
    pub existing: Existing,
    /// When this is, as RFC 3339.
    pub now: String,
}

/// Where the bytes of a layer come from.
pub enum Source {
    /// A file or directory.
    Path(PathBuf),
    /// Something without a name, which an annotation must give.
    Stream(Box<dyn Read + Send>),
}

/// How files become layers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    /// A layer with a title for each; a directory is one layer that ORAS unpacks.
    #[default]
    Files,
    /// The model-spec's: a layer for each file, also for those in directories, and a config that says what model it is.
    ModelPack,
}

/// What happens to an artifact of the name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Existing {
    /// It stays, and the request is refused.
    #[default]
    Refuse,
    /// The new layers come behind its own.
    Append,
    /// It loses its name; nothing of this name is fine, too.
    Replace,
}

/// Makes the artifact and gives it the name; tells the digest of its manifest.
pub async fn add(session: &Session, name: &Reference, request: Request) -> Result<Digest> {
    let (form, existing) = (request.form, request.existing);
    let lease = session.store.lease(&[])?;
    let draft = begin(&session.store, name, &request)?;
    lease.add(draft.base.as_slice())?;
    let (store, under) = (session.store.clone(), lease.clone());
    let interrupt = session.interrupt.clone();
    let draft =
        tokio::task::spawn_blocking(move || draft.with_layers(&store, &under, request, &|| interrupt.is_heard()));
    let mut draft = draft.await.map_err(|_| Error::Stopped)??;
    if form == Form::ModelPack {
        draft.config = Some(modelpack::config(session, &lease, &draft).await?);
    }
    finish(&session.store, &lease, name, &draft, existing)
}

/// What the artifact begins with; an error for what need not be read to be refused.
fn begin(store: &Store, name: &Reference, request: &Request) -> Result<Draft> {
    match (find(store, name)?, request.existing) {
        (Some(_), Existing::Refuse) => Err(Error::Exists(name.to_string())),
        (None, Existing::Append) => Err(store::Error::NotFound { text: name.to_string() }.into()),
        (Some(entry), Existing::Append) if entry.selection().is_some() => Err(Error::Part(name.to_string())),
        (Some(entry), Existing::Append) => Draft::of(store, &entry),
        (_, Existing::Refuse | Existing::Replace) => Ok(Draft::new(request)),
    }
}

/// Names what was made, unless the name means something else by now than when it was begun.
fn finish(store: &Store, lease: &Lease, name: &Reference, draft: &Draft, existing: Existing) -> Result<Digest> {
    let config = draft.config.as_deref().unwrap_or(b"{}");
    store.put_blob(lease, config, &Digest::sha256(config))?;
    let manifest = draft.to_bytes()?;
    let digest = Digest::sha256(&manifest);
    lease.add(std::slice::from_ref(&digest))?;
    store.put_blob(lease, &manifest, &digest)?;
    let guard = store.exclusive()?;
    let found = find(store, name)?.map(|entry| entry.descriptor.digest);
    match existing {
        Existing::Refuse if found.is_some() => return Err(Error::Exists(name.to_string())),
        Existing::Append if found != draft.base => return Err(Error::Changed(name.to_string())),
        _ => {}
    }
    let mut descriptor = Descriptor::new(media::OCI_MANIFEST, digest.clone(), manifest.len() as u64);
    descriptor.artifact_type = draft.artifact_type().map(str::to_owned);
    store.tag(&guard, name, descriptor)?;
    Ok(digest)
}

/// The entry of exactly this name.
fn find(store: &Store, name: &Reference) -> Result<Option<Entry>> {
    let name = name.to_string();
    Ok(store.list()?.into_iter().find(|entry| entry.name.as_deref() == Some(&name)))
}

/// The value as it is written to disk.
fn to_bytes(value: &Value) -> Vec<u8> {
    value.to_string().into_bytes()
}
