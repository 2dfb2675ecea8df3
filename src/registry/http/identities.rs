//! The certificates of a host in a client: authorities that it is trusted by, and our own that it may want to see.

use std::sync::Arc;

use reqwest::{ClientBuilder, Url};
use rustls::client::ResolvesClientCert;
use rustls::crypto::ring;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, SignatureScheme};

use super::super::cause::Cause;
use super::super::certificates::Found;
use super::super::error::{Error, Result};
use super::verifier::Verifier;
use super::{Kind, shown_host, unreachable};

/// Adds what was found for the host of `url`.
///
/// Among several certificates of our own the registry chooses by the authorities it names, as for containers/image. The
/// HTTP library knows one, so where nobody's certificate is verified it is the first.
pub(super) fn with_certificates(
    builder: ClientBuilder,
    found: &Found,
    kind: &Kind,
    url: &Url,
) -> Result<ClientBuilder> {
    if kind.verify {
        let unusable = |words| Error::Unreachable { host: shown_host(url), source: Cause::Tls(words) };
        return Ok(builder.tls_backend_preconfigured(config(found, kind.is_http2).map_err(unusable)?));
    }
    let unreadable = |error: reqwest::Error| unreachable(url, &error);
    match found.identities.first() {
        Some(pem) => Ok(builder.identity(reqwest::Identity::from_pem(pem).map_err(unreadable)?)),
        None => Ok(builder),
    }
}

/// What the HTTP library would make, but for the choice among our certificates and the servers' own in certs.d.
fn config(found: &Found, is_http2: bool) -> Result<ClientConfig, String> {
    let provider = Arc::new(ring::default_provider());
    let unreadable = |error: pem::Error| error.to_string();
    let mut authorities = Vec::new();
    for bundle in &found.authorities {
        let bundle: Result<Vec<CertificateDer<'_>>, _> = CertificateDer::pem_slice_iter(bundle).collect();
        authorities.extend(bundle.map_err(unreadable)?.into_iter().map(CertificateDer::into_owned));
    }
    let verifier = Verifier::new(authorities, &provider).map_err(|error| error.to_string())?;
    let identities = found.identities.iter().map(|pem| certified(pem)).collect::<Result<_, _>>()?;
    let versions = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = versions.map_err(|error| error.to_string())?.dangerous();
    let builder = builder.with_custom_certificate_verifier(Arc::new(verifier));
    let mut config = builder.with_client_cert_resolver(Arc::new(Identities(identities)));
    let protocols: &[&[u8]] = if is_http2 { &[b"h2", b"http/1.1"] } else { &[b"http/1.1"] };
    config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    Ok(config)
}

fn certified(pem: &[u8]) -> Result<Arc<CertifiedKey>, String> {
    let unreadable = |error: pem::Error| error.to_string();
    let chain: Result<Vec<CertificateDer<'_>>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let chain = chain.map_err(unreadable)?.into_iter().map(CertificateDer::into_owned).collect();
    let key = PrivateKeyDer::from_pem_slice(pem).map_err(unreadable)?;
    let key = ring::sign::any_supported_type(&key).map_err(|error| error.to_string())?;
    Ok(Arc::new(CertifiedKey::new(chain, key)))
}

#[derive(Debug)]
struct Identities(Vec<Arc<CertifiedKey>>);

impl ResolvesClientCert for Identities {
    /// The first of ours that was issued by one of the authorities `names`, whose names are in it byte for byte.
    fn resolve(&self, names: &[&[u8]], schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        let holds = |certificate: &CertificateDer<'_>, name: &[u8]| {
            !name.is_empty() && certificate.windows(name.len()).any(|window| window == name)
        };
        let is_wanted = |identity: &&Arc<CertifiedKey>| {
            let issued = |name: &&[u8]| identity.cert.iter().any(|certificate| holds(certificate, name));
            identity.key.choose_scheme(schemes).is_some() && (names.is_empty() || names.iter().any(issued))
        };
        self.0.iter().find(is_wanted).cloned()
    }

    fn has_certs(&self) -> bool {
        !self.0.is_empty()
    }
}
