//! Whose signature counts: `signedIdentity` of containers-policy.json(5).

use serde::Deserialize;

use crate::reference::Reference;

/// Which names a signature may be for, so that it counts for what is pulled.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "type", rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum Identity {
    /// The name that is pulled, with the same tag or digest.
    MatchExact {},
    /// The same; for a name with a digest any name of the repository, as the digest is compared anyway.
    MatchRepoDigestOrExact {},
    /// Any name of the repository.
    MatchRepository {},
    /// One name, whatever is pulled.
    ExactReference {
        /// The name.
        docker_reference: Name,
    },
    /// Any name of one repository, whatever is pulled.
    ExactRepository {
        /// The repository.
        docker_repository: Name,
    },
    /// As by default, after what is pulled was called otherwise.
    RemapIdentity {
        /// How the names begin that are pulled.
        prefix: Prefix,
        /// How they begin in signatures.
        signed_prefix: Prefix,
    },
}

impl Default for Identity {
    fn default() -> Self {
        Self::MatchRepoDigestOrExact {}
    }
}

/// A name of docker's as it is written: perhaps without tag and digest, which then are not meant.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "String")]
pub struct Name {
    reference: Reference,
    is_bare: bool,
}

/// A registry, or a part of the names in it.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "String")]
pub struct Prefix(String);

impl TryFrom<String> for Name {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text).ok_or_else(|| format!("{text:?} is not a reference"))
    }
}

impl TryFrom<String> for Prefix {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let is_host = format!("{text}/x").parse::<Reference>().is_ok_and(|name| name.name() == format!("{text}/x"));
        let is_name = Name::parse(&text).is_some_and(|name| name.is_bare && name.reference.name() == text);
        if is_host || is_name { Ok(Self(text)) } else { Err(format!("{text:?} is no prefix of references")) }
    }
}

impl Name {
    /// Reads what a signature, or a policy, calls an artifact.
    pub fn parse(text: &str) -> Option<Self> {
        // Our own prefixes are nobody else's.
        let reference = Some(text).filter(|text| !text.contains("://"))?.parse().ok()?;
        let is_bare = !text.rsplit('/').next().unwrap_or_default().contains([':', '@']);
        Some(Self { reference, is_bare })
    }

    /// The text, where it has a tag or a digest.
    fn whole(&self) -> Option<String> {
        (!self.is_bare).then(|| self.reference.to_string())
    }
}

impl Identity {
    /// Checks what types cannot say.
    pub(super) fn check(&self) -> Result<(), String> {
        match self {
            Self::ExactReference { docker_reference } if docker_reference.is_bare => {
                Err(format!("dockerReference {} has neither tag nor digest", docker_reference.reference.name()))
            }
            _ => Ok(()),
        }
    }

    /// Whether a signature for `signed` counts for `wanted`, which the user named.
    pub fn admits(&self, wanted: &Reference, signed: &str) -> bool {
        let Some(signed) = Name::parse(signed) else { return false };
        match self {
            Self::MatchExact {} => signed.whole() == Some(identity(wanted).to_string()),
            Self::MatchRepoDigestOrExact {} => is_same(&identity(wanted), &signed),
            Self::MatchRepository {} => signed.reference.name() == wanted.name(),
            Self::ExactReference { docker_reference } => {
                signed.whole().is_some_and(|signed| docker_reference.whole() == Some(signed))
            }
            Self::ExactRepository { docker_repository } => {
                signed.reference.name() == docker_repository.reference.name()
            }
            Self::RemapIdentity { prefix, signed_prefix } => {
                remapped(&identity(wanted), prefix, signed_prefix).is_some_and(|wanted| is_same(&wanted, &signed))
            }
        }
    }
}

/// What is pulled by a tag and a digest is pulled by the digest, as by podman.
pub(super) fn identity(reference: &Reference) -> Reference {
    reference.digest().map_or_else(|| reference.clone(), |digest| reference.at_digest(digest))
}

