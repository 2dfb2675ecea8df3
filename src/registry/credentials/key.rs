//! What credentials are for: a registry, or a part of it.

use std::fmt;
use std::str::FromStr;

use super::canonical;
use crate::reference::Reference;
use crate::registry::SafeUrl;

/// A key of containers-auth.json(5): `registry[/namespace[/repository]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    registry: String,
    /// Empty for the whole registry.
    path: String,
    inside: Reference,
}

/// A text that is no key.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text} {reason}: expected HOST[:PORT][/NAMESPACE[/REPOSITORY]]")]
pub struct KeyError {
    /// What was typed, without what may be a password.
    pub text: String,
    /// What is wrong with it.
    pub reason: &'static str,
}

impl Key {
    /// The host and port; `docker.io` under whichever of its names it was typed.
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// The part of the registry; empty for all of it.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// A name that the credentials would be used for.
    pub(in crate::registry) const fn inside(&self) -> &Reference {
        &self.inside
    }

    /// Whether it is for a part of the registry only.
    pub(super) const fn is_namespaced(&self) -> bool {
        !self.path.is_empty()
    }
}

impl FromStr for Key {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let wrong = |text: &str, reason| KeyError { text: text.to_owned(), reason };
        if text.contains("://") {
            return Err(wrong(&SafeUrl::new(text).to_string(), "has a scheme"));
        }
        if let Some((_, after)) = text.rsplit_once('@') {
            return Err(wrong(&format!("...@{after}"), "has a digest or a user"));
        }
        let name = text.strip_suffix('/').unwrap_or(text);
        let (registry, path) = name.split_once('/').unwrap_or((name, ""));
        if path.contains(':') {
            return Err(wrong(text, "has a tag"));
        }
        // Without a dot or a port it would be a namespace of Docker Hub's.
        let inside = format!("{}/x", name.replacen(registry, canonical(registry), 1)).parse::<Reference>().ok();
        let inside = inside.filter(|inside| inside.registry() == canonical(registry));
        let inside = inside.ok_or_else(|| wrong(text, "names no registry"))?;
        Ok(Self { registry: canonical(registry).to_owned(), path: path.to_owned(), inside })
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.registry)?;
        if self.path.is_empty() { Ok(()) } else { write!(f, "/{}", self.path) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_a_registry_or_a_part_of_one() {
        let cases = [
            ("quay.io", "quay.io", ""),
            ("quay.io/", "quay.io", ""),
            ("quay.io/acme", "quay.io", "acme"),
            ("localhost/acme/llama", "localhost", "acme/llama"),
            ("127.0.0.1:5000", "127.0.0.1:5000", ""),
            ("docker.io", "docker.io", ""),
            ("index.docker.io", "docker.io", ""),
            ("registry-1.docker.io/acme", "docker.io", "acme"),
        ];
        for (text, registry, path) in cases {
            let key: Key = text.parse().unwrap();
            assert_eq!((key.registry(), key.path()), (registry, path), "{text}");
            assert_eq!(key.inside().registry(), registry, "{text}");
        }
    }

    #[test]
    fn what_is_no_key_is_told_without_a_password_in_it() {
        let cases = [
            ("https://me:secret@quay.io", "https://quay.io has a scheme"),
            ("me:secret@quay.io", "...@quay.io has a digest or a user"),
            ("quay.io/acme/llama:8b", "quay.io/acme/llama:8b has a tag"),
            ("acme", "acme names no registry"),
            ("", " names no registry"),
            ("quay.io/Acme", "quay.io/Acme names no registry"),
            ("quay.io//acme", "quay.io//acme names no registry"),
        ];
        for (text, words) in cases {
            let error = text.parse::<Key>().unwrap_err().to_string();
            assert_eq!(error, format!("{words}: expected HOST[:PORT][/NAMESPACE[/REPOSITORY]]"));
        }
    }
}
