//! One request and its answer: the only user of the HTTP library.
//!
//! Redirects are followed here and not by the library, because `Authorization` must not go to another host and
//! because TLS must not be given up on the way.

mod identities;
mod inward;
mod response;
mod verifier;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqwest::{Url, header, redirect};
use tokio::time::timeout;

use self::identities::with_certificates;
use self::inward::Inward;
pub(super) use self::response::{Location, Place, Response};
use super::cause::Cause;
use super::certificates::{Certificates, Found};
use super::error::{Error, Result};
use super::hosts::{self, Trust};
use super::request::{Method, Payload, Request};
use super::safe_url::SafeUrl;
use super::token::Authorization;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest time without a byte of a document; who reads a blob has a clock of its own, which stands still while the
/// bytes have nowhere to go.
const READ_TIMEOUT: Duration = Duration::from_secs(60);
/// The longest time a registry may take to put away what it was sent: an object store copies it first.
const STORE_TIMEOUT: Duration = Duration::from_secs(15 * 60);
/// How long a connection is kept that nobody uses: registries count it, and other pulls may make one of their own.
const IDLE_TIMEOUT: Duration = Duration::from_secs(5);
const MAX_REDIRECTS: usize = 5;

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
    certificates: Certificates,
    inward: Inward,
    /// The hosts that have answered, and whether they speak nothing but HTTP/2.
    speak_http2: Mutex<HashMap<String, bool>>,
    clients: Mutex<HashMap<Kind, reqwest::Client>>,
}

/// What connections of one pool have in common.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Kind {
    /// Those of the host, beside the system's.
    certificates: Option<Arc<Found>>,
    verify: bool,
    /// As in Go and docker, a proxy of the environment is not for this machine.
    proxied: bool,
    /// Whether it must not end at an address of this machine or its link.
    is_guarded: bool,
    /// Blobs come faster by several connections than by one that is shared, so HTTP/2 is for those who want nothing else.
    is_http2: bool,
}

impl Kind {
    fn of(url: &Url, trust: &Trust) -> Self {
        let is_loopback = is_loopback(url);
        let verify = !trust.any_certificate.covers(is_loopback);
        Self { certificates: None, verify, proxied: !is_loopback, is_guarded: false, is_http2: false }
    }
}

