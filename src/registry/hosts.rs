//! Which host stands for a registry, and how far it is trusted without TLS.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Trust {
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
        match tls_verify {
            Some(false) => Self { any_certificate: Reach::Everywhere, plain_http: Reach::Everywhere },
            Some(true) => Self { any_certificate: Reach::Nowhere, plain_http: by_default },
            None => Self { any_certificate: by_default, plain_http: by_default },
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

/// The scheme each registry turned out to speak.
#[derive(Default)]
pub(super) struct Schemes(Mutex<HashMap<String, Scheme>>);

impl Schemes {
    pub fn find(&self, registry: &str) -> Option<Scheme> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(registry).copied()
    }

    pub fn remember(&self, registry: &str, scheme: Scheme) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(registry.to_owned(), scheme);
    }
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

fn without_port(registry: &str) -> &str {
    match registry.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => registry,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
            let expected = Trust { any_certificate, plain_http };
            assert_eq!(Trust::of(registry, tls_verify), expected, "{registry} {tls_verify:?}");
        }
    }
}
