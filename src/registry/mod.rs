//! Reading manifests and blobs from registries of the OCI distribution-spec, and from those that come near it.
//!
//! A [`Client`] keeps, for all requests of a program, the connections, the tokens and which scheme each registry
//! speaks. It checks what can be checked in one answer: a manifest's digest, a body's range and length. A blob's
//! digest is its reader's to check, and so is asking again from where a body broke off; [`Error::is_transient`] says
//! when that makes sense. Requests for manifests and their tokens are sent again here.
//!
//! There is no `/v2/` ping: Ollama and Hugging Face do not have it. The first real request brings the challenge.

mod body;
mod cause;
mod certificates;
mod challenge;
mod credentials;
mod endpoints;
mod error;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
mod hosts;
mod http;
mod login;
mod referrers;
mod request;
mod retry;
mod safe_url;
mod source;
#[cfg(test)]
#[path = "../../tests/it/common/registry/mod.rs"]
pub(crate) mod test_registry;
#[cfg(test)]
mod tests;
mod token;
mod upload;

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

pub use self::body::Body;
pub use self::cause::Cause;
pub use self::certificates::Certificates;
pub use self::credentials::{
    Credential, Credentials, Error as CredentialsError, HelperFailure, Kept, Key, KeyError, Keyring,
};
pub use self::error::{Code, Error, Result, Status};
pub use self::hosts::{Known, is_local};
pub use self::retry::Patience;
pub use self::safe_url::SafeUrl;
pub use self::source::Source;
pub use self::upload::{Sent, Upload};

use self::endpoints::{Endpoints, Places};
use self::hosts::{Registries, Scheme, Trust};
use self::http::{Http, Location, Place, Response};
use self::request::{Method, Request};
use self::token::{Authorization, Refusal, Tokens};
use crate::cause::one_line;
use crate::digest::{Algorithm, Digest};
use crate::manifest::{self, Descriptor};
use crate::media;
use crate::reference::Reference;
use crate::registries_conf::{Endpoint, RegistriesConf};

/// How many tokens one request may bring to be refused.
const MAX_RENEWALS: usize = 3;
/// A wait as long as this is worth a word to the user.
const LONG_WAIT: Duration = Duration::from_secs(3);

/// What a [`Client`] is told by the user.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Where credentials come from.
    pub credentials: Credentials,
    /// `Some(false)`: any certificate is good, and plain HTTP is tried. `None`: the same for a registry on
    /// loopback, and there only for what it leads to on loopback.
    pub tls_verify: Option<bool>,
    /// The `User-Agent` of all requests.
    pub user_agent: String,
    /// Certificates of single registries.
    pub certificates: Certificates,
    /// The hosts of the proxies that the environment names.
    pub proxies: Vec<String>,
    /// Where registries really are, and their mirrors.
    pub registries: RegistriesConf,
    /// What tokens are asked for.
    pub access: Access,
    /// How long a registry is borne with that does not give its manifests.
    pub patience: Patience,
    /// Who is told of a wait that somebody could wonder about.
    pub waiting: Waiting,
}

/// What a token is to allow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Access {
    /// Reading.
    #[default]
    Pull,
    /// Writing, and reading the repositories that blobs may be taken from.
    Push(Vec<String>),
    /// Nothing: the registry only says whether it knows who asks.
    Login,
}

type Hear = dyn Fn(&str) + Send + Sync;

/// Told why a request is sent again, and when: a line for the user.
#[derive(Clone, Default)]
pub struct Waiting(Option<Arc<Hear>>);

impl Waiting {
    /// Tells `hear`.
    pub fn new(hear: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(hear)))
    }

    fn tell(&self, text: &str) {
        if let Some(hear) = &self.0 {
            hear(text);
        }
    }
}

impl std::fmt::Debug for Waiting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Waiting(...)")
    }
}

/// A way to all registries; clones share connections and tokens.
#[derive(Clone)]
pub struct Client(Arc<Shared>);

struct Shared {
    http: Http,
    endpoints: Endpoints,
    registries: Registries,
    tokens: Tokens,
    tls_verify: Option<bool>,
    access: Access,
    patience: Patience,
    waiting: Waiting,
}

/// Where a request goes.
#[derive(Clone, Copy)]
enum Target<'a> {
    /// Below the repository; the registry itself where it is empty.
    Path(&'a str),
    /// Where the registry said that an upload goes on.
    Place(&'a Place),
}

/// A manifest as the registry holds it, with its digest checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawManifest {
    /// The bytes the digest is of.
    pub bytes: Bytes,
    /// The digest asked for, or the digest of the bytes in the algorithm the registry uses.
    pub digest: Digest,
    /// The registry's word on what it is, with parameters; empty when it says nothing.
    pub media_type: String,
}

