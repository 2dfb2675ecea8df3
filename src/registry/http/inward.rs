//! Where a registry may not lead: to this machine and its link, where a server would be asked in our name (SSRF).
//!
//! A redirect, a realm or an upload's place is the word of whoever answers. A registry out there has nothing to do with what
//! listens on our loopback or gives out our cloud credentials, so its names are looked up with those addresses left out.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs};
use std::sync::{Mutex, PoisonError};

use super::super::cause::{InwardError, NameError};
use super::super::hosts;

/// Which registries are here themselves, and may lead here.
pub(super) struct Inward {
    is_named: Box<dyn Fn(&str) -> bool + Send + Sync>,
    known: Mutex<HashMap<String, bool>>,
}

impl Inward {
    pub fn new(is_named: impl Fn(&str) -> bool + Send + Sync + 'static) -> Self {
        Self { is_named: Box::new(is_named), known: Mutex::default() }
    }

    /// Whether `registry`, a host with its port, has no business to lead to an inward address of `host`.
    pub async fn is_forbidden(&self, host: &str, registry: &str) -> bool {
        host != registry && !(self.is_named)(host) && !self.is_inward(registry).await
    }

    async fn is_inward(&self, registry: &str) -> bool {
        if let Some(known) = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(registry) {
            return *known;
        }
        let name = hosts::without_port(registry).to_owned();
        let is_inward = is_literal(&name) || look_up(name).await.is_ok_and(|found| found.iter().any(is_address));
        self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(registry.to_owned(), is_inward);
        is_inward
    }
}

/// Whether a host, without its port, is an inward address.
pub(super) fn is_literal(host: &str) -> bool {
    let address = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    host == "localhost" || address.parse().is_ok_and(is_inward)
}

fn is_address(address: &SocketAddr) -> bool {
    is_inward(address.ip())
}

/// Loopback, link-local (RFC 3927, RFC 4291), the unspecified address, which Linux takes for loopback, and where clouds have
/// their metadata.
fn is_inward(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => {
            address.is_loopback() || address.is_link_local() || address.octets()[0] == 0 || address == ALIBABA
        }
        IpAddr::V6(address) => {
            let is_amazon = address.segments() == [0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254];
            address.is_loopback() || address.is_unspecified() || address.is_unicast_link_local() || is_amazon
        }
    }
}

/// Alibaba Cloud's metadata.
const ALIBABA: Ipv4Addr = Ipv4Addr::new(100, 100, 100, 200);

/// Looks names up as the system does, with an error that is recognised afterwards.
pub(super) struct Resolver {
    /// Whether inward addresses are left out.
    pub is_guarded: bool,
}

impl reqwest::dns::Resolve for Resolver {
    fn resolve(&self, name: reqwest::dns::Name) -> reqwest::dns::Resolving {
        let is_guarded = self.is_guarded;
        Box::pin(async move {
            let mut addresses = look_up(name.as_str().to_owned()).await.map_err(|error| NameError::new(&error))?;
            if is_guarded {
                addresses.retain(|address| !is_address(address));
                if addresses.is_empty() {
                    return Err(InwardError.into());
                }
            }
            Ok(Box::new(addresses.into_iter()) as reqwest::dns::Addrs)
        })
    }
}

async fn look_up(name: String) -> io::Result<Vec<SocketAddr>> {
    let search = tokio::task::spawn_blocking(move || Ok((name.as_str(), 0).to_socket_addrs()?.collect()));
    search.await.map_err(io::Error::other)?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_this_machine_and_its_link_are_inward() {
        let cases = [
            ("127.0.0.1", true),
            ("127.9.9.9", true),
            ("localhost", true),
            ("169.254.169.254", true),
            ("0.0.0.0", true),
            ("0.1.2.3", true),
            ("100.100.100.200", true),
            ("[::1]", true),
            ("[::]", true),
            ("[fe80::1]", true),
            ("[::ffff:127.0.0.1]", true),
            ("[::ffff:169.254.169.254]", true),
            ("[fd00:ec2::254]", true),
            ("10.0.0.1", false),
            ("192.168.1.1", false),
            ("192.0.2.7", false),
            ("[2001:db8::1]", false),
            ("localhost.example.com", false),
            ("quay.io", false),
        ];
        for (host, expected) in cases {
            assert_eq!(is_literal(host), expected, "{host}");
        }
    }

    #[tokio::test]
    async fn only_a_registry_that_is_here_itself_may_lead_here() {
        let inward = Inward::new(|host| host == "cache.local:5000");
        let cases = [
            ("127.0.0.1:5001", "quay.invalid", true),
            ("169.254.169.254", "192.0.2.7:5000", true),
            ("127.0.0.1:5001", "127.0.0.1:5000", false),
            ("127.0.0.1:5001", "localhost:5000", false),
            ("quay.invalid", "quay.invalid", false),
            ("cache.local:5000", "quay.invalid", false),
            ("cdn.invalid", "quay.invalid", true),
        ];
        for (host, registry, expected) in cases {
            assert_eq!(inward.is_forbidden(host, registry).await, expected, "{registry} to {host}");
        }
    }

    #[tokio::test]
    async fn guarded_names_lose_their_inward_addresses() {
        use reqwest::dns::Resolve as _;
        let resolve = |is_guarded| Resolver { is_guarded }.resolve("localhost".parse().unwrap());
        assert!(resolve(false).await.is_ok());
        let error = resolve(true).await.err().unwrap();
        assert!(error.downcast_ref::<InwardError>().is_some(), "{error}");
    }
}
