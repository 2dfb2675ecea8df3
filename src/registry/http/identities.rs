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
use super::{shown_host, unreachable};

/// Adds what was found for the host of `url`; HTTP/1.1 is what is spoken there.
///
/// The HTTP library knows one certificate of our own. Among several the registry chooses by the authorities it names, as
/// for containers/image; where nobody's certificate is verified, the first is taken.
pub(super) fn with_certificates(
    builder: ClientBuilder,
    found: &Found,
    verify: bool,
    url: &Url,
) -> Result<ClientBuilder> {
    if verify && found.identities.len() > 1 {
        let unusable = |words| Error::Unreachable { host: shown_host(url), source: Cause::Tls(words) };
        return Ok(builder.tls_backend_preconfigured(config(found).map_err(unusable)?));
    }
    let unreadable = |error: reqwest::Error| unreachable(url, &error);
    let mut authorities = Vec::new();
    for pem in &found.authorities {
        authorities.extend(reqwest::Certificate::from_pem_bundle(pem).map_err(unreadable)?);
    }
    let builder = builder.tls_certs_merge(authorities);
    match found.identities.first() {
        Some(pem) => Ok(builder.identity(reqwest::Identity::from_pem(pem).map_err(unreadable)?)),
        None => Ok(builder),
    }
}

/// What the HTTP library would make, but for the choice among our certificates.
fn config(found: &Found) -> Result<ClientConfig, String> {
    let provider = Arc::new(ring::default_provider());
    let unreadable = |error: pem::Error| error.to_string();
    let mut authorities = Vec::new();
    for bundle in &found.authorities {
        let bundle: Result<Vec<CertificateDer<'_>>, _> = CertificateDer::pem_slice_iter(bundle).collect();
        authorities.extend(bundle.map_err(unreadable)?.into_iter().map(CertificateDer::into_owned));
    }
    let verifier = rustls_platform_verifier::Verifier::new_with_extra_roots(authorities, Arc::clone(&provider));
    let verifier = verifier.map_err(|error| error.to_string())?;
    let identities = found.identities.iter().map(|pem| certified(pem)).collect::<Result<_, _>>()?;
    let versions = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = versions.map_err(|error| error.to_string())?.dangerous();
    let builder = builder.with_custom_certificate_verifier(Arc::new(verifier));
    let mut config = builder.with_client_cert_resolver(Arc::new(Identities(identities)));
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
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