impl Http {
    /// Hosts for which `is_named` holds may be led to whatever their address is; `proxies` are the environment's.
    pub fn new(
        user_agent: String,
        certificates: Certificates,
        proxies: Vec<String>,
        is_named: impl Fn(&str) -> bool + Send + Sync + 'static,
    ) -> Self {
        // An error says that the program installed a provider already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        Self {
            user_agent,
            certificates,
            inward: Inward::new(proxies, is_named),
            speak_http2: Mutex::default(),
            clients: Mutex::default(),
        }
    }

    /// Sends a request and follows its redirects; any other status is an answer.
    pub async fn send(
        &self,
        url: &str,
        request: &Request,
        authorization: Option<&Authorization>,
        trust: &Trust,
    ) -> Result<Response> {
        let first = parse_url(url, &request.query)?;
        self.send_from(first, request, authorization, trust).await
    }

    /// Sends a request to where an answer said that an upload goes on.
    pub async fn send_to(
        &self,
        place: &Place,
        request: &Request,
        authorization: Option<&Authorization>,
        trust: &Trust,
    ) -> Result<Response> {
        let authorization = authorization.filter(|_| place.is_registry);
        let response = self.send(place.url.as_str(), request, authorization, trust).await?;
        // What another host asks for, and where it leads, is not the registry's word.
        Ok(Response { redirected: response.redirected || !place.is_registry, ..response })
    }

    /// Sends a request to where an earlier one was led, without the registry's authorization.
    pub async fn follow(&self, location: &Location, request: &Request, trust: &Trust) -> Result<Response> {
        let response = self.send_from(location.0.clone(), request, None, trust).await?;
        Ok(Response { redirected: true, ..response })
    }

    async fn send_from(
        &self,
        first: Url,
        request: &Request,
        authorization: Option<&Authorization>,
        trust: &Trust,
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

    /// Sends a request, by HTTP/2 where the server speaks nothing else.
    async fn send_once(
        &self,
        request: &Request,
        url: &Url,
        authorization: Option<&Authorization>,
        trust: &Trust,
    ) -> Result<reqwest::Response> {
        let known = self.speak_http2.lock().unwrap_or_else(PoisonError::into_inner).get(&shown_host(url)).copied();
        let mut is_http2 = known.unwrap_or_default();
        let mut answer = self.send_by(request, url, authorization, trust, is_http2).await;
        if known.is_none() && may_want_http2(&answer, request, url) {
            // One hang-up is an accident.
            if !is_refusal_of_http1(&answer) {
                answer = self.send_by(request, url, authorization, trust, false).await;
            }
            if may_want_http2(&answer, request, url) {
                is_http2 = true;
                answer = self.send_by(request, url, authorization, trust, true).await;
            }
        }
        if known.is_none() && answer.is_ok() {
            self.speak_http2.lock().unwrap_or_else(PoisonError::into_inner).insert(shown_host(url), is_http2);
        }
        answer
    }

    async fn send_by(
        &self,
        request: &Request,
        url: &Url,
        authorization: Option<&Authorization>,
        trust: &Trust,
        is_http2: bool,
    ) -> Result<reqwest::Response> {
        let client = self.client(url, trust, is_http2)?;
        let mut builder = match request.method {
            Method::Get => client.get(url.clone()),
            Method::Head => client.head(url.clone()),
            Method::Post if request.payload.is_none() && !request.form.is_empty() => {
                client.post(url.clone()).form(&request.form)
            }
            Method::Post => client.post(url.clone()),
            Method::Put => client.put(url.clone()),
            Method::Patch => client.patch(url.clone()),
        };
        builder = with_payload(builder, request);
        for (name, value) in &request.headers {
            builder = builder.header(*name, value);
        }
        builder = match authorization {
            Some(Authorization::Basic { user, password }) => builder.basic_auth(user, Some(password)),
            Some(Authorization::Bearer(token)) => builder.bearer_auth(token),
            None => builder,
        };
        let late = |after| Error::Unreachable { host: shown_host(url), source: Cause::Timeout(after) };
        let answer = while_it_moves(builder.send(), request).await.map_err(late)?;
        let answer = answer.map_err(|error| unanswered(url, &error, trust))?;
        tracing::debug!(method = request.method.as_str(), url = %SafeUrl::new(url.as_str()), status = %answer.status());
        Ok(answer)
    }

    /// Clients are made when they are needed: one that verifies cannot be made where there are no CA certificates.
    fn client(&self, url: &Url, trust: &Trust, is_http2: bool) -> Result<reqwest::Client> {
        let certificates = self.certificates.find(&trust.host, &shown_host(url))?;
        let is_guarded = self.inward.is_forbidden(&shown_host(url), &trust.host);
        if is_guarded && inward::is_literal(url.host_str().unwrap_or_default()) {
            return Err(Error::Inward { registry: trust.host.clone(), host: shown_host(url) });
        }
        let kind = Kind { certificates, is_guarded, is_http2, ..Kind::of(url, trust) };
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(&kind) {
            return Ok(client.clone());
        }
        let builder = reqwest::Client::builder()
            .user_agent(&self.user_agent)
            .redirect(redirect::Policy::none())
            .retry(reqwest::retry::never())
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_idle_timeout(IDLE_TIMEOUT)
            .dns_resolver(self.inward.resolver(is_guarded))
            .tls_danger_accept_invalid_certs(!kind.verify);
        let builder = if kind.is_http2 { builder } else { builder.http1_only() };
        let builder = if kind.proxied { builder } else { builder.no_proxy() };
        let builder = match &kind.certificates {
            Some(found) => with_certificates(builder, found, &kind, url)?,
            None => builder,
        };
        let client = builder.build().map_err(|error| unreachable(url, &error))?;
        clients.insert(kind, client.clone());
        Ok(client)
    }
}

