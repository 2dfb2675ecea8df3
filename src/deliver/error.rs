//! What can go wrong in a delivery.

use super::accelerate::Refusal;
use crate::{checkout, engine, mount, packaging, pull, reference, store};

/// The result of a delivery's steps.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A delivery that did not end.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another machine is filling the same volume.
    #[error("volume {volume} is being filled from somewhere else")]
    Busy {
        /// The volume.
        volume: String,
        /// The container it fills it through.
        container: String,
    },
    /// A volume of that name has other things in it.
    #[error("volume {volume} exists and was not made by artishim")]
    Foreign {
        /// The volume.
        volume: String,
    },
    /// A directory of an image that is to be mounted.
    #[error("image {image} has nothing at {path}")]
    Empty {
        /// The image.
        image: String,
        /// The directory.
        path: String,
    },
    /// A volume that holds another artifact, and perhaps what containers wrote beside it.
    #[error("volume {volume} holds {reference}")]
    Holds {
        /// The volume.
        volume: String,
        /// What it was filled with.
        reference: String,
    },
    /// A volume of a project that is to be an artifact's has other things in it.
    #[error("volume {volume} is not empty, and was not filled by artishim")]
    Occupied {
        /// The volume.
        volume: String,
    },
    /// A volume whose files somebody else keeps.
    #[error("volume {volume} has a driver or options of its own")]
    Driven {
        /// The volume.
        volume: String,
    },
    /// A volume that has another service's artifact.
    #[error("volume {volume} is filled for {service}")]
    Taken {
        /// The volume.
        volume: String,
        /// The other service, with its project.
        service: String,
    },
    /// A volume that has another artifact, and containers that use it.
    #[error("volume {volume} holds something else, and a container uses it")]
    InUse {
        /// The volume.
        volume: String,
    },
    /// A file is wanted that may be in the rest of the artifact.
    #[error("{artifact} was pulled in part")]
    Part {
        /// The artifact, as it was asked for.
        artifact: String,
        /// What was not found in the part.
        #[source]
        source: mount::Error,
    },
    /// Files would be copied to where another mount hides or redirects them.
    #[error("{path} lies below {mount}, where another mount of this container is, and cannot be copied there")]
    Covered {
        /// The file's path in the container.
        path: String,
        /// The other mount's.
        mount: String,
    },
    /// The file by which processes of this machine take turns.
    #[error("{path}")]
    Lock {
        /// The file.
        path: String,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The tar on its way.
    #[error("the stream to the engine ended")]
    Stream(#[source] std::io::Error),
    /// A task ended without a result.
    #[error("the layout was stopped")]
    Stopped(#[source] tokio::task::JoinError),
    /// `--accelerate`.
    #[error("cannot accelerate")]
    Accelerate(#[from] Refusal),
    /// The snapshot.
    #[error(transparent)]
    Checkout(checkout::Error),
    /// `src` names no artifact.
    #[error(transparent)]
    Reference(reference::ParseError),
    /// `--deliver`, or an engine that can be given no files.
    #[error(transparent)]
    Decision(#[from] engine::decision::Error),
    /// The engine.
    #[error(transparent)]
    Engine(#[from] engine::Error),
    /// The mount as it was written.
    #[error(transparent)]
    Mount(#[from] mount::Error),
    /// The layers.
    #[error(transparent)]
    Packaging(#[from] packaging::Error),
    /// The pull.
    #[error(transparent)]
    Pull(#[from] pull::Error),
    /// The store.
    #[error(transparent)]
    Store(#[from] store::Error),
}

impl From<checkout::Error> for Error {
    fn from(error: checkout::Error) -> Self {
        match error {
            checkout::Error::Pull(error) => Self::Pull(error),
            error => Self::Checkout(error),
        }
    }
}
