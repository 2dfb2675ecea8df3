//! Manifests and descriptors as registries hold them.
//!
//! Reading is tolerant where producers differ (no media type, `blobs` for `layers`, unknown fields) and strict where a
//! mistake could do harm: digests are validated here, sizes cannot be negative, and a document that is both a
//! manifest and an index is refused (CVE-2021-41190).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::digest::{Digest, Mismatch, Verifier};
use crate::media;

/// The most bytes a manifest may have: what registries take and oras reads.
pub const MAX_BYTES: u64 = 4 * 1024 * 1024;

/// The most bytes of all blobs together; the image-spec's sizes are of 63 bits, and here they may be added up.
const MAX_SIZE: u64 = i64::MAX as u64;

/// Annotations of a manifest or descriptor.
pub type Annotations = BTreeMap<String, String>;

/// A blob's type, digest and size, as a manifest lists it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// The media type as written; see [`Descriptor::kind`] for comparing.
    #[serde(default)]
    pub media_type: String,
    /// The digest of the bytes.
    pub digest: Digest,
    /// The number of bytes.
    pub size: u64,
    /// Free annotations.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: Annotations,
    /// The type of the artifact an index entry points to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// The platform of an index entry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
    /// The bytes themselves in base64, as podman writes the empty config.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
    /// Ollama's own field on tensor and json layers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// KitOps' own field on index entries, of any shape.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model_metadata: Option<serde_json::Value>,
}

/// The platform of an index entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Platform {
    /// Go's name of the processor.
    #[serde(default)]
    pub architecture: String,
    /// Go's name of the system.
    #[serde(default)]
    pub os: String,
    /// The processor's variant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
}

/// A manifest or an index, whichever of the five media types it came as.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// 2 for all but the deprecated artifact manifest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema_version: Option<u32>,
    /// The document's own word on what it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// The kind of artifact.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// The config blob; the deprecated artifact manifest has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<Descriptor>,
    /// The files; `blobs` in the deprecated artifact manifest.
    #[serde(default, alias = "blobs")]
    pub layers: Vec<Descriptor>,
    /// The children of an index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manifests: Option<Vec<Descriptor>>,
    /// What this artifact is about, for signatures and the like.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Descriptor>,
    /// Free annotations.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: Annotations,
}

/// Bytes that are no manifest.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// More than [`MAX_BYTES`].
    #[error("manifest {0} is larger than {MAX_BYTES} bytes")]
    TooLarge(String),
    /// The bytes are not those the digest names.
    #[error(transparent)]
    Mismatch(#[from] Mismatch),
    /// Not JSON, or not a manifest's JSON.
    #[error("manifest {digest} cannot be read")]
    Json {
        /// The digest of the bytes.
        digest: Digest,
        /// What the parser met.
        #[source]
        source: serde_json::Error,
    },
    /// More bytes than the image-spec has numbers for.
    #[error("the blobs of manifest {0} are said to have more than 2^63 bytes")]
    Size(Digest),
    /// `layers` and `manifests` in one document.
    #[error("manifest {0} has both layers and manifests and could be read in two ways")]
    Ambiguous(Digest),
}

impl Descriptor {
    /// A descriptor without annotations.
    pub fn new(media_type: &str, digest: Digest, size: u64) -> Self {
        Self {
            media_type: media_type.to_owned(),
            digest,
            size,
            annotations: Annotations::new(),
            artifact_type: None,
            platform: None,
            data: None,
            name: None,
            model_metadata: None,
        }
    }

    /// The media type without its parameters (`text/plain; charset=utf-8` is `text/plain`).
    pub fn kind(&self) -> &str {
        without_parameters(&self.media_type)
    }

    /// The annotation `key`, unless it is empty.
    pub fn annotation(&self, key: &str) -> Option<&str> {
        self.annotations.get(key).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// A verifier for this descriptor's bytes.
    pub fn verifier(&self) -> Verifier {
        Verifier::new(&self.digest, self.size)
    }
}

impl Manifest {
    /// Reads a manifest from bytes whose digest has been checked; `digest` is only for the error.
    pub fn parse(bytes: &[u8], digest: &Digest) -> Result<Self, Error> {
        if bytes.len() as u64 > MAX_BYTES {
            return Err(Error::TooLarge(digest.to_string()));
        }
        let manifest: Self =
            serde_json::from_slice(bytes).map_err(|source| Error::Json { digest: digest.clone(), source })?;
        if manifest.manifests.is_some() && !manifest.layers.is_empty() {
            return Err(Error::Ambiguous(digest.clone()));
        }
        if manifest.total_size().is_none_or(|size| size > MAX_SIZE) {
            return Err(Error::Size(digest.clone()));
        }
        Ok(manifest)
    }

    /// Reads a manifest after checking `bytes` against `digest`.
    pub fn parse_verified(bytes: &[u8], digest: &Digest) -> Result<Self, Error> {
        let mut verifier = Verifier::new(digest, bytes.len() as u64);
        verifier.update(bytes)?;
        verifier.finish()?;
        Self::parse(bytes, digest)
    }

