//! The signatures that lie beside an artifact in its repository: under a tag, as cosign began, and among its referrers.

use super::{Result, Session};
use crate::digest::Digest;
use crate::manifest::{Descriptor, Manifest};
use crate::media;
use crate::reference::Reference;
use crate::registry;
use crate::signature::Signature;

/// The most bytes of a signature, as in containers/image, and of all that lie at one place; whoever may push can add some.
const MAX_BYTES: u64 = 4 * 1024 * 1024;
const MAX_TOTAL: u64 = 4 * MAX_BYTES;
/// How many layers of a manifest, and referrers of an artifact, are looked at.
const MAX_LAYERS: usize = 32;
const MAX_REFERRERS: usize = 16;

/// Where signatures lie.
#[derive(Clone, Copy, Debug)]
pub(super) enum Place {
    /// `sha256-<hex>.sig`
    Tag,
    /// The referrers API, or what stands for it.
    Referrers,
}

impl Session {
    /// The signatures that are found at a place for the manifest of this digest.
    pub(super) async fn signatures(
        &self,
        reference: &Reference,
        digest: &Digest,
        place: Place,
    ) -> Result<Vec<Signature>> {
        let mut room = MAX_TOTAL;
        match place {
            Place::Tag => match self.client.tagged(reference, &format!("{}.sig", digest.file_name())).await? {
                Some(bytes) => self.signed_layers(reference, &bytes, &mut room).await,
                None => Ok(Vec::new()),
            },
            Place::Referrers => self.referring(reference, digest).await,
        }
    }

    async fn referring(&self, reference: &Reference, digest: &Digest) -> Result<Vec<Signature>> {
        let Some(index) = self.client.referrers(reference, digest).await? else { return Ok(Vec::new()) };
        let index = Manifest::parse(&index, &Digest::sha256(&index))?;
        let is_signature = |entry: &&Descriptor| {
            matches!(entry.artifact_type.as_deref(), Some(media::COSIGN_SIGNATURE | media::SIGSTORE_BUNDLE))
        };
        let referrers = index.manifests.iter().flatten().filter(is_signature).take(MAX_REFERRERS);
        let (mut found, mut room) = (Vec::new(), MAX_TOTAL);
        for referrer in referrers {
            match self.client.manifest_at(reference, &referrer.digest).await {
                Ok(raw) => found.extend(self.signed_layers(reference, &raw.bytes, &mut room).await?),
                // The index under a tag is kept by those who push, and may be late.
                Err(registry::Error::NotFound { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(found)
    }

    /// The signatures that are the layers of a manifest, as far as there is room for them.
    async fn signed_layers(&self, reference: &Reference, manifest: &[u8], room: &mut u64) -> Result<Vec<Signature>> {
        let manifest = Manifest::parse(manifest, &Digest::sha256(manifest))?;
        let mut found = Vec::new();
        for layer in manifest.layers.iter().take(MAX_LAYERS) {
            let Some(rest) = room.checked_sub(layer.size).filter(|_| layer.size <= MAX_BYTES) else { continue };
            *room = rest;
            match (layer.kind(), layer.annotations.get(media::COSIGN_ANNOTATION)) {
                (media::SIMPLE_SIGNING, Some(signature)) => {
                    let (payload, signature) = (self.read_remote(reference, layer).await?, signature.clone());
                    found.push(Signature::Simple { payload, signature });
                }
                (media::SIGSTORE_BUNDLE, _) => found.push(Signature::Bundle(self.read_remote(reference, layer).await?)),
                _ => {}
            }
        }
        Ok(found)
    }
}
