//! What in a repository refers to a manifest of it.

use bytes::Bytes;

use super::http::Response;
use super::request::{Method, Request};
use super::{Client, Error, Result, may_be_manifest};
use crate::digest::Digest;
use crate::manifest;
use crate::media;
use crate::reference::Reference;

impl Client {
    /// Fetches the index of what refers to a manifest, its first page; nothing where nothing does.
    ///
    /// A registry without this API has the index under a tag (distribution-spec, "Referrers Tag Schema").
    pub async fn referrers(&self, reference: &Reference, digest: &Digest) -> Result<Option<Bytes>> {
        let path = format!("referrers/{digest}");
        match self.repeat(reference, || self.fetch_document(reference, &path, media::OCI_INDEX)).await {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.is_transient() || error.status().is_none() => Err(error),
            Err(_) => self.tagged(reference, &digest.file_name()).await,
        }
    }

    /// Fetches the manifest that has another tag in the repository, from where the reference's own comes; nothing where none
    /// has it.
    pub async fn tagged(&self, reference: &Reference, tag: &str) -> Result<Option<Bytes>> {
        // A digest of sha512 is longer than tags may be.
        if format!("{}:{tag}", reference.name()).parse::<Reference>().is_err() {
            return Ok(None);
        }
        let (path, accept) = (format!("manifests/{tag}"), media::MANIFESTS.join(", "));
        match self.repeat(reference, || self.fetch_document(reference, &path, &accept)).await {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.status() == Some(404) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn fetch_document(&self, reference: &Reference, path: &str, accept: &str) -> Result<Bytes> {
        let request = Request::new(Method::Get).header("accept", accept.to_owned());
        self.read(reference, path, &request, read_document).await
    }
}

async fn read_document(response: Response, is_mirrored: bool) -> Result<Bytes> {
    let response = response.success().await?;
    let url = response.url().clone();
    let bytes = response.bytes(manifest::MAX_BYTES).await?;
    match is_mirrored && !may_be_manifest(&bytes) {
        true => Err(Error::protocol(&url, "it is no manifest")),
        false => Ok(bytes),
    }
}