impl Client {
    /// Makes a client; a credential file the user named must exist.
    pub fn new(settings: Settings) -> Result<Self> {
        settings.credentials.check()?;
        let registries = settings.registries.clone();
        Ok(Self(Arc::new(Shared {
            http: Http::new(settings.user_agent, settings.certificates, settings.proxies, move |host| {
                registries.leads_to(host)
            }),
            registries: Registries::default(),
            tokens: Tokens::new(settings.credentials, settings.access.clone()),
            access: settings.access,
            endpoints: Endpoints::new(settings.registries),
            tls_verify: settings.tls_verify,
            patience: settings.patience,
            waiting: settings.waiting,
        })))
    }

    /// Fetches the manifest of the reference's digest or else of its tag.
    pub async fn manifest(&self, reference: &Reference) -> Result<RawManifest> {
        self.repeat(reference, || self.fetch_manifest(reference, reference.digest())).await
    }

    /// Fetches another manifest of the same repository, which the one of the reference led to.
    pub async fn manifest_at(&self, reference: &Reference, digest: &Digest) -> Result<RawManifest> {
        self.repeat(reference, || self.fetch_manifest(reference, Some(digest))).await
    }

    /// Asks which digest the reference stands for now; one that has a digest stands for it without being asked.
    pub async fn digest(&self, reference: &Reference) -> Result<Digest> {
        if let Some(digest) = reference.digest() {
            return Ok(digest.clone());
        }
        match self.repeat(reference, || self.fetch_digest(reference)).await {
            Ok(Some(digest)) => Ok(digest),
            Err(error) if error.is_transient() => Err(error),
            // Some registries know no HEAD, and an answer to HEAD has no words to show.
            Ok(None) | Err(Error::Status(_) | Error::NotFound { .. }) => Ok(self.manifest(reference).await?.digest),
            Err(error) => Err(error),
        }
    }

    /// A blob of the reference's repository, to be read in one piece or in several at once.
    pub fn source(&self, reference: &Reference, blob: &Descriptor) -> Source {
        Source::new(self.clone(), reference.clone(), blob.clone())
    }

    /// Asks where the endpoint led to before.
    async fn follow(&self, location: &Location, endpoint: &Endpoint, request: &Request) -> Result<Response> {
        self.0.http.follow(location, request, &self.trust(endpoint)).await
    }

    async fn fetch_manifest(&self, reference: &Reference, digest: Option<&Digest>) -> Result<RawManifest> {
        let (path, request) = manifest_request(reference, digest, Method::Get);
        let read = |response, is_mirrored| read_manifest(reference, digest, response, is_mirrored);
        self.read(reference, &path, &request, read).await
    }

    /// Reads a document from the first place that gives it: what a mirror gives instead is passed over.
    async fn read<T, F>(
        &self,
        reference: &Reference,
        path: &str,
        request: &Request,
        read: impl Fn(Response, bool) -> F,
    ) -> Result<T>
    where
        F: Future<Output = Result<T>>,
    {
        let mut failed: Option<Endpoint> = None;
        loop {
            let (response, endpoint) = self.send(reference, path, request).await?;
            let error = match read(response, endpoint.is_mirror).await {
                Err(error) if endpoint.is_mirror => error,
                read => return read,
            };
            tracing::debug!(mirror = %endpoint.reference, %error, "what it gives is of no use");
            if failed.as_ref() == Some(&endpoint) || !error.is_transient() {
                self.0.endpoints.leave(reference, &endpoint);
            }
            failed = Some(endpoint);
        }
    }

    async fn fetch_digest(&self, reference: &Reference) -> Result<Option<Digest>> {
        let (path, request) = manifest_request(reference, None, Method::Head);
        let (response, _) = self.send(reference, &path, &request).await?;
        let response = response.success().await.map_err(|error| not_found(reference, error))?;
        Ok(announced_digest(&response))
    }

    /// Sends a request to the places that may serve the repository, one after the other until one does, and tells which.
    ///
    /// A mirror that does not answer is asked no more; one that only lacks something is.
    async fn send(&self, reference: &Reference, path: &str, request: &Request) -> Result<(Response, Endpoint)> {
        let target = Target::Path(path);
        if !request.method.is_reading() || self.0.access != Access::Pull {
            return self.send_to_own(reference, target, request).await;
        }
        let places = self.0.endpoints.find(reference)?;
        self.send_to_any(reference, places, target, request).await
    }

