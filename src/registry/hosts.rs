//! Which host stands for a registry, and how far it is trusted without TLS.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::registries_conf::Endpoint;

/// Which hosts may do without something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    Nowhere,
    /// This machine only, whoever leads there.
    Loopback,
    Everywhere,
}

impl Reach {
    pub const fn covers(self, is_loopback: bool) -> bool {
        match self {
            Self::Nowhere => false,
            Self::Loopback => is_loopback,
            Self::Everywhere => true,
        }
    }
}

/// What is let pass on the way to a registry, its token server and the hosts it redirects to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Trust {
    /// The host of the registry, with its port.
    pub host: String,
    /// The hosts that may have any certificate.
    pub any_certificate: Reach,
    /// The hosts that may be asked without TLS.
    pub plain_http: Reach,
}

impl Trust {
    /// The trust in `registry`: on loopback it may speak plain HTTP and, unless the user says otherwise, have any
    /// certificate, as in docker. That ends at the machine: where it leads to must be as good as for everybody.
    pub fn of(registry: &str, tls_verify: Option<bool>) -> Self {
        let by_default = if is_local(registry) { Reach::Loopback } else { Reach::Nowhere };
        let host = host(registry).to_owned();
        match tls_verify {
            Some(false) => Self { host, any_certificate: Reach::Everywhere, plain_http: Reach::Everywhere },
            Some(true) => Self { host, any_certificate: Reach::Nowhere, plain_http: by_default },
            None => Self { host, any_certificate: by_default, plain_http: by_default },
        }
    }
}

/// The two ways to speak to a registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scheme {
    Https,
    Http,
}

impl Scheme {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Https => "https",
            Self::Http => "http",
        }
    }
}

/// What the answers of a registry have told of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// What it speaks; absent as long as it has not answered.
    pub(super) scheme: Option<Scheme>,
    /// The shortest time it took to answer.
    pub latency: Option<Duration>,
    /// Whether it has said that it serves ranges (RFC 9110, section 14.3).
    pub accepts_ranges: bool,
}

/// What is known of each registry, by its host and whether it is insecure.
#[derive(Default)]
pub(super) struct Registries(Mutex<HashMap<(String, bool), Known>>);

impl Registries {
    pub fn find(&self, endpoint: &Endpoint) -> Known {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&key(endpoint)).copied().unwrap_or_default()
    }

    /// An answer came, after `took`.
    pub fn note(&self, endpoint: &Endpoint, scheme: Scheme, took: Duration, accepts_ranges: bool) {
        let mut registries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = registries.entry(key(endpoint)).or_default();
        known.scheme = Some(scheme);
        known.latency = Some(known.latency.map_or(took, |latency| latency.min(took)));
        known.accepts_ranges |= accepts_ranges;
    }
}

fn key(endpoint: &Endpoint) -> (String, bool) {
    (endpoint.reference.registry().to_owned(), endpoint.insecure)
}

/// Whether plain HTTP is to be tried before TLS.
///
/// On this machine it is usual, and a server that wants TLS says so at once; elsewhere, and with a secret to send, TLS
/// comes first. Without a port the two are two servers, of which that with TLS is the registry.
pub(super) fn is_plain_likely(registry: &str, trust: &Trust, has_secret: bool) -> bool {
    let is_local = is_local(registry);
    trust.plain_http.covers(is_local) && is_local && without_port(registry) != registry && !has_secret
}

/// The host requests for `registry` go to.
pub(super) fn host(registry: &str) -> &str {
    match registry {
        "docker.io" | "index.docker.io" => "registry-1.docker.io",
        other => other,
    }
}

/// Whether `registry` is on this machine, where it may speak plain HTTP as docker lets it.
pub fn is_local(registry: &str) -> bool {
    is_loopback(without_port(registry))
}

/// Whether `host`, without a port, is this machine.
pub(super) fn is_loopback(host: &str) -> bool {
    let address = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    host == "localhost" || address.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

pub(super) fn without_port(registry: &str) -> &str {
    match registry.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => registry,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_is_tried_first_only_on_this_machine_and_with_nothing_to_hide() {
        let cases = [
            ("quay.io", None, false, false),
            ("quay.io:5000", Some(false), false, false),
            ("127.0.0.1:5000", None, false, true),
            ("localhost:5000", Some(true), false, true),
            ("[::1]:5000", None, false, true),
            ("[::1]", None, false, false),
            ("localhost", None, false, false),
            ("localhost:5000", None, true, false),
        ];
        for (registry, tls_verify, has_secret, expected) in cases {
            let trust = Trust::of(registry, tls_verify);
            assert_eq!(
                is_plain_likely(registry, &trust, has_secret),
                expected,
                "{registry} {tls_verify:?} {has_secret}"
            );
        }
    }

    #[test]
    fn a_registry_is_as_near_as_its_fastest_answer_says() {
        let registries = Registries::default();
        let endpoint = |name: &str, insecure| Endpoint { reference: name.parse().unwrap(), insecure, is_mirror: false };
        for (milliseconds, accepts_ranges) in [(90, false), (40, true), (200, false)] {
            registries.note(
                &endpoint("quay.io/a", false),
                Scheme::Https,
                Duration::from_millis(milliseconds),
                accepts_ranges,
            );
        }
        let latency = Some(Duration::from_millis(40));
        let expected = Known { scheme: Some(Scheme::Https), latency, accepts_ranges: true };
        assert_eq!(registries.find(&endpoint("quay.io/b", false)), expected);
        for (name, insecure) in [("quay.io/a", true), ("docker.io/a/b", false)] {
            assert_eq!(registries.find(&endpoint(name, insecure)), Known::default());
        }
    }

    #[test]
    fn trust_follows_the_host_and_the_users_word() {
        use Reach::{Everywhere, Loopback, Nowhere};
        let cases = [
            ("quay.io", None, Nowhere, Nowhere),
            ("quay.io", Some(true), Nowhere, Nowhere),
            ("quay.io:5000", Some(false), Everywhere, Everywhere),
            ("localhost:5000", None, Loopback, Loopback),
            ("localhost:5000", Some(false), Everywhere, Everywhere),
            ("127.9.9.9", None, Loopback, Loopback),
            ("[::1]:5000", None, Loopback, Loopback),
            ("127.0.0.1:5000", Some(true), Nowhere, Loopback),
            ("127.0.0.1.example.org", None, Nowhere, Nowhere),
            ("localhost.example.org", None, Nowhere, Nowhere),
        ];
        for (registry, tls_verify, any_certificate, plain_http) in cases {
            let expected = Trust { host: registry.to_owned(), any_certificate, plain_http };
            assert_eq!(Trust::of(registry, tls_verify), expected, "{registry} {tls_verify:?}");
        }
    }
}
