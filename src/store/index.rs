//! `index.json`: the names of the store's artifacts, replaced as a whole under the exclusive lock.

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::error::{At, Error, Result};
use super::lock::Exclusive;
use super::{Store, durable, find};
use crate::digest::Digest;
use crate::listing::Extent;
use crate::manifest::Descriptor;
use crate::media;
use crate::reference::Reference;

/// One line of the index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The full reference, or whatever another tool wrote there.
    pub name: Option<String>,
    /// The manifest, with the annotations of its index entry.
    pub descriptor: Descriptor,
}

/// The document; what we do not know in it, and entries we cannot read, are written back as they were.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Index {
    schema_version: u32,
    #[serde(default = "index_media_type")]
    media_type: String,
    #[serde(default)]
    manifests: Vec<Value>,
    #[serde(flatten)]
    rest: serde_json::Map<String, Value>,
}

fn index_media_type() -> String {
    media::OCI_INDEX.to_owned()
}

impl Entry {
    fn new(descriptor: Descriptor) -> Self {
        Self { name: descriptor.annotation(media::REF_NAME).map(str::to_owned), descriptor }
    }

    fn read(value: &Value) -> Option<Self> {
        Descriptor::deserialize(value).ok().map(Self::new)
    }

    /// The part of the manifest that the name stands for; all where there is none.
    pub fn selection(&self) -> Option<&str> {
        self.descriptor.annotation(media::SELECTION)
    }

    /// The manifest, and how much of it.
    pub fn extent(&self) -> Extent {
        Extent { manifest: self.descriptor.digest.clone(), selection: self.selection().map(str::to_owned) }
    }
}

impl Store {
    /// All artifacts, in the order of the index; entries that cannot be read are left out.
    pub fn list(&self) -> Result<Vec<Entry>> {
        Ok(load(self.root())?.manifests.iter().filter_map(Entry::read).collect())
    }

    /// The artifact `text` means: a name, a name as users type it, `name@digest`, a digest, or four characters or more
    /// of its hex.
    pub fn find(&self, text: &str) -> Result<Entry> {
        find::find(&self.list()?, text)
    }

    /// Gives `name` to a manifest that is in the store, taking it from the one that had it.
    ///
    /// A manifest whose last name is taken leaves the index and is swept by the next [`Store::gc`].
    pub fn tag(&self, _guard: &Exclusive, name: &Reference, mut manifest: Descriptor) -> Result<()> {
        if !self.has_blob(&manifest)? {
            return Err(Error::NoBlob { digest: manifest.digest });
        }
        if name.digest().is_some_and(|digest| !find::stands_for(&manifest, digest)) {
            return Err(Error::Pinned { name: name.to_string(), digest: manifest.digest });
        }
        // A name that survives a crash must not stand for blobs whose names do not.
        self.sync_blobs()?;
        manifest.annotations.insert(media::REF_NAME.to_owned(), name.to_string());
        let entry = Entry::new(manifest);
        let mut index = load(self.root())?;
        let value = serde_json::to_value(&entry.descriptor).map_err(|source| damaged(self.root(), source))?;
        let is_named = |value: &Value| Entry::read(value).is_some_and(|other| other.name == entry.name);
        let place = index.manifests.iter().position(is_named).unwrap_or(index.manifests.len());
        index.manifests.retain(|other| !is_named(other));
        index.manifests.insert(place, value);
        save(self.root(), &index)
    }

    /// Takes the name from `entry`, which stays without one unless another name stands for the same.
    pub fn unname(&self, guard: &Exclusive, entry: &Entry) -> Result<()> {
        self.untag(guard, entry)?;
        self.keep_nameless(guard, entry)
    }

    /// Keeps what `entry` stands for although it has no name; nothing changes where one stands for the same.
    pub fn keep_nameless(&self, _guard: &Exclusive, entry: &Entry) -> Result<()> {
        let mut index = load(self.root())?;
        let others = index.manifests.iter().filter_map(Entry::read);
        if others.map(|other| other.extent()).any(|extent| extent == entry.extent()) {
            return Ok(());
        }
        self.sync_blobs()?;
        let mut descriptor = entry.descriptor.clone();
        descriptor.annotations.remove(media::REF_NAME);
        index.manifests.push(serde_json::to_value(&descriptor).map_err(|source| damaged(self.root(), source))?);
        save(self.root(), &index)
    }

    /// Takes `entry` out of the index; its blobs are swept by the next [`Store::gc`].
    pub fn untag(&self, _guard: &Exclusive, entry: &Entry) -> Result<()> {
        let mut index = load(self.root())?;
        let before = index.manifests.len();
        index.manifests.retain(|value| !Entry::read(value).is_some_and(|other| is_same(&other, entry)));
        if index.manifests.len() == before {
            let text = entry.name.clone().unwrap_or_else(|| entry.descriptor.digest.to_string());
            return Err(Error::NotFound { text });
        }
        save(self.root(), &index)
    }
}

fn is_same(one: &Entry, other: &Entry) -> bool {
    one.name == other.name && one.extent() == other.extent()
}

/// Writes an index without entries.
pub(super) fn create(root: &Path) -> Result<()> {
    let empty = Index {
        schema_version: 2,
        media_type: index_media_type(),
        manifests: Vec::new(),
        rest: serde_json::Map::default(),
    };
    save(root, &empty)
}

/// The digests of all entries but `without`, also of those that cannot be read otherwise.
pub(super) fn roots(root: &Path, without: &[Entry]) -> Result<Vec<Digest>> {
    let digest = |value: &Value| value.get("digest")?.as_str()?.parse().ok();
    let is_kept = |value: &&Value| !Entry::read(value).is_some_and(|entry| without.contains(&entry));
    Ok(load(root)?.manifests.iter().filter(is_kept).filter_map(digest).collect())
}

fn load(root: &Path) -> Result<Index> {
    let path = root.join("index.json");
    let bytes = fs::read(&path).at(&path)?;
    serde_json::from_slice(&bytes).map_err(|source| Error::Damaged { path, source })
}

fn save(root: &Path, index: &Index) -> Result<()> {
    let bytes = serde_json::to_vec(index).map_err(|source| damaged(root, source))?;
    durable::replace(&root.join("index.json"), &root.join(".index.json.tmp"), &bytes)
}

fn damaged(root: &Path, source: serde_json::Error) -> Error {
    Error::Damaged { path: root.join("index.json"), source }
}
