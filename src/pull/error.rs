//! What can go wrong in a pull.

use std::time::Duration;

use crate::digest::Mismatch;
use crate::reference::{self, Reference};
use crate::{manifest, packaging, policy, registry, signature, store};

/// The result of a pull's steps.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A pull that did not end.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The store does not have it and the policy forbids to ask.
    #[error("{0}: artifact does not exist in the store")]
    Missing(Reference),
    /// No full name of an artifact.
    #[error(transparent)]
    Reference(#[from] reference::ParseError),
    /// A short name that may be several, where registries.conf forbids to guess.
    #[error("{text} could be {}", listed(names))]
    Unclear {
        /// What was typed.
        text: String,
        /// What it may be.
        names: Vec<Reference>,
    },
    /// A short name that no registry has.
    #[error("{text} is none of {}", listed(names))]
    Nowhere {
        /// What was typed.
        text: String,
        /// What it might have been.
        names: Vec<Reference>,
        /// What the last registry said.
        #[source]
        source: Box<registry::Error>,
    },
    /// Indexes within indexes.
    #[error("{reference}: indexes are nested more than {depth} deep")]
    Nesting {
        /// What was asked for.
        reference: Reference,
        /// The limit.
        depth: usize,
    },
    /// The user asked to stop.
    #[error("interrupted")]
    Interrupted,
    /// The reader of a stream went away.
    #[error("the reader has closed the stream")]
    Unread,
    /// A task ended without a result.
    #[error("a download was stopped")]
    Stopped(#[source] tokio::task::JoinError),
    /// The bytes that came are not those asked for.
    #[error(transparent)]
    Mismatch(#[from] Mismatch),
    /// A blob whose connection broke again and again.
    #[error("{name}: gave up after {attempts} failed attempts in {:.1} s", spent.as_secs_f64())]
    Exhausted {
        /// The file.
        name: String,
        /// How many attempts brought nothing.
        attempts: u32,
        /// The time they took.
        spent: Duration,
        /// The last attempt's end.
        #[source]
        source: Box<registry::Error>,
    },
    /// A blob whose connection breaks and whose registry begins at the first byte again each time.
    #[error("{name}: gave up, as the registry keeps breaking off and cannot resume")]
    Unresumable {
        /// The file.
        name: String,
        /// The last attempt's end.
        #[source]
        source: Box<registry::Error>,
    },
    /// The manifest.
    #[error(transparent)]
    Manifest(#[from] manifest::Error),
    /// The packaging.
    #[error(transparent)]
    Packaging(#[from] packaging::Error),
    /// The same, with the artifact's name.
    #[error("{reference}")]
    Artifact {
        /// What was asked for.
        reference: String,
        /// What is wrong with it.
        #[source]
        source: Box<packaging::Error>,
    },
    /// policy.json.
    #[error(transparent)]
    Refused(#[from] policy::Refusal),
    /// The user's key has not signed it.
    #[error("{reference} has no signature by {key}")]
    Unsigned {
        /// What was asked for.
        reference: String,
        /// The key's file.
        key: String,
        /// Why none counts.
        #[source]
        source: signature::Unsigned,
    },
    /// The registry.
    #[error(transparent)]
    Registry(#[from] registry::Error),
    /// The store.
    #[error(transparent)]
    Store(#[from] store::Error),
}

impl Error {
    /// Names the artifact in an error that is about what is in it.
    pub fn of(self, reference: &Reference) -> Self {
        match self {
            Self::Packaging(error) => Self::Artifact { reference: reference.to_string(), source: error.into() },
            other => other,
        }
    }

    /// Whether another try might succeed without anything being changed.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Registry(error) => error.is_transient(),
            Self::Nowhere { source, .. } => source.is_transient(),
            Self::Exhausted { .. } | Self::Unresumable { .. } => true,
            _ => false,
        }
    }
}

/// Names in the order in which they are tried.
fn listed(names: &[Reference]) -> String {
    names.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
