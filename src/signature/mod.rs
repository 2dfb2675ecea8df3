//! Signatures of artifacts by a key, as cosign, podman and skopeo make them beside what they sign.
//!
//! Pure: where signatures lie, and which are asked for, others know.

mod bundle;
mod key;
mod simple;
#[cfg(test)]
mod tests;

use std::fmt;

use bytes::Bytes;

pub use self::key::{KeyError, PublicKey};
use crate::digest::Digest;

/// A signature as a registry has it, which proves nothing until it is verified.
#[derive(Clone, Debug)]
pub enum Signature {
    /// Cosign's first form, also podman's and skopeo's.
    Simple {
        /// What is signed.
        payload: Bytes,
        /// The signature over it, in base64.
        signature: String,
    },
    /// A sigstore bundle.
    Bundle(Bytes),
}

/// Why a signature does not count.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    /// It is by another key, or what it is over was changed.
    #[error("it is not by the key that is asked for")]
    Key,
    /// It is no base64.
    #[error("it is not encoded as it should be")]
    Encoding,
    /// What is signed has another form, or is said to be something else.
    #[error("what it signs has not the form of a signature for an artifact")]
    Payload,
    /// It is for other bytes.
    #[error("it is for another digest")]
    Digest,
    /// It is for another name.
    #[error("it is for the name {0:?}")]
    Name(String),
    /// It is for no name.
    #[error("it is a sigstore bundle, which says no name")]
    Nameless,
}

/// Why no signature counts.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unsigned {
    /// registries.d is silent on them.
    #[error("none is looked for in the registry, as no use-sigstore-attachments in registries.d says so")]
    NotLooked,
    /// There are none.
    #[error("it has none")]
    None,
    /// There are some.
    #[error("{}", Flaws(.0))]
    Flawed(Vec<Flaw>),
}

/// Different reasons, each once.
struct Flaws<'a>(&'a [Flaw]);

impl fmt::Display for Flaws<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut reasons: Vec<String> = Vec::new();
        for flaw in self.0 {
            let reason = flaw.to_string();
            if !reasons.contains(&reason) {
                reasons.push(reason);
            }
        }
        let rest = reasons.len().saturating_sub(3);
        reasons.truncate(3);
        write!(f, "of {} found, none counts: {}", self.0.len(), reasons.join("; "))?;
        if rest > 0 { write!(f, "; and {rest} reasons more") } else { Ok(()) }
    }
}

impl Signature {
    /// Checks that one of the keys has signed this digest, and gives the name that is signed with it; a bundle has none.
    pub fn verify(&self, keys: &[PublicKey], digest: &Digest) -> Result<Option<String>, Flaw> {
        match self {
            Self::Simple { payload, signature } => simple::verify(payload, signature, keys, digest).map(Some),
            Self::Bundle(bytes) => bundle::verify(bytes, keys, digest).map(|()| None),
        }
    }
}