fn is_same(wanted: &Reference, signed: &Name) -> bool {
    match wanted.tag() {
        _ if signed.is_bare => false,
        Some(_) => signed.whole() == Some(wanted.to_string()),
        None => signed.reference.name() == wanted.name(),
    }
}

fn remapped(wanted: &Reference, prefix: &Prefix, signed: &Prefix) -> Option<Reference> {
    let text = wanted.to_string();
    let rest = text.strip_prefix(&prefix.0);
    match rest.filter(|rest| wanted.name().len() == prefix.0.len() || rest.starts_with('/')) {
        Some(rest) => format!("{}{rest}", signed.0).parse().ok(),
        None => Some(wanted.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_counts_for_the_names_that_its_policy_lets_it_count_for() {
        let digest = format!("sha256:{}", "a".repeat(64));
        let (pinned, both) = (format!("q.io/a/m@{digest}"), format!("q.io/a/m:1@{digest}"));
        let exact = r#"{"type": "exactReference", "dockerReference": "q.io/b/n:2"}"#;
        let repository = r#"{"type": "exactRepository", "dockerRepository": "q.io/b/n"}"#;
        let remap = r#"{"type": "remapIdentity", "prefix": "q.io/a", "signedPrefix": "up.io/b"}"#;
        let remap_host = r#"{"type": "remapIdentity", "prefix": "q.io", "signedPrefix": "up.io:5000"}"#;
        let (strict, usual, any) =
            (r#"{"type": "matchExact"}"#, r#"{"type": "matchRepoDigestOrExact"}"#, r#"{"type": "matchRepository"}"#);
        let cases = [
            (strict, "q.io/a/m:1", "q.io/a/m:1", true),
            (strict, "q.io/a/m:1", "q.io/a/m:2", false),
            (strict, "q.io/a/m:1", "q.io/a/m", false),
            (strict, pinned.as_str(), "q.io/a/m:1", false),
            (strict, &pinned, &pinned, true),
            (strict, "ubuntu", "docker.io/library/ubuntu:latest", true),
            (usual, "q.io/a/m:1", "q.io/a/m:1", true),
            (usual, "q.io/a/m:1", "q.io/a/m:2", false),
            (usual, "q.io/a/m:1", "q.io/a/m", false),
            (usual, &pinned, "q.io/a/m:1", true),
            (usual, &both, "q.io/a/m:1", true),
            (usual, &pinned, "q.io/a/m", false),
            (usual, &pinned, "q.io/a/n:1", false),
            (any, "q.io/a/m:1", "q.io/a/m", true),
            (any, "q.io/a/m:1", "q.io/a/m:2", true),
            (any, "q.io/a/m:1", "q.io/a/m/n:1", false),
            (any, "q.io/a/m:1", "oci://q.io/a/m", false),
            (any, "q.io/a/m:1", "no name", false),
            (exact, "q.io/a/m:1", "q.io/b/n:2", true),
            (exact, "q.io/a/m:1", "q.io/a/m:1", false),
            (exact, "q.io/a/m:1", "q.io/b/n", false),
            (repository, "q.io/a/m:1", "q.io/b/n", true),
            (repository, "q.io/a/m:1", "q.io/b/n:7", true),
            (repository, "q.io/a/m:1", "q.io/a/m:1", false),
            (remap, "q.io/a/m:1", "up.io/b/m:1", true),
            (remap, "q.io/a/m:1", "q.io/a/m:1", false),
            (remap, "q.io/ab/m:1", "q.io/ab/m:1", true),
            (remap, &pinned, "up.io/b/m:9", true),
            (remap_host, "q.io/a/m:1", "up.io:5000/a/m:1", true),
        ];
        for (identity, wanted, signed, expected) in cases {
            let identity: Identity = serde_json::from_str(identity).unwrap();
            assert_eq!(identity.admits(&wanted.parse().unwrap(), signed), expected, "{identity:?}: {wanted}, {signed}");
        }
    }
}
