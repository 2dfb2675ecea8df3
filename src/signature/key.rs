//! Public keys, and what is signed by them.

use std::fmt;
use std::io;

use ring::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P384_SHA256_ASN1, ED25519, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey,
    VerificationAlgorithm,
};
use rustls::pki_types::SubjectPublicKeyInfoDer;
use rustls::pki_types::pem::{self, PemObject as _};
use spki::{ObjectIdentifier, SubjectPublicKeyInfoRef};

const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
const EDWARDS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");

/// The bytes of an RSA key of 2048 bits; ring takes no smaller ones.
const MIN_RSA: usize = 256;

/// A public key, with SHA-256 where its algorithm leaves a choice, as cosign and containers/image have it.
#[derive(Clone)]
pub struct PublicKey {
    algorithm: &'static dyn VerificationAlgorithm,
    bytes: Vec<u8>,
}

/// Bytes that are no key to check signatures by.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// Its file cannot be read.
    #[error(transparent)]
    Unreadable(#[from] io::Error),
    /// No PEM.
    #[error("no public key in PEM, which begins with -----BEGIN PUBLIC KEY-----")]
    NoKey(#[source] pem::Error),
    /// PEM of something else.
    #[error("its content is no public key")]
    Der(#[source] spki::Error),
    /// An algorithm, or a curve, that is not known here.
    #[error("a key of the algorithm {0}: known are ECDSA on P-256 and P-384, Ed25519 and RSA")]
    Algorithm(String),
    /// An RSA key that is too small.
    #[error("an RSA key of fewer than 2048 bits")]
    Small,
}

impl PublicKey {
    /// Reads the first public key (X.509's SubjectPublicKeyInfo) of a PEM text.
    pub fn parse(text: &[u8]) -> Result<Self, KeyError> {
        let der = SubjectPublicKeyInfoDer::from_pem_slice(text).map_err(KeyError::NoKey)?;
        let info = SubjectPublicKeyInfoRef::try_from(der.as_ref()).map_err(KeyError::Der)?;
        let bytes = info.subject_public_key.raw_bytes().to_vec();
        let curve = info.algorithm.parameters_oid().ok();
        let algorithm: &'static dyn VerificationAlgorithm = match (info.algorithm.oid, curve) {
            (EC, Some(P256)) => &ECDSA_P256_SHA256_ASN1,
            (EC, Some(P384)) => &ECDSA_P384_SHA256_ASN1,
            (EDWARDS, _) => &ED25519,
            (RSA, _) if bytes.len() < MIN_RSA => return Err(KeyError::Small),
            (RSA, _) => &RSA_PKCS1_2048_8192_SHA256,
            (EC, Some(curve)) => return Err(KeyError::Algorithm(curve.to_string())),
            (other, _) => return Err(KeyError::Algorithm(other.to_string())),
        };
        Ok(Self { algorithm, bytes })
    }

    /// Whether `signature` is by this key over `message`.
    pub fn has_signed(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(self.algorithm, &self.bytes).verify(message, signature).is_ok()
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({:?})", self.algorithm)
    }
}
