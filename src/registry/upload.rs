//! Sending blobs and manifests to a registry (distribution-spec, "Pushing").
//!
//! A blob goes in one PATCH and a closing PUT, as docker sends it, which every registry takes; parts in several PATCHes some
//! do not (kitops#777). Where the connection breaks the registry is asked how much it has, and the rest follows.

use std::fs::File;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::error::{Error, Result};
use super::http::{Place, Response};
use super::request::{Method, Part, Payload, Request};
use super::{Client, Target, not_found};
use crate::cause::one_line;
use crate::manifest::Descriptor;
use crate::reference::Reference;
use crate::registries_conf::Endpoint;

/// How a blob came to be in a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// It was there.
    Present,
    /// The registry took it from another of its repositories.
    Mounted,
    /// Its bytes were sent.
    Uploaded,
}

/// One blob to be sent.
#[derive(Clone)]
pub struct Upload {
    /// What it is.
    pub blob: Descriptor,
    /// Its bytes.
    pub file: Arc<File>,
    /// A repository of the same registry that may have it.
    pub other: Option<String>,
    /// Told where the bytes begin that are sent next, each time it changes otherwise than by sending.
    pub begins: Arc<dyn Fn(u64) + Send + Sync>,
    /// Told of bytes that left.
    pub sent: Arc<dyn Fn(u64) + Send + Sync>,
}

/// How far an upload is.
enum Stand {
    /// The registry has not been asked for one.
    Fresh,
    /// It goes on at the place, from this byte.
    At(Place, u64),
    /// The connection broke: the registry has to be asked how much it has.
    Lost(Place),
}

impl Client {
    /// Makes sure the reference's repository has the blob.
    pub async fn upload(&self, reference: &Reference, upload: &Upload) -> Result<Sent> {
        let (mut stand, mut failures, mut furthest) = (Stand::Fresh, 0, 0);
        loop {
            let error = match self.attempt(reference, upload, &mut stand).await {
                Ok(sent) => return Ok(sent),
                Err(error) => error,
            };
            if let Stand::At(_, offset) = stand
                && offset > furthest
            {
                (failures, furthest) = (0, offset);
            }
            stand = match stand {
                Stand::At(place, _) | Stand::Lost(place) => Stand::Lost(place),
                Stand::Fresh => Stand::Fresh,
            };
            // An upload that the registry has forgotten, or has in another state than we think, is begun anew.
            let is_lost = matches!(stand, Stand::Lost(_)) && matches!(error.status(), Some(404 | 409 | 416));
            tokio::time::sleep(self.give_up_or_wait(error, is_lost, &mut failures)?).await;
        }
    }

    fn give_up_or_wait(&self, error: Error, is_lost: bool, failures: &mut u32) -> Result<Duration> {
        *failures += 1;
        if !is_lost && !error.may_pass(true) {
            return Err(error);
        }
        let Some(wait) = self.0.patience.wait(*failures, &error) else { return Err(error) };
        tracing::debug!(%error, ?wait, "sending again");
        if wait >= super::LONG_WAIT {
            self.0.waiting.tell(&format!("{}; sending again in {} s", one_line(&error), wait.as_secs()));
        }
        Ok(wait)
    }

    /// Goes on from where it stands, and notes in `stand` how far it came.
    async fn attempt(&self, reference: &Reference, upload: &Upload, stand: &mut Stand) -> Result<Sent> {
        if let Stand::Lost(place) = stand {
            *stand = match self.ask_again(reference, upload, place).await? {
                Some((place, offset)) => Stand::At(place, offset),
                None => Stand::Fresh,
            };
        }
        if let Stand::Fresh = stand {
            // It may be there, even after an upload of which we never heard that it was over.
            if self.has_blob(reference, &upload.blob).await? {
                return Ok(Sent::Present);
            }
            match self.begin(reference, upload).await? {
                Some(place) => *stand = Stand::At(place, 0),
                None => return Ok(Sent::Mounted),
            }
        }
        let Stand::At(place, offset) = stand else { return Ok(Sent::Present) };
        (upload.begins)(*offset);
        let place = self.send_rest(reference, upload, place, *offset).await?;
        *stand = Stand::At(place.clone(), upload.blob.size);
        self.close(reference, upload, &place).await
    }

    /// Whether the repository has the blob; a registry that does not say so to HEAD is asked by the upload itself.
    async fn has_blob(&self, reference: &Reference, blob: &Descriptor) -> Result<bool> {
        let request = Request::new(Method::Head);
        let (response, _) = self.send(reference, &format!("blobs/{}", blob.digest), &request).await?;
        match response.success().await {
            Ok(_) => Ok(true),
            Err(error) if error.is_transient() => Err(error),
            Err(_) => Ok(false),
        }
    }

