//! One request and its answer: the only user of the HTTP library.
//!
//! Redirects are followed here and not by the library, because `Authorization` must not go to another host and
//! because TLS must not be given up on the way.

use std::collections::HashMap;
use std::io;
use std::net::ToSocketAddrs;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use jiff::Timestamp;
use reqwest::{Url, header, redirect};
use tokio::time::timeout;

use super::cause::{Cause, NameError};
use super::challenge::{self, Challenge};
use super::error::{Code, Error, Result, Status};
use super::hosts::{self, Trust};
use super::request::{Method, Request};
use super::retry;
use super::safe_url::SafeUrl;
use super::token::Authorization;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest time without a byte of a document; who reads a blob has a clock of its own, which stands still while the
/// bytes have nowhere to go.
const READ_TIMEOUT: Duration = Duration::from_secs(60);
const MAX_REDIRECTS: usize = 5;
/// The most bytes of an error answer that are read.
const MAX_ERROR: u64 = 64 * 1024;

/// How a URL protects what is sent to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Security {
    Tls,
    PlainLoopback,
    Plain,
}

/// The security of `url`; `None` when it is no HTTP URL.
pub(super) fn security(url: &str) -> Option<Security> {
    security_of(&Url::parse(url).ok()?)
}

fn security_of(url: &Url) -> Option<Security> {
    match url.scheme() {
        "https" => Some(Security::Tls),
        "http" if is_loopback(url) => Some(Security::PlainLoopback),
        "http" => Some(Security::Plain),
        _ => None,
    }
}

fn is_loopback(url: &Url) -> bool {
    url.host_str().is_some_and(hosts::is_loopback)
}

/// Connections to all hosts.
pub(super) struct Http {
    user_agent: String,
    clients: Mutex<HashMap<Kind, reqwest::Client>>,
}

/// What connections of one pool have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Kind {
    verify: bool,
    /// As in Go and docker, a proxy of the environment is not for this machine.
    proxied: bool,
}

impl Kind {
    fn of(url: &Url, trust: Trust) -> Self {
        let is_loopback = is_loopback(url);
        Self { verify: !trust.any_certificate.covers(is_loopback), proxied: !is_loopback }
    }
}

impl Http {
    pub fn new(user_agent: String) -> Self {
        // An error says that the program installed a provider already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        Self { user_agent, clients: Mutex::default() }
    }

    /// Sends a request and follows its redirects; any other status is an answer.
    pub async fn send(
        &self,
        url: &str,
        request: &Request,
        authorization: Option<&Authorization>,
        trust: Trust,
    ) -> Result<Response> {
        let first = parse_url(url, &request.query)?;
        self.send_from(first, request, authorization, trust).await
    }

    /// Sends a request to where an earlier one was led, without the registry's authorization.
    pub async fn follow(&self, location: &Location, request: &Request, trust: Trust) -> Result<Response> {
        let response = self.send_from(location.0.clone(), request, None, trust).await?;
        Ok(Response { redirected: true, ..response })
    }

    async fn send_from(
        &self,
        first: Url,
        request: &Request,
        authorization: Option<&Authorization>,
        trust: Trust,
    ) -> Result<Response> {
        let mut authorization = authorization;
        let mut url = first.clone();
        for _ in 0..=MAX_REDIRECTS {
            let answer = self.send_once(request, &url, authorization, trust).await?;
            let Some(target) = redirect_target(request, &answer)? else {
                let redirected = url.origin() != first.origin();
                let shown = SafeUrl::new(url.as_str());
                return Ok(Response { method: request.method, url: shown, redirected, answer });
            };
            check_redirect(&first, &target, trust)?;
            if target.origin() != url.origin() {
                authorization = None;
            }
            url = target;
        }
        Err(Error::protocol(&SafeUrl::new(first.as_str()), format!("more than {MAX_REDIRECTS} redirects")))
    }

    async fn send_once(
        &self,
        request: &Request,
        url: &Url,
        authorization: Option<&Authorization>,
        trust: Trust,
    ) -> Result<reqwest::Response> {
        let client = self.client(url, trust).map_err(|error| unreachable(url, &error))?;
        let mut builder = match request.method {
            Method::Get => client.get(url.clone()),
            Method::Head => client.head(url.clone()),
            Method::Post => client.post(url.clone()).form(&request.form),
        };
        for (name, value) in &request.headers {
            builder = builder.header(*name, value);
        }
        builder = match authorization {
            Some(Authorization::Basic { user, password }) => builder.basic_auth(user, Some(password)),
            Some(Authorization::Bearer(token)) => builder.bearer_auth(token),
            None => builder,
        };
        let late = |_| Error::Unreachable { host: shown_host(url), source: Cause::Timeout(READ_TIMEOUT) };
        let answer = timeout(READ_TIMEOUT, builder.send()).await.map_err(late)?;
        let answer = answer.map_err(|error| unreachable(url, &error))?;
        tracing::debug!(method = request.method.as_str(), url = %SafeUrl::new(url.as_str()), status = %answer.status());
        Ok(answer)
    }

