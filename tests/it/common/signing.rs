//! Signatures as cosign makes them, by keys made here.
//!
//! Plain strings and bytes only: the library's own unit tests and the integration tests both include this file.
#![allow(dead_code, reason = "every test program uses another part")]
#![allow(clippy::unwrap_used, reason = "it exists in tests only")]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _};
use serde_json::{Value, json};

/// What X.509 puts before the bytes of a key on P-256, and of one of Ed25519.
const P256: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce,
    0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];
const EDWARDS: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

pub const TYPE: &str = "cosign container image signature";

/// A private key.
pub enum Signer {
    Ecdsa(EcdsaKeyPair),
    Edwards(Ed25519KeyPair),
}

impl Signer {
    /// A new key of the kind that cosign and skopeo make.
    pub fn new() -> Self {
        let random = SystemRandom::new();
        let key = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random).unwrap();
        Self::Ecdsa(EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, key.as_ref(), &random).unwrap())
    }

    pub fn new_edwards() -> Self {
        let key = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        Self::Edwards(Ed25519KeyPair::from_pkcs8(key.as_ref()).unwrap())
    }

    /// The public key.
    pub fn pem(&self) -> String {
        let der = match self {
            Self::Ecdsa(key) => [&P256, key.public_key().as_ref()].concat(),
            Self::Edwards(key) => [&EDWARDS, key.public_key().as_ref()].concat(),
        };
        format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", STANDARD.encode(der))
    }

    /// A signature in base64.
    pub fn sign(&self, message: &[u8]) -> String {
        match self {
            Self::Ecdsa(key) => STANDARD.encode(key.sign(&SystemRandom::new(), message).unwrap()),
            Self::Edwards(key) => STANDARD.encode(key.sign(message)),
        }
    }

    /// A sigstore bundle about a digest of sha256, as cosign 3 makes it.
    pub fn bundle(&self, digest: &str) -> Value {
        let statement = json!({
            "_type": "https://in-toto.io/Statement/v1",
            "subject": [{"digest": {"sha256": digest.trim_start_matches("sha256:")}}],
            "predicateType": "https://sigstore.dev/cosign/sign/v1",
            "predicate": {},
        });
        self.bundle_of(&statement, "application/vnd.in-toto+json")
    }

    pub fn bundle_of(&self, statement: &Value, payload_type: &str) -> Value {
        let payload = statement.to_string();
        let message = format!("DSSEv1 {} {payload_type} {} {payload}", payload_type.len(), payload.len());
        json!({
            "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
            "verificationMaterial": {"publicKey": {"hint": "a"}, "tlogEntries": []},
            "dsseEnvelope": {
                "payload": STANDARD.encode(&payload),
                "payloadType": payload_type,
                "signatures": [{"sig": self.sign(message.as_bytes())}],
            },
        })
    }
}

/// What cosign signs, for a name.
pub fn payload(name: &str, digest: &str) -> Value {
    json!({
        "critical": {
            "identity": {"docker-reference": name},
            "image": {"docker-manifest-digest": digest},
            "type": TYPE,
        },
        "optional": {"creator": "artishim's tests", "timestamp": 1_700_000_000},
    })
}
