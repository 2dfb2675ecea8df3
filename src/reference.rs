//! What the user types to name an artifact: `registry/repository[:tag][@digest]`.
//!
//! The grammar is that of the distribution-spec and docker's reference package. On top of it stand the prefixes other
//! tools print (`oci://`, `docker://`, `rlcr://`, `ollama://`, `hf://`) and the registries that keep upper case, which
//! the grammar refuses. It is written out here because compiling oci-spec's expression takes 40 ms in every process,
//! more than all the rest of a command; the tests hold it to oci-spec's answers.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

use crate::digest::Digest;

/// The registries whose repositories and tags may have upper case (ollama#6510, packagings of hf.co).
const CASE_KEEPING: [&str; 3] = ["registry.ollama.ai", "hf.co", "huggingface.co"];

/// The tag that is meant where neither tag nor digest is given.
const DEFAULT_TAG: &str = "latest";
/// The most characters of a repository and of a tag.
const MAX_REPOSITORY_LENGTH: usize = 255;
const MAX_TAG_LENGTH: usize = 128;

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
    #[error("the prefix {0}:// is unknown: known are oci, docker, rlcr, ollama and hf")]
    Scheme(String),
    /// The registry is no host with an optional port.
    #[error("{0:?} is no host and port")]
    Registry(String),
    /// The repository is missing, too long, or has a component that is not lower-case words.
    #[error("{0:?} is no repository: expected lower-case words with / between them")]
    Repository(String),
    /// The tag has other characters than letters, digits and `._-`, or is too long.
    #[error("{0:?} is no tag")]
    Tag(String),
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
            (None, None) => String::from(DEFAULT_TAG),
        }
    }

    /// The same tag and digest in another repository, which may have upper case where this one may: a mirror of
    /// Hugging Face calls models as it does.
    pub fn at(&self, registry: &str, repository: &str) -> Result<Self, Reason> {
        check(registry, repository, None, keeps_case(registry) || keeps_case(&self.registry))?;
        Ok(Self { registry: registry.to_owned(), repository: repository.to_owned(), ..self.clone() })
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

/// A name without a registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShortName<'a> {
    /// The name, as `ai/smollm2`.
    pub path: &'a str,
    /// Tag and digest as they were typed, with `:` and `@`; often empty.
    pub version: &'a str,
}

/// The parts of a text that is a name without a registry; containers-registries.conf(5) may say which one is meant. A
/// digest is no name, and neither are its first letters after `sha256:`.
pub fn short_name(text: &str) -> Option<ShortName<'_>> {
    let (path, version) = match text.find(['@', ':']) {
        Some(at) => text.split_at(at),
        None => (text, ""),
    };
    let is_digest = matches!(path, "sha256" | "sha512") && version.starts_with(':');
    let is_short = !is_digest && !version.contains('/') && !names_registry(path) && path.split('/').all(is_component);
    is_short.then_some(ShortName { path, version })
}

/// Whether a name begins with a registry, which could be no part of a path.
fn names_registry(name: &str) -> bool {
    name.split_once('/').is_some_and(|(host, _)| host.contains(['.', ':']) || host == "localhost")
}

fn parse(text: &str) -> Result<Reference, Reason> {
    let full = expand(text)?;
    let (rest, digest) = match full.split_once('@') {
        Some((rest, digest)) => (rest, Some(digest.parse()?)),
        None => (full.as_str(), None),
    };
    let (name, tag) = match rest.rsplit_once(':') {
        // A colon before a slash is a port's.
        Some((name, tag)) if !tag.contains('/') => (name, Some(tag.to_owned())),
        _ => (rest, None),
    };
    let (registry, repository) = split_registry(name);
    check(&registry, &repository, tag.as_deref(), keeps_case(&registry))?;
    let tag = tag.or_else(|| digest.is_none().then(|| String::from(DEFAULT_TAG)));
    Ok(Reference { registry, repository, tag, digest })
}

/// What stands before the first slash is a registry if it could be no part of a path; Docker Hub is meant otherwise.
fn split_registry(name: &str) -> (String, String) {
    let (registry, repository) = match name.split_once('/') {
        Some((host, path)) if names_registry(name) => (host, path),
        _ => ("docker.io", name),
    };
    match registry {
        "docker.io" | "index.docker.io" if !repository.contains('/') => {
            (String::from("docker.io"), format!("library/{repository}"))
        }
        "index.docker.io" => (String::from("docker.io"), repository.to_owned()),
        _ => (registry.to_owned(), repository.to_owned()),
    }
}

fn keeps_case(registry: &str) -> bool {
    CASE_KEEPING.contains(&registry)
}

fn check(registry: &str, repository: &str, tag: Option<&str>, keeps_case: bool) -> Result<(), Reason> {
    if !is_registry(registry) {
        return Err(Reason::Registry(registry.to_owned()));
    }
    let path = if keeps_case { repository.to_ascii_lowercase() } else { repository.to_owned() };
    if path.len() > MAX_REPOSITORY_LENGTH || !path.split('/').all(is_component) {
        return Err(Reason::Repository(repository.to_owned()));
    }
    match tag {
        Some(tag) if !is_tag(tag) => Err(Reason::Tag(tag.to_owned())),
        _ => Ok(()),
    }
}

