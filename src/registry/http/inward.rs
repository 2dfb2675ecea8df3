//! Where a registry may not lead: to this machine and its link, where a server would be asked in our name (SSRF).
//!
//! A redirect, a realm or an upload's place is the word of whoever answers. A registry out there has nothing to do with what
//! listens on our loopback or gives out our cloud credentials, so its names are looked up with those addresses left out.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;

use super::super::cause::{InwardError, NameError};
use super::super::hosts;

/// Who may lead here after all.
pub(super) struct Inward {
    is_named: Box<dyn Fn(&str) -> bool + Send + Sync>,
    /// Proxies are nobody's choice but the user's, wherever they are.
    proxies: Arc<[String]>,
}

impl Inward {
    pub fn new(proxies: Vec<String>, is_named: impl Fn(&str) -> bool + Send + Sync + 'static) -> Self {
        Self { is_named: Box::new(is_named), proxies: proxies.into() }
    }

    /// Whether `registry`, a host with its port, has no business to lead to an inward address of `host`.
    ///
    /// What a name resolves to is its owner's word too, so only a registry that was named by such an address may.
    pub fn is_forbidden(&self, host: &str, registry: &str) -> bool {
        host != registry && !(self.is_named)(host) && !is_literal(hosts::without_port(registry))
    }

    pub fn resolver(&self, is_guarded: bool) -> Resolver {
        Resolver { is_guarded, proxies: Arc::clone(&self.proxies) }
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
        IpAddr::V4(address) => is_inward_v4(address),
        IpAddr::V6(address) if address.is_loopback() || address.is_unspecified() => true,
        IpAddr::V6(address) => {
            let is_metadata = matches!(address.segments(), [0xfd00, 0xec2, ..] | [0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254]);
            address.is_unicast_link_local() || is_metadata || embedded(address).is_some_and(is_inward_v4)
        }
    }
}

fn is_inward_v4(address: Ipv4Addr) -> bool {
    address.is_loopback() || address.is_link_local() || address.octets()[0] == 0 || METADATA.contains(&address)
}

/// The address that a gateway makes of one of NAT64 (RFC 6052), of 6to4 (RFC 3056), or of the old compatible form.
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let (high, low) = match address.segments() {
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0, 0, 0, 0, 0, 0, high, low] => (high, low),
        [0x2002, high, low, ..] => (high, low),
        _ => return None,
    };
    Some(Ipv4Addr::from((u32::from(high) << 16) | u32::from(low)))
}

/// The metadata of Alibaba Cloud and of Azure.
const METADATA: [Ipv4Addr; 2] = [Ipv4Addr::new(100, 100, 100, 200), Ipv4Addr::new(168, 63, 129, 16)];

/// Looks names up as the system does, with an error that is recognised afterwards.
pub(super) struct Resolver {
    /// Whether inward addresses are left out.
    is_guarded: bool,
    proxies: Arc<[String]>,
}

impl reqwest::dns::Resolve for Resolver {
    fn resolve(&self, name: reqwest::dns::Name) -> reqwest::dns::Resolving {
        let is_guarded = self.is_guarded && !self.proxies.iter().any(|proxy| proxy == name.as_str());
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
            ("[fd20:ce::254]", true),
            ("168.63.129.16", true),
            ("[64:ff9b::169.254.169.254]", true),
            ("[2002:7f00:1::1]", true),
            ("[::127.0.0.1]", true),
            ("[64:ff9b::192.0.2.7]", false),
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

    #[test]
    fn only_a_registry_that_is_named_by_such_an_address_may_lead_here() {
        let inward = Inward::new(Vec::new(), |host| host == "cache.local:5000");
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
            assert_eq!(inward.is_forbidden(host, registry), expected, "{registry} to {host}");
        }
    }

    #[tokio::test]
    async fn guarded_names_lose_their_inward_addresses() {
        use reqwest::dns::Resolve as _;
        let resolve = |is_guarded, proxies: &[&str]| {
            let inward = Inward::new(proxies.iter().map(ToString::to_string).collect(), |_| false);
            inward.resolver(is_guarded).resolve("localhost".parse().unwrap())
        };
        assert!(resolve(false, &[]).await.is_ok());
        assert!(resolve(true, &["localhost"]).await.is_ok());
        let error = resolve(true, &["proxy.local"]).await.err().unwrap();
        assert!(error.downcast_ref::<InwardError>().is_some(), "{error}");
    }
}