    /// The same with the places behind a mirror only.
    async fn send_behind(
        &self,
        mirror: &Endpoint,
        reference: &Reference,
        path: &str,
        request: &Request,
    ) -> Result<(Response, Endpoint)> {
        let mut places = self.0.endpoints.find(reference)?;
        let behind = places.mirrors.iter().position(|place| place == mirror).map_or(0, |at| at + 1);
        places.mirrors.drain(..behind);
        self.send_to_any(reference, places, Target::Path(path), request).await
    }

    async fn send_to_any(
        &self,
        reference: &Reference,
        Places { mirrors, own }: Places,
        target: Target<'_>,
        request: &Request,
    ) -> Result<(Response, Endpoint)> {
        for mirror in mirrors {
            match self.ask_mirror(reference, &mirror, target, request).await {
                Ok(response) if matches!(response.status(), 200..300 | 416) => return Ok((response, mirror)),
                Ok(response) => {
                    tracing::debug!(mirror = %mirror.reference, status = response.status(), "another one is asked");
                }
                Err(error) => {
                    tracing::debug!(mirror = %mirror.reference, %error, "another one is asked");
                    self.0.endpoints.leave(reference, &mirror);
                }
            }
        }
        Ok((self.send_authorized(reference, &own, target, request).await?, own))
    }

    /// Sends a request to the registry itself, whatever stands in for it when it is read.
    async fn send_to_own(
        &self,
        reference: &Reference,
        target: Target<'_>,
        request: &Request,
    ) -> Result<(Response, Endpoint)> {
        let own = self.0.endpoints.own(reference)?;
        Ok((self.send_authorized(reference, &own, target, request).await?, own))
    }

    /// Asks a second time what may have failed by accident, unless that took long.
    async fn ask_mirror(
        &self,
        named: &Reference,
        mirror: &Endpoint,
        target: Target<'_>,
        request: &Request,
    ) -> Result<Response> {
        match self.send_authorized(named, mirror, target, request).await {
            Err(error) if error.is_transient() && !error.is_timeout() => {
                tokio::time::sleep(self.0.patience.pause).await;
                self.send_authorized(named, mirror, target, request).await
            }
            answer => answer,
        }
    }

    fn has_mirrors(&self, reference: &Reference) -> bool {
        self.0.endpoints.find(reference).is_ok_and(|places| !places.mirrors.is_empty())
    }

    fn has_left(&self, reference: &Reference, endpoint: &Endpoint) -> bool {
        self.0.endpoints.has_left(reference, endpoint)
    }

    /// Asks a mirror no more.
    fn leave(&self, reference: &Reference, mirror: &Endpoint) {
        self.0.endpoints.leave(reference, mirror);
    }

    /// Sends a request with the repository's authorization, which is renewed if the registry refuses it.
    ///
    /// Between many connections even a new token may have expired before this request came to use it, so a refusal is
    /// believed after [`MAX_RENEWALS`], or when there is nothing else to show.
    async fn send_authorized(
        &self,
        named: &Reference,
        endpoint: &Endpoint,
        target: Target<'_>,
        request: &Request,
    ) -> Result<Response> {
        let (tokens, trust) = (&self.0.tokens, self.trust(endpoint));
        let is_named = endpoint.reference.registry() == named.registry();
        let mut grant = tokens.current(endpoint).await;
        let mut renewals = 0;
        loop {
            let authorization = grant.authorization.as_ref();
            let response = match target {
                Target::Path(path) => self.reach(endpoint, path, request, authorization).await?,
                Target::Place(place) => self.0.http.send_to(place, request, authorization, &trust).await?,
            };
            if !response.is_challenge() {
                return Ok(response);
            }
            let refusal = Refusal { challenges: response.challenges(), error: response.into_error().await };
            if renewals == MAX_RENEWALS || (renewals > 0 && grant.is_password()) {
                return Err(grant.unauthorized(&endpoint.reference, refusal.error));
            }
            grant = tokens.renew(&self.0.http, &trust, (endpoint, is_named), &grant, refusal).await?;
            renewals += 1;
        }
    }

