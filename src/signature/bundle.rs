//! Sigstore bundles of version 0.3, as cosign 3 attaches them: a signed in-toto statement in a DSSE envelope.
//!
//! Certificates and the log's entries are not looked at: what counts is the key that the user names.
//!
//! <https://github.com/sigstore/protobuf-specs/blob/main/protos/sigstore_bundle.proto>,
//! <https://github.com/secure-systems-lab/dsse/blob/master/protocol.md>

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use super::{Flaw, PublicKey};
use crate::digest::Digest;
use crate::media;
use crate::strict::Object;

const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";
const STATEMENT: &str = "https://in-toto.io/Statement/v1";
const PREDICATE: &str = "https://sigstore.dev/cosign/sign/v1";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Bundle {
    media_type: String,
    dsse_envelope: Envelope,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope {
    payload: String,
    payload_type: String,
    signatures: [EnvelopeSignature; 1],
}

#[derive(Deserialize)]
struct EnvelopeSignature {
    sig: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Statement {
    #[serde(rename = "_type")]
    kind: String,
    predicate_type: String,
    subject: Vec<Subject>,
}

#[derive(Deserialize)]
struct Subject {
    digest: Object<String>,
}

/// Checks that the key has signed the digest; for which name a bundle does not say.
pub(super) fn verify(bundle: &[u8], keys: &[PublicKey], digest: &Digest) -> Result<(), Flaw> {
    let bundle: Bundle = serde_json::from_slice(bundle).map_err(|_| Flaw::Payload)?;
    let Envelope { payload, payload_type, signatures: [signature] } = bundle.dsse_envelope;
    if bundle.media_type != media::SIGSTORE_BUNDLE || payload_type != PAYLOAD_TYPE {
        return Err(Flaw::Payload);
    }
    let payload = STANDARD.decode(payload).map_err(|_| Flaw::Encoding)?;
    let signature = STANDARD.decode(signature.sig).map_err(|_| Flaw::Encoding)?;
    let message = pre_authentication_encoding(&payload_type, &payload);
    if !keys.iter().any(|key| key.has_signed(&message, &signature)) {
        return Err(Flaw::Key);
    }
    let statement: Statement = serde_json::from_slice(&payload).map_err(|_| Flaw::Payload)?;
    if statement.kind != STATEMENT || statement.predicate_type != PREDICATE {
        return Err(Flaw::Payload);
    }
    let is_of =
        |subject: &Subject| subject.digest.0.get(digest.algorithm().as_str()).is_some_and(|hex| hex == digest.hex());
    if statement.subject.iter().any(is_of) { Ok(()) } else { Err(Flaw::Digest) }
}

/// What DSSE signs: the type goes with the payload, so that neither is taken for something else.
fn pre_authentication_encoding(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let head = format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len());
    [head.as_bytes(), payload].concat()
}