    /// The bytes of all blobs and children, as often as they are listed; none if no number can hold them.
    fn total_size(&self) -> Option<u64> {
        let descriptors = self.config.iter().chain(&self.layers).chain(self.manifests.iter().flatten());
        descriptors.map(|descriptor| descriptor.size).try_fold(0, u64::checked_add)
    }

    /// The document's media type without parameters; guessed from its shape where it does not say.
    pub fn kind(&self) -> &str {
        match &self.media_type {
            Some(media_type) => without_parameters(media_type),
            None if self.manifests.is_some() => media::OCI_INDEX,
            None => media::OCI_MANIFEST,
        }
    }

    /// The artifact type without parameters.
    pub fn artifact_kind(&self) -> Option<&str> {
        self.artifact_type.as_deref().map(without_parameters).filter(|kind| !kind.is_empty())
    }

    /// The config's media type without parameters, empty where there is no config.
    pub fn config_kind(&self) -> &str {
        self.config.as_ref().map(Descriptor::kind).unwrap_or_default()
    }

    /// The config, then the layers: every blob a pull must have, each digest once.
    pub fn blobs(&self) -> Vec<&Descriptor> {
        let mut seen = std::collections::HashSet::new();
        self.config.iter().chain(&self.layers).filter(|blob| seen.insert(&blob.digest)).collect()
    }
}

/// The bytes of all blobs; at most as many as a number holds.
pub fn total<'a>(blobs: impl IntoIterator<Item = &'a Descriptor>) -> u64 {
    blobs.into_iter().fold(0, |total, blob| total.saturating_add(blob.size))
}

fn without_parameters(media_type: &str) -> &str {
    media_type.split(';').next().unwrap_or_default().trim()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(json: &str) -> Result<Manifest, Error> {
        Manifest::parse(json.as_bytes(), &Digest::sha256(json.as_bytes()))
    }

    #[test]
    fn a_document_that_is_manifest_and_index_is_refused() {
        let layer = format!(r#"{{"digest":"{}","size":1}}"#, Digest::sha256(b"x"));
        let both = format!(r#"{{"layers":[{layer}],"manifests":[]}}"#);
        assert!(matches!(parse(&both), Err(Error::Ambiguous(_))));
    }

    #[test]
    fn hostile_digests_and_sizes_do_not_parse() {
        for layer in [
            r#"{"digest":"sha256:../../etc/passwd","size":1}"#,
            r#"{"digest":"md5:d41d8cd98f00b204e9800998ecf8427e","size":1}"#,
            r#"{"digest":"sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824","size":-1}"#,
        ] {
            assert!(matches!(parse(&format!(r#"{{"layers":[{layer}]}}"#)), Err(Error::Json { .. })), "{layer}");
        }
    }

    #[test]
    fn sizes_that_cannot_be_added_up_are_refused() {
        let digest = Digest::sha256(b"x");
        let layer = |size: u64| format!(r#"{{"digest":"{digest}","size":{size}}}"#);
        let most = i64::MAX as u64;
        assert!(parse(&format!(r#"{{"layers":[{},{}]}}"#, layer(most - 1), layer(1))).is_ok());
        for sizes in [&[most, 1][..], &[u64::MAX, 1], &[u64::MAX], &[most, most, most]] {
            let layers: Vec<String> = sizes.iter().map(|size| layer(*size)).collect();
            for list in ["layers", "manifests"] {
                let result = parse(&format!(r#"{{"{list}":[{}]}}"#, layers.join(",")));
                assert!(matches!(result, Err(Error::Size(_))), "{sizes:?}");
            }
        }
    }

    #[test]
    fn bytes_are_checked_before_they_are_read() {
        let wrong = Manifest::parse_verified(b"not json", &Digest::sha256(b"{}"));
        assert!(matches!(wrong, Err(Error::Mismatch(Mismatch::Digest { .. }))));
    }

    #[test]
    fn the_deprecated_artifact_manifest_has_blobs_for_layers() {
        let blob =
            format!(r#"{{"mediaType":"text/plain; charset=utf-8","digest":"{}","size":1}}"#, Digest::sha256(b"x"));
        let manifest = parse(&format!(r#"{{"mediaType":"{}","blobs":[{blob}]}}"#, media::ARTIFACT_MANIFEST)).unwrap();
        assert_eq!(manifest.layers[0].kind(), "text/plain");
        assert_eq!(manifest.kind(), media::ARTIFACT_MANIFEST);
    }

    #[test]
    fn a_blob_listed_twice_is_one_blob() {
        let layer = format!(r#"{{"digest":"{}","size":1}}"#, Digest::sha256(b"x"));
        assert_eq!(parse(&format!(r#"{{"layers":[{layer},{layer}]}}"#)).unwrap().blobs().len(), 1);
    }
}
