//! An answer, and the places it leads to.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use jiff::Timestamp;
use reqwest::{Url, header};
use tokio::time::timeout;

use super::super::cause::Cause;
use super::super::challenge::{self, Challenge};
use super::super::error::{Code, Error, Result, Status};
use super::super::hosts::Trust;
use super::super::request::Method;
use super::super::retry;
use super::super::safe_url::SafeUrl;
use super::{READ_TIMEOUT, cause, check_redirect, shown_host};

/// The longest time that a manifest, a token or an error may take.
const DOCUMENT_TIMEOUT: Duration = Duration::from_secs(5 * 60);
/// The most bytes of an error answer that are read.
const MAX_ERROR: u64 = 64 * 1024;

/// A place a registry led to; its URL may carry a signature and is never shown.
#[derive(Clone)]
pub struct Location(pub(super) Url);

impl Location {
    /// Its host and port.
    pub fn host(&self) -> String {
        shown_host(&self.0)
    }
}

/// Where an upload goes on; its URL may carry a secret and is never shown.
#[derive(Clone)]
pub struct Place {
    pub(super) url: Url,
    /// Whether it is the registry itself, which may see the authorization.
    pub(super) is_registry: bool,
}

/// An answer whose body has not been read yet.
pub struct Response {
    pub(super) method: Method,
    pub(super) url: SafeUrl,
    pub(super) redirected: bool,
    pub(super) answer: reqwest::Response,
}

impl Response {
    /// The URL that answered, after redirects.
    pub const fn url(&self) -> &SafeUrl {
        &self.url
    }

    pub fn status(&self) -> u16 {
        self.answer.status().as_u16()
    }

    /// Whether the registry itself, and not a host it led to, wants authorization.
    pub fn is_challenge(&self) -> bool {
        self.status() == 401 && !self.redirected
    }

    /// Whether it may be a TLS server's answer to plain HTTP.
    pub fn may_be_of_tls(&self) -> bool {
        self.status() == 400
    }

    /// Whether a place that served before does not any more, as when its URL has expired.
    pub fn is_refusal(&self) -> bool {
        matches!(self.status(), 400..=407 | 409..=415 | 417..=428 | 430..=499)
    }

    /// Where the answer came from, if that is not the registry.
    pub fn location(&self) -> Option<Location> {
        self.redirected.then(|| Location(self.answer.url().clone()))
    }

    /// Where the answer says that an upload goes on.
    pub fn place(&self, trust: &Trust) -> Result<Place> {
        let location = self.header("location").unwrap_or_default();
        let target = self.answer.url().join(location).ok().filter(|_| !location.is_empty());
        let url = target.ok_or_else(|| Error::protocol(&self.url, "it does not say where the upload goes on"))?;
        check_redirect(self.answer.url(), &url, trust)?;
        let is_registry = !self.redirected && url.origin() == self.answer.url().origin();
        Ok(Place { url, is_registry })
    }

    /// The host and port that answered.
    pub fn host(&self) -> String {
        shown_host(self.answer.url())
    }

    pub fn challenges(&self) -> Vec<Challenge> {
        let headers = self.answer.headers().get_all(header::WWW_AUTHENTICATE);
        headers.iter().filter_map(|value| value.to_str().ok()).flat_map(challenge::parse).collect()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.answer.headers().get(name).and_then(|value| value.to_str().ok())
    }

    /// The length the answer promises, which a HEAD promises too.
    pub fn content_length(&self) -> Option<u64> {
        self.header("content-length")?.parse().ok()
    }

    /// Turns a status that is no success into an error.
    pub async fn success(self) -> Result<Self> {
        if self.answer.status().is_success() { Ok(self) } else { Err(self.into_error().await) }
    }

    /// The error this answer is, with what can be read of its body.
    pub async fn into_error(self) -> Error {
        let status = self.answer.status();
        let retry_after = self.header("retry-after").and_then(|text| retry::parse_wait(text, Timestamp::now()));
        let (method, url) = (self.method.as_str(), self.url.clone());
        let codes = self.bytes(MAX_ERROR).await.map(|body| Code::parse(&body)).unwrap_or_default();
        Error::Status(Box::new(Status {
            method,
            url,
            status: status.as_u16(),
            reason: status.canonical_reason().unwrap_or("unknown status"),
            codes,
            retry_after,
        }))
    }

    /// The whole body, if it has at most `limit` bytes and does not come drop by drop.
    pub async fn bytes(self, limit: u64) -> Result<Bytes> {
        let late = Error::Interrupted { url: self.url.clone(), source: Cause::Timeout(DOCUMENT_TIMEOUT) };
        timeout(DOCUMENT_TIMEOUT, self.read_to_end(limit)).await.unwrap_or(Err(late))
    }

    async fn read_to_end(mut self, limit: u64) -> Result<Bytes> {
        let mut body = BytesMut::new();
        while let Some(chunk) = self.chunk_in_time().await? {
            if (body.len() + chunk.len()) as u64 > limit {
                return Err(Error::TooLarge { url: self.url, limit });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body.freeze())
    }

    async fn chunk_in_time(&mut self) -> Result<Option<Bytes>> {
        let late = Error::Interrupted { url: self.url.clone(), source: Cause::Timeout(READ_TIMEOUT) };
        timeout(READ_TIMEOUT, self.chunk()).await.unwrap_or(Err(late))
    }

    /// The next bytes of the body, `None` at its end.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>> {
        let chunk = self.answer.chunk().await;
        chunk.map_err(|error| Error::Interrupted { url: self.url.clone(), source: cause(&error) })
    }
}
