//! The ways out of what a registry says, or does not say.

use crate::registry::Cause;
use crate::{digest, registry};

pub(super) fn registry_hint(error: &registry::Error) -> Option<String> {
    let hint = match error {
        registry::Error::Exhausted { source, .. } => return registry_hint(source),
        registry::Error::Unreachable { source: Cause::Certificate(_), .. } => {
            "trust its authority with SSL_CERT_FILE=FILE, or allow it with --tls-verify=false"
        }
        registry::Error::Unreachable { source: Cause::Identity, .. }
        | registry::Error::Interrupted { source: Cause::Identity, .. } => {
            "name a directory with NAME.cert and NAME.key of yours with --cert-dir"
        }
        registry::Error::Unreachable { source: Cause::PlainHttp, .. } => "--tls-verify=false allows it",
        registry::Error::Unreachable { .. } => "check the registry's name and the network",
        registry::Error::Unauthorized { had_credentials: false, registry, .. } => {
            return Some(format!(
                "log in with `artishim login {registry}`, or with podman or docker login, or pass --creds"
            ));
        }
        registry::Error::Refused(_) => "change it there, or name another registry",
        registry::Error::Certificate { .. } => "make it readable, or name another directory with --cert-dir",
        registry::Error::Unauthorized { had_credentials: true, .. } => {
            "check the user, the password and the right to pull"
        }
        registry::Error::NotFound { .. } => "check repository and tag; some registries say this of private ones too",
        registry::Error::Status(status) if status.codes.iter().any(|code| is_about_shards(&code.message)) => {
            "name a quantization that is one file by its tag, or fetch the files with `hf download` and keep them with `artishim add`"
        }
        registry::Error::Status(status) if status.codes.iter().any(|code| code.message.contains("not GGUF")) => {
            "name a repository that has GGUF files, or fetch the files with `hf download` and keep them with `artishim add`"
        }
        registry::Error::Status(status) if status.status == 429 => {
            "wait, or log in with `artishim login`: the registry limits how much it gives"
        }
        registry::Error::Blob(digest::Mismatch::Size { .. }) => {
            "if other tools get the same size, the manifest is wrong, as old versions of olot write it: have it packed again"
        }
        registry::Error::Manifest { .. } | registry::Error::Blob(_) => {
            "the registry, or a proxy in front of it, serves other bytes: try again, or name another registry"
        }
        registry::Error::Interrupted { .. } | registry::Error::Truncated { .. } | registry::Error::Changed(_) => {
            "try again"
        }
        registry::Error::Inward { host, .. } => {
            return Some(format!("if that is meant, name {host} as a location in registries.conf"));
        }
        registry::Error::Insecure { .. } => "--tls-verify=false allows it",
        _ => return None,
    };
    Some(hint.to_owned())
}

/// Hugging Face's words for a model in several GGUF files, which its registry does not serve (ollama#5245).
fn is_about_shards(message: &str) -> bool {
    message.to_lowercase().contains("sharded")
}