/// Whether HTTP/2 is worth a try; what changes something is sent again only where the server has said why it hung up.
fn may_want_http2(answer: &Result<reqwest::Response>, request: &Request, url: &Url) -> bool {
    let suggests = |source: &Cause| source.suggests_http2() && request.method.is_reading();
    let is_suggested = matches!(answer, Err(Error::Unreachable { source, .. }) if suggests(source));
    url.scheme() == "https" && (is_suggested || is_refusal_of_http1(answer))
}

const fn is_refusal_of_http1(answer: &Result<reqwest::Response>) -> bool {
    matches!(answer, Err(Error::Unreachable { source: Cause::Http2Only, .. }))
}

/// A registry may read nothing of what it does not expect, so the length is said even where it is 0.
fn with_payload(builder: reqwest::RequestBuilder, request: &Request) -> reqwest::RequestBuilder {
    let length = request.payload.as_ref().map_or(0, Payload::length);
    match request.payload.clone() {
        _ if request.method.is_reading() || !request.form.is_empty() => builder,
        Some(Payload::Part(part)) => {
            builder.header(header::CONTENT_LENGTH, length).body(reqwest::Body::wrap_stream(part.stream()))
        }
        Some(Payload::Bytes(bytes)) => builder.body(bytes),
        None => builder.header(header::CONTENT_LENGTH, length),
    }
}

/// Waits for an answer: in vain when nothing was sent for a while, or when what was sent is not answered.
async fn while_it_moves<T>(sending: impl Future<Output = T>, request: &Request) -> Result<T, Duration> {
    let mut sending = std::pin::pin!(sending);
    let moved = || request.payload.as_ref().map_or(0, Payload::moved);
    let is_sent = |moved| match &request.payload {
        Some(Payload::Part(part)) => part.range.end - part.range.start == moved,
        Some(Payload::Bytes(_)) | None => request.method == Method::Put,
    };
    loop {
        let before = moved();
        let patience = if is_sent(before) { STORE_TIMEOUT } else { READ_TIMEOUT };
        match timeout(patience, &mut sending).await {
            Ok(answer) => return Ok(answer),
            Err(_) if moved() > before => {}
            Err(_) => return Err(patience),
        }
    }
}

fn parse_url(url: &str, query: &[(&str, String)]) -> Result<Url> {
    // Without this case the URL would get an empty query, which signed URLs do not forgive.
    let parsed = if query.is_empty() { Url::parse(url) } else { Url::parse_with_params(url, query) };
    parsed.map_err(|error| Error::protocol(&SafeUrl::new(url), error.to_string()))
}

/// The target of a redirect; what changes something is never sent twice.
fn redirect_target(request: &Request, answer: &reqwest::Response) -> Result<Option<Url>> {
    if !request.method.is_reading() || !matches!(answer.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
        return Ok(None);
    }
    let location = answer.headers().get(header::LOCATION).and_then(|value| value.to_str().ok());
    let target = location.and_then(|location| answer.url().join(location).ok());
    let shown = SafeUrl::new(answer.url().as_str());
    target.map(Some).ok_or_else(|| Error::protocol(&shown, "its redirect leads nowhere"))
}

fn check_redirect(first: &Url, target: &Url, trust: &Trust) -> Result<()> {
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

fn unanswered(url: &Url, error: &reqwest::Error, trust: &Trust) -> Error {
    match cause(error) {
        Cause::Inward => Error::Inward { registry: trust.host.clone(), host: shown_host(url) },
        source => Error::Unreachable { host: shown_host(url), source },
    }
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
            assert_eq!(Kind::of(&target, &trust).verify, verify, "{text} {tls_verify:?}");
            assert_eq!(check_redirect(&first, &target, &trust).is_ok(), may_lead_there, "{text} {tls_verify:?}");
        }
        let foreign = Trust::of("quay.io", None);
        assert!(Kind::of(&url("https://localhost/"), &foreign).verify);
        assert!(check_redirect(&first, &url("http://localhost/"), &foreign).is_err());
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
