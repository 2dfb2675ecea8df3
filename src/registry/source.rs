//! Where the bytes of one blob come from: its registry, and the place the registry leads to while that place serves.

use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::body::{self, Body};
use super::error::{Error, Result};
use super::http::{Location, Response};
use super::request::{Method, Request};
use super::{Client, not_found};
use crate::manifest::Descriptor;
use crate::reference::Reference;
use crate::registries_conf::Endpoint;

/// One blob of one repository, to be asked for in ranges; safe to use from several tasks at once.
///
/// A registry that leads elsewhere, as to signed URLs of an object store, is asked once and not for every range; again
/// when the other place refuses, as it does when a signature has expired.
pub struct Source {
    client: Client,
    reference: Reference,
    blob: Descriptor,
    believes_tags: bool,
    known: Mutex<Known>,
}

/// What earlier answers taught.
#[derive(Default)]
struct Known {
    /// Where a registry led to, and which one.
    location: Option<(Location, Arc<Endpoint>)>,
    tag: Option<Tag>,
    /// The mirrors that have sent bytes.
    mirrors: Vec<Arc<Endpoint>>,
    /// The mirror that has failed once.
    warned: Option<Arc<Endpoint>>,
    /// Who has answered last.
    serving: Option<Arc<Endpoint>>,
}

/// A strong validator (RFC 9110, section 8.8.3).
struct Tag {
    text: String,
    /// The host that gave it.
    host: String,
    /// Whether that is where the registry led to.
    is_elsewhere: bool,
    /// Who gave it, or led there.
    endpoint: Arc<Endpoint>,
}

impl Source {
    pub(super) fn new(client: Client, reference: Reference, blob: Descriptor) -> Self {
        Self { client, reference, blob, believes_tags: true, known: Mutex::default() }
    }

    /// Leaves it to the digest to tell objects apart, where a host gives each of its answers another tag.
    #[must_use]
    pub fn without_tags(self) -> Self {
        Self { believes_tags: false, ..self }
    }

    /// Opens the blob at `range`, which lies within its size; `0..size` is the whole blob.
    ///
    /// A registry may send less than the range, or ignore it: [`Body::start`] and [`Body::end`] say what comes.
    /// Nothing is sent again here, because only the reader of the body knows from where.
    ///
    /// # Errors
    ///
    /// [`Error::Changed`] when the host that answered before has another object now, [`Error::refuses_range`] when it
    /// cannot be asked for ranges.
    pub async fn open(&self, range: &Range<u64>) -> Result<Body> {
        let request = self.request(range);
        if let Some((location, endpoint)) = self.location() {
            let response = self.client.follow(&location, &endpoint, &request).await?;
            if !response.is_refusal() {
                return self.accept(response, endpoint, range).await;
            }
            tracing::debug!(url = %response.url(), status = response.status(), "asking the registry again");
            self.known().location = None;
        }
        let request = self.request(range);
        let path = format!("blobs/{}", self.blob.digest);
        let (response, endpoint) = self.client.send(&self.reference, &path, &request).await?;
        self.accept(response, Arc::new(endpoint), range).await
    }

    /// Opens the blob at a place behind a mirror, to see what that place is like.
    pub async fn open_behind(&self, mirror: &Endpoint, range: &Range<u64>) -> Result<Body> {
        let request = Request::new(Method::Get).header("range", body::header(range));
        let path = format!("blobs/{}", self.blob.digest);
        let (response, endpoint) = self.client.send_behind(mirror, &self.reference, &path, &request).await?;
        Body::new(response.success().await?, &self.blob, range, Arc::new(endpoint))
    }

    /// Whether there are mirrors that are asked.
    pub fn has_mirrors(&self) -> bool {
        self.client.has_mirrors(&self.reference)
    }

    /// The mirror that has answered last.
    pub fn serving_mirror(&self) -> Option<Arc<Endpoint>> {
        self.known().serving.clone().filter(|serving| serving.is_mirror)
    }

    /// Whether the mirror is asked no more.
    pub fn has_left(&self, mirror: &Endpoint) -> bool {
        self.client.has_left(&self.reference, mirror)
    }