    /// Opens an upload; nothing where the registry took the blob from the other repository.
    async fn begin(&self, reference: &Reference, upload: &Upload) -> Result<Option<Place>> {
        if let Some(other) = &upload.other {
            match self.open(reference, vec![("mount", upload.blob.digest.to_string()), ("from", other.clone())]).await {
                Ok((response, _)) if response.status() == 201 => return Ok(None),
                Ok((response, own)) => return response.place(&self.trust(&own)).map(Some),
                Err(error) if error.is_transient() => return Err(error),
                // It may be that only the other repository is refused.
                Err(error) => tracing::debug!(%error, other, "the blob is not taken from there"),
            }
        }
        let (response, own) = self.open(reference, Vec::new()).await?;
        response.place(&self.trust(&own)).map(Some)
    }

    async fn open(&self, reference: &Reference, query: Vec<(&'static str, String)>) -> Result<(Response, Endpoint)> {
        let request = Request { query, ..Request::new(Method::Post) };
        let (response, own) = self.send(reference, "blobs/uploads/", &request).await?;
        let response = response.success().await.map_err(|error| not_found(reference, error))?;
        Ok((response, own))
    }

    async fn send_rest(&self, reference: &Reference, upload: &Upload, place: &Place, offset: u64) -> Result<Place> {
        let range = offset..upload.blob.size;
        if range.is_empty() {
            return Ok(place.clone());
        }
        let mut request = Request::new(Method::Patch).header("content-type", String::from("application/octet-stream"));
        if offset > 0 {
            request = request.header("content-range", format!("{offset}-{}", range.end - 1));
        }
        let (file, sent) = (Arc::clone(&upload.file), Arc::clone(&upload.sent));
        request.payload = Some(Payload::Part(Part { file, range, moved: Arc::default(), sent }));
        // ECR answers 201 (kitops#821).
        let (response, own) = self.send_to_own(reference, Target::Place(place), &request).await?;
        let response = response.success().await?;
        match response.header("location") {
            Some(_) => response.place(&self.trust(&own)),
            None => Ok(place.clone()),
        }
    }

    async fn close(&self, reference: &Reference, upload: &Upload, place: &Place) -> Result<Sent> {
        let mut request = Request::new(Method::Put).header("content-type", String::from("application/octet-stream"));
        request.query = vec![("digest", upload.blob.digest.to_string())];
        self.send_to_own(reference, Target::Place(place), &request).await?.0.success().await?;
        Ok(Sent::Uploaded)
    }

    /// Where an upload that broke off goes on; nothing where the registry does not tell, and it must begin anew.
    async fn ask_again(&self, reference: &Reference, upload: &Upload, place: &Place) -> Result<Option<(Place, u64)>> {
        let (response, own) = self.send_to_own(reference, Target::Place(place), &Request::new(Method::Get)).await?;
        let response = match response.success().await {
            Ok(response) => response,
            Err(error) if error.is_transient() => return Err(error),
            Err(_) => return Ok(None),
        };
        let Some(offset) = received(&response).filter(|offset| *offset <= upload.blob.size) else { return Ok(None) };
        Ok(Some((response.place(&self.trust(&own)).unwrap_or_else(|_| place.clone()), offset)))
    }

    /// Gives the reference's tag, or else its digest, to a manifest whose blobs are in its repository.
    pub async fn put_manifest(&self, reference: &Reference, media_type: &str, bytes: &Bytes) -> Result<()> {
        self.repeat(reference, || self.send_manifest(reference, media_type, bytes)).await
    }

    async fn send_manifest(&self, reference: &Reference, media_type: &str, bytes: &Bytes) -> Result<()> {
        let mut request = Request::new(Method::Put).header("content-type", media_type.to_owned());
        request.payload = Some(Payload::Bytes(bytes.clone()));
        let version = reference.tag().map_or_else(|| reference.version(), str::to_owned);
        let (response, _) = self.send(reference, &format!("manifests/{version}"), &request).await?;
        response.success().await.map(drop)
    }
}

/// How many bytes of an upload a registry has: `Range: 0-N`, where `0-0` stands for none as well as for one.
fn received(response: &Response) -> Option<u64> {
    let range = response.header("range")?;
    let (_, last) = range.trim_start_matches("bytes=").split_once('-')?;
    match last.parse::<u64>().ok()? {
        0 => Some(0),
        last => last.checked_add(1),
    }
}