    /// Clients are made when they are needed: one that verifies cannot be made where there are no CA certificates.
    fn client(&self, url: &Url, trust: Trust) -> reqwest::Result<reqwest::Client> {
        let kind = Kind::of(url, trust);
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(&kind) {
            return Ok(client.clone());
        }
        let builder = reqwest::Client::builder()
            .user_agent(&self.user_agent)
            .redirect(redirect::Policy::none())
            .retry(reqwest::retry::never())
            // Blobs come faster by several connections than by one that is shared.
            .http1_only()
            .connect_timeout(CONNECT_TIMEOUT)
            .dns_resolver(Resolver)
            .tls_danger_accept_invalid_certs(!kind.verify);
        let builder = if kind.proxied { builder } else { builder.no_proxy() };
        let client = builder.build()?;
        clients.insert(kind, client.clone());
        Ok(client)
    }
}

fn parse_url(url: &str, query: &[(&str, String)]) -> Result<Url> {
    // Without this case the URL would get an empty query, which signed URLs do not forgive.
    let parsed = if query.is_empty() { Url::parse(url) } else { Url::parse_with_params(url, query) };
    parsed.map_err(|error| Error::protocol(&SafeUrl::new(url), error.to_string()))
}

/// The target of a redirect; a POST is never sent twice.
fn redirect_target(request: &Request, answer: &reqwest::Response) -> Result<Option<Url>> {
    if request.method == Method::Post || !matches!(answer.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
        return Ok(None);
    }
    let location = answer.headers().get(header::LOCATION).and_then(|value| value.to_str().ok());
    let target = location.and_then(|location| answer.url().join(location).ok());
    let shown = SafeUrl::new(answer.url().as_str());
    target.map(Some).ok_or_else(|| Error::protocol(&shown, "its redirect leads nowhere"))
}

fn check_redirect(first: &Url, target: &Url, trust: Trust) -> Result<()> {
    match security_of(target) {
        Some(Security::Tls) => Ok(()),
        Some(security) if trust.plain_http.covers(security == Security::PlainLoopback) => Ok(()),
        _ => Err(Error::Insecure { registry: shown_host(first), url: SafeUrl::new(target.as_str()) }),
    }
}

fn shown_host(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

fn unreachable(url: &Url, error: &reqwest::Error) -> Error {
    Error::Unreachable { host: shown_host(url), source: cause(error) }
}

fn cause(error: &reqwest::Error) -> Cause {
    match Cause::of(error) {
        _ if error.is_timeout() && error.is_connect() => Cause::Timeout(CONNECT_TIMEOUT),
        Cause::Other(words) if error.is_builder() => Cause::Tls(words),
        cause => cause,
    }
}

/// A place a registry led to; its URL may carry a signature and is never shown.
#[derive(Clone)]
pub(super) struct Location(Url);

impl Location {
    /// Its host and port.
    pub fn host(&self) -> String {
        shown_host(&self.0)
    }
}

/// An answer whose body has not been read yet.
pub(super) struct Response {
    method: Method,
    url: SafeUrl,
    redirected: bool,
    answer: reqwest::Response,
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

    /// The whole body, if it has at most `limit` bytes.
    pub async fn bytes(mut self, limit: u64) -> Result<Bytes> {
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

/// Looks names up as the system does, with an error that is recognised afterwards.
struct Resolver;

impl reqwest::dns::Resolve for Resolver {
    fn resolve(&self, name: reqwest::dns::Name) -> reqwest::dns::Resolving {
        Box::pin(async move {
            let search = tokio::task::spawn_blocking(move || (name.as_str(), 0).to_socket_addrs());
            let found = search.await.map_err(io::Error::other).and_then(|found| found);
            let addresses = found.map_err(|error| NameError::new(&error))?;
            Ok(Box::new(addresses) as reqwest::dns::Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registry_on_loopback_lends_its_trust_to_nobody() {
        let url = |text| Url::parse(text).unwrap();
        let first = url("https://127.0.0.1:5000/v2/");
        let cases = [
            ("https://localhost/token", None, false, true),
            ("http://127.0.0.1:80/token", None, false, true),
            ("https://192.0.2.2/token", None, true, true),
            ("http://192.0.2.2/token", None, true, false),
            ("https://192.0.2.2/token", Some(false), false, true),
            ("http://192.0.2.2/token", Some(false), false, true),
        ];
        for (text, tls_verify, verify, may_lead_there) in cases {
            let (target, trust) = (url(text), Trust::of("127.0.0.1:5000", tls_verify));
            assert_eq!(Kind::of(&target, trust).verify, verify, "{text} {tls_verify:?}");
            assert_eq!(check_redirect(&first, &target, trust).is_ok(), may_lead_there, "{text} {tls_verify:?}");
        }
        let foreign = Trust::of("quay.io", None);
        assert!(Kind::of(&url("https://localhost/"), foreign).verify);
        assert!(check_redirect(&first, &url("http://localhost/"), foreign).is_err());
    }

    #[test]
    fn only_tls_and_loopback_are_safe() {
        let cases = [
            ("https://quay.io/token", Some(Security::Tls)),
            ("http://127.0.0.1:5000/token", Some(Security::PlainLoopback)),
            ("http://[::1]/token", Some(Security::PlainLoopback)),
            ("http://localhost@quay.io/token", Some(Security::Plain)),
            ("http://quay.io/token", Some(Security::Plain)),
            ("file:///etc/passwd", None),
            ("token", None),
        ];
        for (url, expected) in cases {
            assert_eq!(security(url), expected, "{url}");
        }
    }
}
