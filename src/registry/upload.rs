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
use crate::digest::Digest;
use crate::manifest::Descriptor;
use crate::reference::Reference;

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

impl Client {
    /// Makes sure the reference's repository has the blob.
    pub async fn upload(&self, reference: &Reference, upload: &Upload) -> Result<Sent> {
        if self.repeat(reference, || self.has_blob(reference, &upload.blob)).await? {
            return Ok(Sent::Present);
        }
        let mut failures = 0;
        let mut under_way = None;
        loop {
            let error = match self.attempt(reference, upload, &mut under_way).await {
                Ok(sent) => return Ok(sent),
                Err(error) => error,
            };
            let wait = self.give_up_or_wait(error, &mut failures)?;
            tokio::time::sleep(wait).await;
            let before = under_way.as_ref().map_or(0, |(_, offset)| *offset);
            under_way = self.ask_again(reference, under_way).await;
            if under_way.as_ref().is_some_and(|(_, offset)| *offset > before) {
                failures = 0;
            }
        }
    }

    fn give_up_or_wait(&self, error: Error, failures: &mut u32) -> Result<Duration> {
        *failures += 1;
        if !error.may_pass(true) {
            return Err(error);
        }
        let Some(wait) = self.0.patience.wait(*failures, &error) else { return Err(error) };
        tracing::debug!(%error, ?wait, "sending again");
        if wait >= super::LONG_WAIT {
            self.0.waiting.tell(&format!("{}; sending again in {} s", one_line(&error), wait.as_secs()));
        }
        Ok(wait)
    }

    async fn has_blob(&self, reference: &Reference, blob: &Descriptor) -> Result<bool> {
        let response = self.send(reference, &format!("blobs/{}", blob.digest), &Request::new(Method::Head)).await?;
        match response.status() {
            404 => Ok(false),
            _ => response.success().await.map(|_| true),
        }
    }

    /// Sends the blob from where it is; notes in `under_way` where that is.
    async fn attempt(
        &self,
        reference: &Reference,
        upload: &Upload,
        under_way: &mut Option<(Place, u64)>,
    ) -> Result<Sent> {
        let (place, offset) = match under_way.take() {
            Some(known) => known,
            None => match self.begin(reference, upload).await? {
                Some(place) => (place, 0),
                None => return Ok(Sent::Mounted),
            },
        };
        *under_way = Some((place.clone(), offset));
        (upload.begins)(offset);
        let place = self.send_rest(reference, upload, place, offset).await?;
        *under_way = Some((place.clone(), upload.blob.size));
        self.close(reference, upload, &place).await
    }

    /// Opens an upload; nothing where the registry took the blob from the other repository.
    async fn begin(&self, reference: &Reference, upload: &Upload) -> Result<Option<Place>> {
        let mut request = Request::new(Method::Post);
        if let Some(other) = &upload.other {
            request.query = vec![("mount", upload.blob.digest.to_string()), ("from", other.clone())];
        }
        let response = self.send(reference, "blobs/uploads/", &request).await?;
        let response = response.success().await.map_err(|error| not_found(reference, error))?;
        if response.status() == 201 && upload.other.is_some() {
            return Ok(None);
        }
        response.place(self.trust(reference)).map(Some)
    }

    async fn send_rest(&self, reference: &Reference, upload: &Upload, place: Place, offset: u64) -> Result<Place> {
        let range = offset..upload.blob.size;
        if range.is_empty() {
            return Ok(place);
        }
        let mut request = Request::new(Method::Patch).header("content-type", String::from("application/octet-stream"));
        if offset > 0 {
            request = request.header("content-range", format!("{offset}-{}", range.end - 1));
        }
        let (file, sent) = (Arc::clone(&upload.file), Arc::clone(&upload.sent));
        request.payload = Some(Payload::Part(Part { file, range, moved: Arc::default(), sent }));
        // ECR answers 201 (kitops#821).
        self.send_authorized(reference, Target::Place(&place), &request)
            .await?
            .success()
            .await?
            .place(self.trust(reference))
    }

    async fn close(&self, reference: &Reference, upload: &Upload, place: &Place) -> Result<Sent> {
        let mut request = Request::new(Method::Put).header("content-type", String::from("application/octet-stream"));
        request.query = vec![("digest", upload.blob.digest.to_string())];
        self.send_authorized(reference, Target::Place(place), &request).await?.success().await?;
        Ok(Sent::Uploaded)
    }

    /// Where an upload that broke off goes on; nothing where the registry does not tell, and it must begin anew.
    async fn ask_again(&self, reference: &Reference, under_way: Option<(Place, u64)>) -> Option<(Place, u64)> {
        let (place, _) = under_way?;
        let response = self
            .send_authorized(reference, Target::Place(&place), &Request::new(Method::Get))
            .await
            .ok()?
            .success()
            .await
            .ok()?;
        let offset = received(&response)?;
        Some((response.place(self.trust(reference)).unwrap_or(place), offset))
    }

    /// Gives the reference to a manifest whose blobs are in its repository; tells its digest.
    pub async fn put_manifest(&self, reference: &Reference, media_type: &str, bytes: &Bytes) -> Result<Digest> {
        self.repeat(reference, || self.send_manifest(reference, media_type, bytes)).await?;
        Ok(Digest::sha256(bytes))
    }

    async fn send_manifest(&self, reference: &Reference, media_type: &str, bytes: &Bytes) -> Result<()> {
        let mut request = Request::new(Method::Put).header("content-type", media_type.to_owned());
        request.payload = Some(Payload::Bytes(bytes.clone()));
        let response = self.send(reference, &format!("manifests/{}", reference.version()), &request).await?;
        response.success().await.map(drop)
    }
}

/// How many bytes of an upload a registry has: `Range: 0-N`, where `0-0` stands for none as well as for one.
fn received(response: &Response) -> Option<u64> {
    let range = response.header("range")?;
    let (_, last) = range.trim_start_matches("bytes=").split_once('-')?;
    match last.parse().ok()? {
        0 => Some(0),
        last => Some(last + 1),
    }
}
