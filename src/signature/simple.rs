//! Cosign's first form: a layer of "simple signing" JSON, with the signature over its bytes in an annotation.
//!
//! <https://github.com/sigstore/cosign/blob/main/specs/SIGNATURE_SPEC.md>

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::Value;

use super::{Flaw, PublicKey};
use crate::digest::Digest;
use crate::strict::Object;

/// What `critical.type` must say.
const TYPE: &str = "cosign container image signature";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Payload {
    critical: Critical,
    /// What the signer adds; it must be there, if only as null.
    #[serde(deserialize_with = "Option::deserialize")]
    optional: Option<Object<Value>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Critical {
    r#type: String,
    image: Image,
    identity: Identity,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Image {
    docker_manifest_digest: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Identity {
    docker_reference: String,
}

/// Checks the signature and what is signed, and gives the name that it is signed for.
pub(super) fn verify(payload: &[u8], signature: &str, keys: &[PublicKey], digest: &Digest) -> Result<String, Flaw> {
    let signature = STANDARD.decode(signature.replace(['\r', '\n'], "")).map_err(|_| Flaw::Encoding)?;
    if !keys.iter().any(|key| key.has_signed(payload, &signature)) {
        return Err(Flaw::Key);
    }
    let Payload { critical, optional } = serde_json::from_slice(payload).map_err(|_| Flaw::Payload)?;
    if critical.r#type != TYPE || !optional.as_ref().is_none_or(is_understood) {
        return Err(Flaw::Payload);
    }
    if critical.image.docker_manifest_digest != digest.to_string() {
        return Err(Flaw::Digest);
    }
    Ok(critical.identity.docker_reference)
}

/// Whether the two members that containers/image knows are what they should be.
fn is_understood(optional: &Object<Value>) -> bool {
    let creator = optional.0.get("creator").is_none_or(|creator| creator.is_string() || creator.is_null());
    let is_whole = |time: &Value| time.is_null() || time.as_f64().is_some_and(|time| time.fract() == 0.0);
    creator && optional.0.get("timestamp").is_none_or(is_whole)
}