    /// Asks the mirror no more; says whether it is one.
    pub fn leave(&self, mirror: &Endpoint) -> bool {
        self.client.leave(&self.reference, mirror);
        mirror.is_mirror
    }

    fn request(&self, range: &Range<u64>) -> Request {
        let request = Request::new(Method::Get);
        if *range == (0..self.blob.size) {
            return request;
        }
        let request = request.header("range", body::header(range));
        let known = self.known();
        let tag = known.tag.as_ref().filter(|tag| !self.has_left(&tag.endpoint));
        match tag {
            // Another host's validators are its own.
            Some(tag) if known.location.as_ref().map_or(!tag.is_elsewhere, |(place, _)| place.host() == tag.host) => {
                request.header("if-range", tag.text.clone())
            }
            _ => request,
        }
    }

    /// Takes an answer; a mirror that answers what is of no use is left, as there is somebody else to ask.
    async fn accept(&self, response: Response, endpoint: Arc<Endpoint>, range: &Range<u64>) -> Result<Body> {
        match self.take(response, &endpoint, range).await {
            Err(error) if error.is_of(&endpoint) && self.leave(&endpoint) => {
                Err(Error::Unusable { mirror: endpoint.reference.registry().to_owned(), source: Box::new(error) })
            }
            taken => taken,
        }
    }

    async fn take(&self, response: Response, endpoint: &Arc<Endpoint>, range: &Range<u64>) -> Result<Body> {
        let response = match response.success().await {
            Ok(response) => response,
            Err(error) => return Err(not_found(&self.reference.at_digest(&self.blob.digest), error)),
        };
        self.check_unchanged(&response, endpoint)?;
        let location = response.location();
        let body = Body::new(response, &self.blob, range, Arc::clone(endpoint))?;
        let mut known = self.known();
        if endpoint.is_mirror && !known.mirrors.contains(endpoint) {
            known.mirrors.push(Arc::clone(endpoint));
        }
        known.serving = Some(Arc::clone(endpoint));
        known.location = location.map(|location| (location, Arc::clone(endpoint)));
        Ok(body)
    }

    /// Two objects are never mixed: a host that gives another validator than before has another object.
    fn check_unchanged(&self, response: &Response, endpoint: &Arc<Endpoint>) -> Result<()> {
        let tag = response.header("etag").filter(|tag| self.believes_tags && tag.starts_with('"'));
        let Some(tag) = tag else { return Ok(()) };
        let host = response.host();
        let mut known = self.known();
        match &known.tag {
            Some(before) if before.host == host && before.text != tag => {
                known.tag = None;
                Err(Error::Changed(response.url().clone()))
            }
            _ => {
                let (text, is_elsewhere) = (tag.to_owned(), response.location().is_some());
                known.tag = Some(Tag { text, host, is_elsewhere, endpoint: Arc::clone(endpoint) });
                Ok(())
            }
        }
    }

    /// Where the registry led to, unless that was a mirror which has been left since.
    fn location(&self) -> Option<(Location, Arc<Endpoint>)> {
        let location = self.known().location.clone();
        location.filter(|(_, endpoint)| !self.has_left(endpoint))
    }

    /// Takes note that an answer, or the lack of one, was of no use: the registry is asked again where the blob lies.
    /// `by` is the one that had begun to answer; a mirror that fails a second time is left.
    pub fn note_failure(&self, by: Option<&Arc<Endpoint>>) {
        let mut known = self.known();
        known.location = None;
        // The next place has another validator for the same bytes.
        known.tag = None;
        let Some(mirror) = by.filter(|by| by.is_mirror) else { return };
        if known.warned.as_ref() == Some(mirror) {
            self.leave(mirror);
        }
        known.warned = Some(Arc::clone(mirror));
    }

    /// Leaves all mirrors that have sent bytes, as these are wrong; says whether there were any.
    pub fn leave_mirrors(&self) -> bool {
        let mirrors = std::mem::take(&mut self.known().mirrors);
        mirrors.iter().filter(|mirror| self.leave(mirror)).count() > 0
    }

    /// What is fetched.
    pub const fn blob(&self) -> &Descriptor {
        &self.blob
    }

    /// What the user named.
    pub const fn reference(&self) -> &Reference {
        &self.reference
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
