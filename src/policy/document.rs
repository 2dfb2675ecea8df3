//! The file, as strictly as containers/image reads it: what nobody understands is not passed over.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::Value;

use super::identity::Identity;
use crate::strict::Object;

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Document {
    pub default: Requirements,
    #[serde(default)]
    pub transports: Object<Object<Requirements>>,
}

/// What must hold, all of it; never empty.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "Vec<Requirement>")]
pub(super) struct Requirements(pub Vec<Requirement>);

impl TryFrom<Vec<Requirement>> for Requirements {
    type Error = &'static str;

    fn try_from(list: Vec<Requirement>) -> Result<Self, &'static str> {
        if list.is_empty() { Err("a list of requirements is empty") } else { Ok(Self(list)) }
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "type", rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
pub(super) enum Requirement {
    InsecureAcceptAnything {},
    Reject {},
    SigstoreSigned(Box<SigstoreSigned>),
    #[allow(dead_code, reason = "it is read to be refused")]
    SignedBy(SignedBy),
    SignedBaseLayer {
        #[allow(dead_code, reason = "it is read to be refused")]
        base_layer_identity: Identity,
    },
}

/// A signature by one of several keys, or by who a certificate names.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "SigstoreFields")]
pub(super) struct SigstoreSigned {
    pub keys: Vec<KeySource>,
    pub identity: Identity,
    /// The field that asks for what is not checked here.
    pub beyond: Option<String>,
}

/// Where a key is.
#[derive(Clone, Debug)]
pub enum KeySource {
    /// In a file.
    File(String),
    /// In the policy, in PEM.
    Inline(Vec<u8>),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SigstoreFields {
    key_path: Option<String>,
    key_paths: Option<Vec<String>>,
    key_data: Option<Base64>,
    key_datas: Option<Vec<Base64>>,
    fulcio: Option<Fulcio>,
    pki: Option<Pki>,
    rekor_public_key_path: Option<String>,
    rekor_public_key_paths: Option<Vec<String>>,
    rekor_public_key_data: Option<Base64>,
    rekor_public_key_datas: Option<Vec<Base64>>,
    #[serde(default)]
    signed_identity: Identity,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "SignedByFields")]
pub(super) struct SignedBy;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SignedByFields {
    key_type: String,
    key_path: Option<String>,
    key_paths: Option<Vec<String>>,
    key_data: Option<Base64>,
    #[serde(default)]
    signed_identity: Identity,
}

#[allow(dead_code, reason = "it is read to be refused")]
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Fulcio {
    ca_path: Option<Value>,
    ca_data: Option<Value>,
    oidc_issuer: Option<Value>,
    subject_email: Option<Value>,
}

#[allow(dead_code, reason = "it is read to be refused")]
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Pki {
    ca_roots_path: Option<Value>,
    ca_roots_data: Option<Value>,
    ca_intermediates_path: Option<Value>,
    ca_intermediates_data: Option<Value>,
    subject_email: Option<Value>,
    subject_hostname: Option<Value>,
}

#[derive(Clone, Deserialize)]
#[serde(try_from = "String")]
struct Base64(Vec<u8>);

impl TryFrom<String> for Base64 {
    type Error = base64::DecodeError;

    fn try_from(text: String) -> Result<Self, base64::DecodeError> {
        STANDARD.decode(text).map(Self)
    }
}

impl TryFrom<SigstoreFields> for SigstoreSigned {
    type Error = String;

    fn try_from(fields: SigstoreFields) -> Result<Self, String> {
        fields.signed_identity.check()?;
        let beyond = fields.beyond()?;
        let files = fields.key_path.map(|path| vec![path]).or(fields.key_paths).unwrap_or_default();
        let inline = fields.key_data.map(|data| vec![data]).or(fields.key_datas).unwrap_or_default();
        let files = files.into_iter().map(KeySource::File);
        let keys: Vec<KeySource> = files.chain(inline.into_iter().map(|key| KeySource::Inline(key.0))).collect();
        if keys.is_empty() && !matches!(beyond, Some("fulcio" | "pki")) {
            return Err(String::from("a list of keys is empty"));
        }
        Ok(Self { keys, identity: fields.signed_identity, beyond: beyond.map(str::to_owned) })
    }
}

impl SigstoreFields {
    /// The field that asks for more than a key; what contradicts itself is an error.
    fn beyond(&self) -> Result<Option<&'static str>, String> {
        let source = one_of(&[
            ("keyPath", self.key_path.is_some()),
            ("keyPaths", self.key_paths.is_some()),
            ("keyData", self.key_data.is_some()),
            ("keyDatas", self.key_datas.is_some()),
            ("fulcio", self.fulcio.is_some()),
            ("pki", self.pki.is_some()),
        ])?;
        let rekor = at_most_one_of(&[
            ("rekorPublicKeyPath", self.rekor_public_key_path.is_some()),
            ("rekorPublicKeyPaths", self.rekor_public_key_paths.is_some()),
            ("rekorPublicKeyData", self.rekor_public_key_data.is_some()),
            ("rekorPublicKeyDatas", self.rekor_public_key_datas.is_some()),
        ])?;
        match (source, rekor) {
            ("fulcio", None) => Err(String::from("fulcio goes with one of the rekorPublicKey fields")),
            ("pki", Some(rekor)) => Err(format!("pki does not go with {rekor}")),
            ("fulcio" | "pki", _) => Ok(Some(source)),
            (_, rekor) => Ok(rekor),
        }
    }
}

impl TryFrom<SignedByFields> for SignedBy {
    type Error = String;

    fn try_from(fields: SignedByFields) -> Result<Self, String> {
        fields.signed_identity.check()?;
        one_of(&[
            ("keyPath", fields.key_path.is_some()),
            ("keyPaths", fields.key_paths.is_some()),
            ("keyData", fields.key_data.is_some()),
        ])?;
        match fields.key_type.as_str() {
            "GPGKeys" | "signedByGPGKeys" | "X509Certificates" | "signedByX509CAs" => Ok(Self),
            other => Err(format!("unknown keyType {other:?}")),
        }
    }
}

fn at_most_one_of(fields: &[(&'static str, bool)]) -> Result<Option<&'static str>, String> {
    let mut present = fields.iter().filter(|(_, is_present)| *is_present).map(|(name, _)| *name);
    match (present.next(), present.next()) {
        (Some(first), Some(second)) => Err(format!("{first} does not go with {second}")),
        (first, _) => Ok(first),
    }
}

fn one_of(fields: &[(&'static str, bool)]) -> Result<&'static str, String> {
    let names = || fields.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
    at_most_one_of(fields)?.ok_or_else(|| format!("one of {} is missing", names()))
}