/// Whether it is a host with an optional port; an IPv6 address stands in brackets, as in docker's grammar.
pub fn is_registry(registry: &str) -> bool {
    if let Some((address, rest)) = registry.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        let is_address = !address.contains('.') && address.parse::<Ipv6Addr>().is_ok();
        return is_address && (rest.is_empty() || rest.strip_prefix(':').is_some_and(is_port));
    }
    let (host, port) = registry.split_once(':').map_or((registry, None), |(host, port)| (host, Some(port)));
    let is_label = |label: &str| {
        let is_inner = label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        is_inner && !label.is_empty() && !label.starts_with('-') && !label.ends_with('-')
    };
    host.split('.').all(is_label) && port.is_none_or(is_port)
}

/// The address that a registry is named by, if it is.
pub fn address(registry: &str) -> Option<IpAddr> {
    match registry.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, _)) => address.parse().ok(),
        None => registry.split(':').next().and_then(|host| host.parse().ok()),
    }
}

fn is_port(port: &str) -> bool {
    !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit())
}

/// Lower-case words, between them one `.`, one or two `_`, or any number of `-`.
fn is_component(component: &str) -> bool {
    let is_word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let is_separator = |separator: &str| match separator.chars().next() {
        Some('-') => separator.chars().all(|c| c == '-'),
        _ => matches!(separator, "." | "_" | "__"),
    };
    let mut separators = component.split(is_word).filter(|separator| !separator.is_empty());
    component.starts_with(is_word) && component.ends_with(is_word) && separators.all(is_separator)
}

fn is_tag(tag: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let mut bytes = tag.bytes();
    let first = bytes.next().is_some_and(is_word);
    first && tag.len() <= MAX_TAG_LENGTH && bytes.all(|byte| is_word(byte) || matches!(byte, b'.' | b'-'))
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
    fn another_place_of_a_repository_keeps_its_case() {
        let places = |name: &str| {
            let reference: Reference = name.parse().unwrap();
            reference.at("mirror.example.com", "x/A").map(|place| place.to_string()).ok()
        };
        assert_eq!(places("hf.co/U/R:1").as_deref(), Some("mirror.example.com/x/A:1"));
        assert_eq!(places("quay.io/u/r:1"), None);
    }

    #[test]
    fn what_users_type_becomes_a_full_reference() {
        let hex = "a".repeat(64);
        let pinned = format!("quay.io/acme/llama:8b@sha256:{hex}");
        let cases = [
            ("quay.io/acme/llama:8b", "quay.io/acme/llama:8b"),
            ("quay.io/acme/llama", "quay.io/acme/llama:latest"),
            ("127.0.0.1:5000/a/b:1", "127.0.0.1:5000/a/b:1"),
            ("localhost/a", "localhost/a:latest"),
            ("[::1]:5000/a/b:1", "[::1]:5000/a/b:1"),
            ("[fd00::1]/x", "[fd00::1]/x:latest"),
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
        for text in [
            "",
            "UPPER/x:1",
            "quay.io/UPPER:1",
            "quay.io/a b",
            "ftp://x/y",
            "quay.io/a@sha256:12",
            "hf://",
            "../etc",
            "[::1]",
            "[::1/x",
            "[::1]:/x",
            "[::1]5000/x",
            "[g::1]/x",
            "::1/x",
            "[127.0.0.1]/x",
        ] {
            assert!(text.parse::<Reference>().is_err(), "{text}");
        }
        let error = "ftp://x/y".parse::<Reference>().unwrap_err();
        assert_eq!(error.to_string(), "\"ftp://x/y\" is not a reference");
    }

    #[test]
    fn the_grammar_is_that_of_oci_spec() {
        let parts = [
            "a", "A", "a.b", "a..b", "a_b", "a__b", "a___b", "a-b", "a--b", "a-", "-a", ".a", "a.", "a_.b", "é", "",
            "a b", "0",
        ];
        let registries = ["", "quay.io/", "localhost/", "h:5000/", "h:/", "h:x/", "-h.io/", "h..io/", "UP.io/", "x/"];
        let tags = ["", ":1", ":A_b.c-d", ":-", ":", ":a/b"];
        for registry in registries {
            for (part, tag) in parts.iter().flat_map(|part| tags.iter().map(move |tag| (part, tag))) {
                for text in [format!("{registry}{part}{tag}"), format!("{registry}{part}/b{tag}")] {
                    let oracle = text.parse::<oci_spec::distribution::Reference>().ok();
                    // oci-spec takes what comes before the first slash for a registry and then for a path again.
                    let oracle = oracle.filter(|found| !found.repository().contains(|c: char| c.is_ascii_uppercase()));
                    let ours = text.parse::<Reference>().ok().map(|reference| reference.to_string());
                    assert_eq!(ours, oracle.map(|found| found.whole()), "{text}");
                }
            }
        }
    }

    #[test]
    fn names_without_a_registry_are_told_from_others() {
        let cases = [
            ("llama", Some(("llama", ""))),
            ("llama:8b", Some(("llama", ":8b"))),
            ("ai/smollm2@sha256:ab", Some(("ai/smollm2", "@sha256:ab"))),
            ("a/b/c:1@sha256:ab", Some(("a/b/c", ":1@sha256:ab"))),
            ("localhost", Some(("localhost", ""))),
            ("sha256", Some(("sha256", ""))),
            ("sha256:abcd", None),
            ("localhost/a", None),
            ("quay.io/a", None),
            ("h:5000/a", None),
            ("[::1]:5000/a", None),
            ("oci://a/b", None),
            ("UP", None),
            ("", None),
        ];
        for (text, expected) in cases {
            assert_eq!(short_name(text).map(|short| (short.path, short.version)), expected, "{text}");
        }
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
