//! What the user types to name an artifact: `registry/repository[:tag][@digest]`.
//!
//! The grammar is oci-spec's. On top of it stand the prefixes other tools print (`oci://`, `docker://`,
//! `rlcr://`, `ollama://`, `hf://`) and the registries that keep upper case, which the grammar refuses.

use std::fmt;
use std::str::FromStr;

use oci_spec::distribution as oci;

use crate::digest::Digest;

/// The registries whose repositories and tags may have upper case (ollama#6510, packagings of hf.co).
const CASE_KEEPING: [&str; 3] = ["registry.ollama.ai", "hf.co", "huggingface.co"];

/// A full name of an artifact in a registry; always a tag, a digest or both.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Reference {
    registry: String,
    repository: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

/// A text that is no reference.
#[derive(Debug, thiserror::Error)]
#[error("{text:?} is not a reference")]
pub struct ParseError {
    /// What was typed.
    pub text: String,
    /// Which rule it breaks.
    #[source]
    pub source: Reason,
}

/// The rule a refused reference breaks.
#[derive(Debug, thiserror::Error)]
pub enum Reason {
    /// The scheme before `://` is unknown.
    #[error("the prefix {0}:// is unknown")]
    Scheme(String),
    /// The grammar of the distribution-spec is not met.
    #[error(transparent)]
    Grammar(#[from] oci::ParseError),
    /// The digest cannot be checked.
    #[error(transparent)]
    Digest(#[from] crate::digest::ParseError),
}

impl Reference {
    /// The host, with its port if it has one; `docker.io` when none was typed.
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// The path below the registry.
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// The tag; `latest` when neither tag nor digest was typed.
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest after `@`.
    pub const fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// `registry/repository`, without tag and digest.
    pub fn name(&self) -> String {
        format!("{}/{}", self.registry, self.repository)
    }

    /// What a manifest request asks for: the digest where there is one, else the tag.
    pub fn version(&self) -> String {
        match (&self.digest, &self.tag) {
            (Some(digest), _) => digest.to_string(),
            (None, Some(tag)) => tag.clone(),
            (None, None) => String::from("latest"),
        }
    }

    /// The same repository at `digest`, whatever the tag was.
    pub fn at_digest(&self, digest: &Digest) -> Self {
        Self { tag: None, digest: Some(digest.clone()), ..self.clone() }
    }
}

impl FromStr for Reference {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        parse(text).map_err(|source| ParseError { text: text.to_owned(), source })
    }
}

fn parse(text: &str) -> Result<Reference, Reason> {
    let full = expand(text)?;
    let keeps_case = CASE_KEEPING.iter().any(|host| full.starts_with(&format!("{host}/")));
    if !keeps_case {
        return from_parts(&full.parse()?);
    }
    let lower: oci::Reference = full.to_ascii_lowercase().parse()?;
    let shown = lower.whole();
    // The grammar may have appended `:latest`; what was typed keeps its case, what was added stays.
    let added = shown.get(full.len()..).unwrap_or_default();
    from_typed(&lower, &format!("{full}{added}"))
}

fn expand(text: &str) -> Result<String, Reason> {
    let Some((scheme, rest)) = text.split_once("://") else { return Ok(text.to_owned()) };
    match scheme {
        "oci" | "docker" => Ok(rest.to_owned()),
        "rlcr" => Ok(format!("rlcr.io/ramalama/{rest}")),
        "ollama" if rest.contains('/') => Ok(format!("registry.ollama.ai/{rest}")),
        "ollama" => Ok(format!("registry.ollama.ai/library/{rest}")),
        "hf" | "huggingface" => Ok(format!("hf.co/{rest}")),
        other => Err(Reason::Scheme(other.to_owned())),
    }
}

fn from_parts(parsed: &oci::Reference) -> Result<Reference, Reason> {
    if parsed.repository().contains(|c: char| c.is_ascii_uppercase()) {
        return Err(oci::ParseError::NameContainsUppercase.into());
    }
    Ok(Reference {
        registry: parsed.registry().to_owned(),
        repository: parsed.repository().to_owned(),
        tag: parsed.tag().map(str::to_owned),
        digest: parsed.digest().map(str::parse).transpose()?,
    })
}

/// Cuts the parts that `lower` found out of the text as it was typed: both have the same length.
fn from_typed(lower: &oci::Reference, typed: &str) -> Result<Reference, Reason> {
    let start = lower.registry().len() + 1;
    let end = start + lower.repository().len();
    let tag = lower.tag().map(|tag| typed[end + 1..=end + tag.len()].to_owned());
    Ok(Reference {
        registry: lower.registry().to_owned(),
        repository: typed[start..end].to_owned(),
        tag,
        digest: lower.digest().map(str::parse).transpose()?,
    })
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_users_type_becomes_a_full_reference() {
        let hex = "a".repeat(64);
        let pinned = format!("quay.io/acme/llama:8b@sha256:{hex}");
        let cases = [
            ("quay.io/acme/llama:8b", "quay.io/acme/llama:8b"),
            ("quay.io/acme/llama", "quay.io/acme/llama:latest"),
            ("127.0.0.1:5000/a/b:1", "127.0.0.1:5000/a/b:1"),
            ("localhost/a", "localhost/a:latest"),
            ("ai/smollm2", "docker.io/ai/smollm2:latest"),
            ("oci://quay.io/acme/llama:8b", "quay.io/acme/llama:8b"),
            ("docker://quay.io/acme/llama:8b", "quay.io/acme/llama:8b"),
            ("rlcr://gemma3-270m:gguf", "rlcr.io/ramalama/gemma3-270m:gguf"),
            ("ollama://llama3:8B", "registry.ollama.ai/library/llama3:8B"),
            ("ollama://me/Mine", "registry.ollama.ai/me/Mine:latest"),
            ("hf://Unsloth/Gemma-GGUF:Q4_K_M", "hf.co/Unsloth/Gemma-GGUF:Q4_K_M"),
            ("hf.co/U/R", "hf.co/U/R:latest"),
            (pinned.as_str(), pinned.as_str()),
        ];
        for (typed, full) in cases {
            assert_eq!(typed.parse::<Reference>().expect(typed).to_string(), full);
        }
    }

    #[test]
    fn what_is_no_reference_is_refused_with_the_reason() {
        for text in
            ["", "UPPER/x:1", "quay.io/UPPER:1", "quay.io/a b", "ftp://x/y", "quay.io/a@sha256:12", "hf://", "../etc"]
        {
            assert!(text.parse::<Reference>().is_err(), "{text}");
        }
        let error = "ftp://x/y".parse::<Reference>().unwrap_err();
        assert_eq!(error.to_string(), "\"ftp://x/y\" is not a reference");
    }

    #[test]
    fn a_digest_wins_over_the_tag_in_a_request() {
        let digest = Digest::sha256(b"x");
        let reference: Reference = format!("quay.io/a:1@{digest}").parse().unwrap();
        assert_eq!(reference.version(), digest.to_string());
        assert_eq!(
            "quay.io/a:1".parse::<Reference>().unwrap().at_digest(&digest).to_string(),
            format!("quay.io/a@{digest}")
        );
    }
}
