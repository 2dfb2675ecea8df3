//! What may be pulled: containers-policy.json(5), as strictly as containers/image reads it.
//!
//! `insecureAcceptAnything` and `reject` are followed, and `sigstoreSigned` with keys becomes a [`Demand`], which a
//! signature must meet. What asks for another kind of signature is refused by name: nothing is passed that was not
//! checked.

mod document;
mod identity;
#[cfg(test)]
mod tests;

use self::document::{Document, Requirement};
use crate::reference::Reference;
use crate::signature::{KeyError, Unsigned};

pub use self::document::KeySource;
pub use self::identity::{Identity, Name};

/// A policy, with the file it was read from.
#[derive(Clone, Debug)]
pub struct Policy {
    file: String,
    document: Document,
}

/// A file that is no policy.
#[derive(Debug, thiserror::Error)]
#[error("{file}")]
pub struct Error {
    /// The file.
    pub file: String,
    /// What is wrong with it.
    #[source]
    pub source: serde_json::Error,
}

/// The part of a policy that counts, and for what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    /// What was to be pulled.
    pub reference: String,
    /// The file.
    pub file: String,
    /// The scope.
    pub scope: String,
    /// The type of the requirement.
    pub kind: String,
}

/// Why nothing is pulled from a place.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// `reject`.
    #[error("{} is rejected by {} ({})", .0.reference, .0.file, .0.scope)]
    Rejected(Box<Cause>),
    /// A signature is asked for that is not checked here.
    #[error("{0}, which artishim cannot check")]
    Beyond(Box<Cause>),
    /// The key of a signature that is asked for.
    #[error("{cause}, whose key {key} cannot be used")]
    Key {
        /// What asks for the signature.
        cause: Box<Cause>,
        /// The file of the key.
        key: String,
        /// What is wrong with it.
        #[source]
        source: KeyError,
    },
    /// A signature is asked for, and is not there.
    #[error("{cause}")]
    Unsigned {
        /// What asks for it.
        cause: Box<Cause>,
        /// Why none counts.
        #[source]
        source: Unsigned,
    },
}

impl std::fmt::Display for Cause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { reference, file, scope, kind } = self;
        write!(f, "{reference} needs a signature by {file} ({scope}: {kind})")
    }
}

/// A signature by one of several keys.
#[derive(Clone, Debug)]
pub struct Demand {
    /// What asks for it.
    pub cause: Box<Cause>,
    /// Whose signature counts.
    pub keys: Vec<KeySource>,
    /// For which names.
    pub identity: Identity,
}

impl Policy {
    /// Reads a policy.
    pub fn parse(file: &str, text: &str) -> Result<Self, Error> {
        let document = serde_json::from_str(text).map_err(|source| Error { file: file.to_owned(), source })?;
        Ok(Self { file: file.to_owned(), document })
    }

    /// The file it was read from.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// The files of keys for docker's transport, of all scopes.
    pub fn key_files(&self) -> Vec<&str> {
        let scopes = self.document.transports.0.get("docker").into_iter().flat_map(|scopes| scopes.0.values());
        let lists = scopes.chain([&self.document.default]);
        let keys = lists.flat_map(|list| &list.0).flat_map(|requirement| match requirement {
            Requirement::SigstoreSigned(signed) => signed.keys.as_slice(),
            _ => &[],
        });
        let mut files: Vec<&str> = keys
            .filter_map(|key| match key {
                KeySource::File(path) => Some(path.as_str()),
                KeySource::Inline(_) => None,
            })
            .collect();
        files.sort_unstable();
        files.dedup();
        files
    }

    /// Refuses what is rejected, for who has the rest checked by somebody else.
    pub fn check(&self, reference: &Reference) -> Result<(), Refusal> {
        let (scope, requirements) = self.find(reference);
        match requirements.iter().any(|requirement| matches!(requirement, Requirement::Reject {})) {
            true => Err(Refusal::Rejected(self.cause(reference, &scope, "reject"))),
            false => Ok(()),
        }
    }

    /// The signatures that the reference must have, each of them, as the user named it.
    pub fn demands(&self, reference: &Reference) -> Result<Vec<Demand>, Refusal> {
        self.check(reference)?;
        let (scope, requirements) = self.find(reference);
        let cause = |kind: &str| self.cause(reference, &scope, kind);
        let demand = |requirement: &Requirement| match requirement {
            Requirement::InsecureAcceptAnything {} => None,
            Requirement::Reject {} => Some(Err(Refusal::Rejected(cause("reject")))),
            Requirement::SignedBy(_) => Some(Err(Refusal::Beyond(cause("signedBy")))),
            Requirement::SignedBaseLayer { .. } => Some(Err(Refusal::Beyond(cause("signedBaseLayer")))),
            Requirement::SigstoreSigned(signed) => Some(match &signed.beyond {
                Some(field) => Err(Refusal::Beyond(cause(&format!("sigstoreSigned with {field}")))),
                None => Ok(Demand {
                    cause: cause("sigstoreSigned"),
                    keys: signed.keys.clone(),
                    identity: signed.identity.clone(),
                }),
            }),
        };
        requirements.iter().filter_map(demand).collect()
    }

    fn cause(&self, reference: &Reference, scope: &str, kind: &str) -> Box<Cause> {
        let (reference, file) = (reference.to_string(), self.file.clone());
        Box::new(Cause { reference, file, scope: scope.to_owned(), kind: kind.to_owned() })
    }

    /// The narrowest scope that has the reference, under docker's transport, and what it asks.
    fn find(&self, reference: &Reference) -> (String, &[Requirement]) {
        let scopes = self.document.transports.0.get("docker");
        let named = scopes.into_iter().flat_map(|scopes| {
            let find = |scope: String| scopes.0.get(&scope).map(|list| (scope, list.0.as_slice()));
            // The transport's own.
            scopes_of(reference).into_iter().chain([String::new()]).filter_map(find)
        });
        let found = named.into_iter().next();
        found.map_or_else(
            || (String::from("default"), self.document.default.0.as_slice()),
            |(scope, requirements)| (if scope.is_empty() { String::from("docker") } else { scope }, requirements),
        )
    }
}

/// The scopes that have a reference, narrowest first: `quay.io/a/b:1`, `quay.io/a/b`, `quay.io/a`, `quay.io`, `*.io`.
///
/// What has a tag and a digest is in the scope of its digest, as for podman.
pub fn scopes_of(reference: &Reference) -> Vec<String> {
    let name = reference.name();
    let mut scopes = vec![identity::identity(reference).to_string()];
    let mut rest = name.as_str();
    loop {
        scopes.push(rest.to_owned());
        match rest.rsplit_once('/') {
            Some((parent, _)) => rest = parent,
            None => break,
        }
    }
    // A wildcard is for a host, whatever the port.
    let mut host = reference.registry().split(':').next().unwrap_or_default();
    while let Some((_, parent)) = host.split_once('.') {
        scopes.push(format!("*.{parent}"));
        host = parent;
    }
    scopes
}
