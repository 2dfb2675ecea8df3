//! What a driver answers when something does not work.

use std::io;
use std::path::PathBuf;

use crate::{checkout, packaging, pull, reference, store};

/// The result of a driver's steps.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A request that is not fulfilled.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No artifact is named.
    #[error("option ref is missing: --opt ref=REGISTRY/REPOSITORY[:TAG][@DIGEST]")]
    NoReference,
    /// An option of another driver.
    #[error("option {0} is not known: expected ref, pull, include, entry-only, authfile or tls-verify")]
    Option(String),
    /// An option that says what means nothing.
    #[error("option {name} is {value}: expected {expected}")]
    Value {
        /// The option.
        name: String,
        /// What it says.
        value: String,
        /// What it may say.
        expected: &'static str,
    },
    /// A name that engines do not give.
    #[error("{0:?} is no name for a volume: expected letters, digits, underscores, dots and dashes")]
    Name(String),
    /// A volume of this name is another.
    #[error("volume {name} is there already, with ref={reference} and perhaps other options: remove it first")]
    Taken {
        /// The volume.
        name: String,
        /// Its artifact.
        reference: String,
    },
    /// A volume that nobody created, or that was removed.
    #[error("volume {0} is not known")]
    Unknown(String),
    /// A pull that takes longer than the engine waits.
    #[error("{reference}: {progress}: try again, it goes on")]
    Pulling {
        /// The artifact.
        reference: String,
        /// How far it is.
        progress: String,
    },
    /// A pull that ended without the artifact.
    #[error("{0}")]
    Failed(String),
    /// The driver is going down.
    #[error("artishim is stopping: try again")]
    Stopping,
    /// A snapshot cannot be shown.
    #[error("{path} cannot be mounted")]
    Mount {
        /// The place.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The directory where a volume is shown.
    #[error("{path}")]
    Place {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A request that is no JSON of the protocol.
    #[error("the request is not understood")]
    Request(#[source] serde_json::Error),
    /// The socket.
    #[error("{path}")]
    Socket {
        /// The socket's path.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Somebody else is there.
    #[error("{0} is served already")]
    Served(PathBuf),
    /// Another driver has the store's volumes.
    #[error("the volumes of {0} are served by another process")]
    Driven(PathBuf),
    /// The reference.
    #[error(transparent)]
    Reference(reference::ParseError),
    /// The patterns.
    #[error(transparent)]
    Packaging(#[from] packaging::Error),
    /// The snapshot.
    #[error(transparent)]
    Checkout(#[from] checkout::Error),
    /// The pull.
    #[error(transparent)]
    Pull(#[from] pull::Error),
    /// The store.
    #[error(transparent)]
    Store(#[from] store::Error),
}