    /// Sends a request by the scheme the registry speaks, which the first request finds out.
    async fn reach(
        &self,
        endpoint: &Endpoint,
        path: &str,
        request: &Request,
        authorization: Option<&Authorization>,
    ) -> Result<Response> {
        let (reference, trust) = (&endpoint.reference, self.trust(endpoint));
        let registry = reference.registry();
        let send = async |scheme: Scheme| {
            let url = login::url(scheme, reference, path);
            let began = Instant::now();
            let answer = self.0.http.send(&url, request, authorization, &trust).await;
            // What a server of TLS says to who does not speak it tells nothing of the registry.
            if let Ok(response) = answer.as_ref()
                && !(scheme == Scheme::Http && response.may_be_of_tls())
            {
                let accepts_ranges = path.starts_with("blobs/") && response.header("accept-ranges") == Some("bytes");
                self.0.registries.note(endpoint, scheme, began.elapsed(), accepts_ranges);
            }
            answer
        };
        if let Some(scheme) = self.0.registries.find(endpoint).scheme {
            return send(scheme).await;
        }
        let may_be_plain = trust.plain_http.covers(hosts::is_local(registry));
        if hosts::is_plain_likely(registry, &trust, authorization.is_some()) {
            let answer = send(Scheme::Http).await;
            if answer.as_ref().map_or_else(Error::suggests_other_scheme, Response::may_be_of_tls) {
                return match send(Scheme::Https).await {
                    // A server that tells who speaks plain HTTP to speak TLS, and breaks that off, has told why by TLS only.
                    Err(error) if answer.is_ok() && !error.is_plain_http() => Err(error),
                    Err(error) if error.suggests_other_scheme() => answer,
                    other => other,
                };
            }
            return answer;
        }
        match send(Scheme::Https).await {
            Err(error) if may_be_plain && error.suggests_other_scheme() => send(Scheme::Http).await,
            answer => answer,
        }
    }

    /// What the answers have told of the place that serves the reference now.
    pub fn known(&self, reference: &Reference) -> Known {
        let places = self.0.endpoints.find(reference).ok();
        let first = places.map(|places| places.mirrors.into_iter().next().unwrap_or(places.own));
        first.map_or_else(Known::default, |endpoint| self.0.registries.find(&endpoint))
    }

    fn trust(&self, endpoint: &Endpoint) -> Trust {
        Trust::of(endpoint.reference.registry(), self.0.tls_verify.or_else(|| endpoint.insecure.then_some(false)))
    }

    /// Sends a request until it succeeds or the patience ends, which is short as long as the registry has never answered.
    async fn repeat<T, F>(&self, reference: &Reference, request: impl Fn() -> F) -> Result<T>
    where
        F: Future<Output = Result<T>>,
    {
        let (began, mut attempts) = (Instant::now(), 0);
        loop {
            let error = match request().await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            attempts += 1;
            let is_known = self.known(reference).scheme.is_some();
            if !error.may_pass(is_known) {
                return Err(error);
            }
            let patience = if is_known { self.0.patience } else { self.0.patience.with_strangers() };
            let Some(wait) = patience.wait(attempts, &error) else {
                return Err(Error::Exhausted { attempts, spent: began.elapsed(), source: Box::new(error) });
            };
            tracing::debug!(%error, ?wait, "trying again");
            if wait >= LONG_WAIT {
                self.0.waiting.tell(&format!("{}; asking again in {} s", one_line(&error), wait.as_secs()));
            }
            tokio::time::sleep(wait).await;
        }
    }
}

fn manifest_request(reference: &Reference, digest: Option<&Digest>, method: Method) -> (String, Request) {
    let version = digest.map_or_else(|| reference.version(), ToString::to_string);
    let request = Request::new(method).header("accept", media::MANIFESTS.join(", "));
    (format!("manifests/{version}"), request)
}

/// Whether it may be a manifest or an index, and not what a gateway says with status 200.
fn may_be_manifest(bytes: &[u8]) -> bool {
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Versioned {
        #[serde(rename = "schemaVersion")]
        _schema_version: u64,
    }
    serde_json::from_slice::<Versioned>(bytes).is_ok()
}

/// Reads a manifest of this digest, or of the one the registry says it has. What a mirror gives must look like one, as
/// there is somebody else to ask.
async fn read_manifest(
    reference: &Reference,
    digest: Option<&Digest>,
    response: Response,
    is_mirrored: bool,
) -> Result<RawManifest> {
    let response = response.success().await.map_err(|error| not_found(reference, error))?;
    let (url, media_type) = (response.url().clone(), response.header("content-type").unwrap_or_default().to_owned());
    let expected = digest.cloned().or_else(|| announced_digest(&response));
    let bytes = response.bytes(manifest::MAX_BYTES).await?;
    let actual = Digest::of(expected.as_ref().map_or(Algorithm::Sha256, Digest::algorithm), &bytes);
    match expected {
        Some(expected) if expected != actual => {
            Err(Error::Manifest { reference: reference.to_string(), expected, actual })
        }
        _ if is_mirrored && !may_be_manifest(&bytes) => Err(Error::protocol(&url, "it is no manifest")),
        _ => Ok(RawManifest { bytes, digest: actual, media_type }),
    }
}

fn announced_digest(response: &Response) -> Option<Digest> {
    response.header("docker-content-digest")?.parse().ok()
}

fn not_found(reference: &Reference, error: Error) -> Error {
    match error.status() {
        Some(404) => Error::NotFound { reference: reference.to_string(), source: Box::new(error) },
        _ => error,
    }
}
