//! An artifact in a registry: blobs, manifests that name them, and nothing about what it means.

use super::bytes::digest;

/// Name, digest and size.
type Named = (String, String, u64);
/// A tag or digest, and a manifest's bytes.
type Versioned = (String, Vec<u8>);

/// The manifest type that most producers write.
pub const OCI: &str = "application/vnd.oci.image.manifest.v1+json";
/// The tag every artifact is pushed with.
pub const TAG: &str = "1";

/// A place that artifacts are pushed to; the error is the registry's own word.
pub trait Target {
    fn blob(&mut self, digest: &str, bytes: &[u8]) -> Result<(), String>;
    fn manifest(&mut self, version: &str, media_type: &str, json: &[u8]) -> Result<(), String>;
}

/// Blobs and manifests. In a manifest `"@name"` stands for digest and size of a blob, or of a manifest before it.
#[derive(Clone, Default)]
pub struct Artifact {
    blobs: Vec<Blob>,
    documents: Vec<Document>,
}

#[derive(Clone)]
struct Blob {
    name: String,
    digest: String,
    /// What manifests say.
    size: u64,
    bytes: Vec<u8>,
    /// Whether the registry has it.
    is_pushed: bool,
}

#[derive(Clone)]
struct Document {
    /// A tag; or the name of a child, which is pushed by its digest.
    version: Version,
    json: Vec<u8>,
}

#[derive(Clone)]
enum Version {
    Tag(String),
    Child(String),
    /// Served for a digest that is not its own.
    Lie(String),
}

impl Artifact {
    pub fn blob(self, name: &str, bytes: impl Into<Vec<u8>>) -> Self {
        let bytes = bytes.into();
        let digest = digest(&bytes);
        self.blob_as(name, &digest, bytes)
    }

    /// A blob that the registry gives for a digest that need not be its own.
    pub fn blob_as(mut self, name: &str, digest: &str, bytes: impl Into<Vec<u8>>) -> Self {
        let bytes = bytes.into();
        let (name, digest, size) = (name.to_owned(), digest.to_owned(), bytes.len() as u64);
        self.blobs.push(Blob { name, digest, size, bytes, is_pushed: true });
        self
    }

    /// A blob whose size manifests get wrong.
    pub fn blob_of_size(self, name: &str, size: u64, bytes: impl Into<Vec<u8>>) -> Self {
        let mut artifact = self.blob(name, bytes);
        artifact.blobs.iter_mut().filter(|blob| blob.name == name).for_each(|blob| blob.size = size);
        artifact
    }

    /// A blob that manifests name and the registry does not have.
    pub fn absent(self, name: &str, bytes: impl Into<Vec<u8>>) -> Self {
        let mut artifact = self.blob(name, bytes);
        artifact.blobs.iter_mut().filter(|blob| blob.name == name).for_each(|blob| blob.is_pushed = false);
        artifact
    }

    /// The manifest that [`TAG`] names.
    pub fn manifest(self, json: impl Into<Vec<u8>>) -> Self {
        self.document(Version::Tag(TAG.to_owned()), json.into())
    }

    /// A manifest under another tag.
    pub fn tagged(self, tag: &str, json: impl Into<Vec<u8>>) -> Self {
        self.document(Version::Tag(tag.to_owned()), json.into())
    }

    /// A manifest for an index to name.
    pub fn child(self, name: &str, json: impl Into<Vec<u8>>) -> Self {
        self.document(Version::Child(name.to_owned()), json.into())
    }

    /// A manifest that the registry gives for a digest that is not its own.
    pub fn child_as(self, digest: &str, json: impl Into<Vec<u8>>) -> Self {
        self.document(Version::Lie(digest.to_owned()), json.into())
    }

    fn document(mut self, version: Version, json: Vec<u8>) -> Self {
        self.documents.push(Document { version, json });
        self
    }

    /// The digest of a blob or child, for an error's text; the name itself where there is none.
    pub fn digest_of(&self, name: &str) -> String {
        let found = self.names().into_iter().find(|(known, ..)| known == name);
        found.map_or_else(|| name.to_owned(), |(_, digest, _)| digest)
    }

    /// `text` with a digest for each `@name`.
    pub fn fill(&self, text: &str) -> String {
        let mut names = self.names();
        // The longest first, or a name would be found in the middle of another.
        names.sort_by_key(|(name, ..)| std::cmp::Reverse(name.len()));
        names.iter().fold(text.to_owned(), |text, (name, digest, _)| text.replace(&format!("@{name}"), digest))
    }

    /// Pushes everything, children before what names them.
    pub fn push(&self, target: &mut dyn Target) -> Result<(), String> {
        for blob in self.blobs.iter().filter(|blob| blob.is_pushed) {
            target.blob(&blob.digest, &blob.bytes)?;
        }
        for (version, json) in self.manifests() {
            target.manifest(&version, &media_type(&json), &json)?;
        }
        Ok(())
    }

    /// The version and the bytes of each manifest, names resolved.
    fn manifests(&self) -> Vec<Versioned> {
        self.resolve().1
    }

    /// Name, digest and size of everything that can be named.
    fn names(&self) -> Vec<Named> {
        self.resolve().0
    }

    fn resolve(&self) -> (Vec<Named>, Vec<Versioned>) {
        let mut names: Vec<Named> =
            self.blobs.iter().map(|blob| (blob.name.clone(), blob.digest.clone(), blob.size)).collect();
        let mut manifests = Vec::new();
        for document in &self.documents {
            let json = resolve(&document.json, &names);
            let digest = digest(&json);
            let version = match &document.version {
                Version::Tag(tag) => tag.clone(),
                Version::Lie(other) => other.clone(),
                Version::Child(name) => {
                    names.push((name.clone(), digest.clone(), json.len() as u64));
                    digest
                }
            };
            manifests.push((version, json));
        }
        (names, manifests)
    }
}

fn resolve(json: &[u8], names: &[Named]) -> Vec<u8> {
    let Ok(text) = std::str::from_utf8(json) else { return json.to_owned() };
    let described = |text: String, (name, digest, size): &(String, String, u64)| {
        text.replace(&format!(r#""@{name}""#), &format!(r#""{digest}","size":{size}"#))
    };
    names.iter().fold(text.to_owned(), described).into_bytes()
}

/// What a producer says when it pushes: the manifest's own word, else what most mean.
fn media_type(json: &[u8]) -> String {
    let json: serde_json::Value = serde_json::from_slice(json).unwrap_or_default();
    let guess = if json.get("manifests").is_some() { "application/vnd.oci.image.index.v1+json" } else { OCI };
    json["mediaType"].as_str().unwrap_or(guess).to_owned()
}
