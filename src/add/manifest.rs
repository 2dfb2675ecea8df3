//! The manifest that is being made.

use std::fs::File;
use std::io::Read as _;

use serde_json::{Value, json};

use super::error::{At, Error, Result};
use super::files::{self, Content, Item};
use super::{Form, Request, folder, modelpack, sniff, to_bytes};
use crate::digest::Digest;
use crate::manifest::{Descriptor, Manifest};
use crate::media;
use crate::store::{Entry, Incoming, Lease, Stop, Store};

/// An artifact before it has a digest.
pub(super) struct Draft {
    /// What is appended to.
    pub base: Option<Digest>,
    /// The manifest without its config, as JSON: what we do not know in it stays.
    document: Value,
    /// The config that it is to have instead of its own.
    pub config: Option<Vec<u8>>,
}

impl Draft {
    pub fn new(request: &Request) -> Self {
        let mut document = json!({"schemaVersion": 2, "mediaType": media::OCI_MANIFEST});
        let of_form = (request.form == Form::ModelPack).then_some(media::MODELPACK);
        if let Some(artifact_type) = request.artifact_type.as_deref().or(of_form) {
            document["artifactType"] = artifact_type.into();
        }
        document["config"] = json!({
            "mediaType": media::EMPTY, "digest": Digest::sha256(b"{}"), "size": 2, "data": "e30=",
        });
        document["layers"] = json!([]);
        let mut annotations = request.annotations.clone();
        annotations.entry(media::CREATED.to_owned()).or_insert_with(|| request.now.clone());
        // It names a file.
        annotations.remove(media::TITLE);
        document["annotations"] = json!(annotations);
        Self { base: None, document, config: None }
    }

    /// What `entry` is, to be appended to.
    pub fn of(store: &Store, entry: &Entry) -> Result<Self> {
        let digest = &entry.descriptor.digest;
        let (bytes, _) = store.manifest(digest)?;
        let unreadable = |source| crate::manifest::Error::Json { digest: digest.clone(), source };
        let document: Value = serde_json::from_slice(&bytes).map_err(unreadable)?;
        if !document["layers"].is_array() {
            return Err(Error::NoLayers(entry.name.clone().unwrap_or_default()));
        }
        Ok(Self { base: Some(digest.clone()), document, config: None })
    }

    pub fn artifact_type(&self) -> Option<&str> {
        self.document.get("artifactType")?.as_str()
    }

    /// The same with the layers that `request` asks for; blocks for as long as they take to be read.
    pub fn with_layers(mut self, store: &Store, lease: &Lease, request: Request, stop: Stop<'_>) -> Result<Self> {
        let Request { sources, annotations, file_type, form, .. } = request;
        let items = files::items(sources, form)?;
        let override_title = annotations.get(media::TITLE);
        self.check_names(&items, override_title.map(String::as_str))?;
        for item in items {
            let title = override_title.cloned().or_else(|| item.name.clone()).ok_or(Error::NoName)?;
            let mut layer = add(store, lease, item, &title, stop)?;
            layer.annotations.extend(annotations.clone());
            if form == Form::ModelPack {
                modelpack::annotate(&mut layer, &title);
            }
            layer.annotations.insert(media::TITLE.to_owned(), title);
            if let Some(file_type) = &file_type {
                layer.media_type.clone_from(file_type);
            }
            self.push(&layer)?;
        }
        Ok(self)
    }

    /// Refuses what would be there twice, before anything is read.
    fn check_names(&self, items: &[Item], override_title: Option<&str>) -> Result<()> {
        let layers = self.document["layers"].as_array().into_iter().flatten();
        let title = |layer: &Value| Some(layer.get("annotations")?.get(media::TITLE)?.as_str()?.to_owned());
        let mut titles: Vec<String> = layers.filter_map(title).collect();
        for item in items {
            let Some(title) = override_title.or(item.name.as_deref()) else { return Err(Error::NoName) };
            let is_odd = title.contains(char::is_control);
            if is_odd || title.split('/').any(|part| matches!(part, "" | "." | "..")) {
                return Err(Error::Title(title.to_owned()));
            }
            if titles.iter().any(|other| is_in_the_way(other, title)) {
                return Err(override_title.map_or_else(|| Error::FileExists(title.to_owned()), |_| Error::TitleExists));
            }
            titles.push(title.to_owned());
        }
        Ok(())
    }

    fn push(&mut self, layer: &Descriptor) -> Result<()> {
        let value = serde_json::to_value(layer).map_err(|source| self.unreadable(source))?;
        if let Some(layers) = self.document["layers"].as_array_mut() {
            layers.push(value);
        }
        Ok(())
    }

    /// The manifest, with the config that the draft has.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let mut document = self.document.clone();
        if let Some(config) = &self.config {
            document["config"] = json!({
                "mediaType": media::MODELPACK_CONFIG, "digest": Digest::sha256(config), "size": config.len(),
            });
        }
        let bytes = to_bytes(&document);
        Manifest::parse(&bytes, &Digest::sha256(&bytes))?;
        Ok(bytes)
    }

    fn unreadable(&self, source: serde_json::Error) -> Error {
        crate::manifest::Error::Json { digest: Digest::sha256(&to_bytes(&self.document)), source }.into()
    }
}

/// Whether both names cannot be in one directory.
fn is_in_the_way(one: &str, other: &str) -> bool {
    let is_below = |path: &str, folder: &str| path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'));
    one == other || is_below(one, other) || is_below(other, one)
}

/// Adds one layer, whose media type is what its bytes look like.
fn add(store: &Store, lease: &Lease, item: Item, title: &str, stop: Stop<'_>) -> Result<Descriptor> {
    let incoming = match item.content {
        Content::Folder(path) => return folder::add(store, lease, &path, title, stop),
        Content::File(path) => Incoming::File(File::open(&path).at(&path)?),
        Content::Stream(stream) => Incoming::Stream(stream),
    };
    let mut layer = store.add_blob(lease, incoming, stop)?;
    let mut head = Vec::new();
    let path = store.blob_path(&layer.digest);
    store.open_blob(&layer)?.take(sniff::BYTES).read_to_end(&mut head).at(&path)?;
    sniff::media_type(&head).clone_into(&mut layer.media_type);
    Ok(layer)
}
