use std::io;
use std::path::PathBuf;

use crate::process;

use super::version::{self, Version};

/// The cause of an error whose type belongs to another library.
pub(super) type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Why an engine is not found, or did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Neither Podman nor Docker is there.
    #[error("no container engine found: {podman}; {docker}")]
    NotFound {
        /// Why it is not Podman.
        podman: Box<Self>,
        /// Why it is not Docker.
        docker: Box<Self>,
    },
    /// `--engine none`.
    #[error("the engine is set to none")]
    Unwanted,
    /// `--engine` has a value that means nothing.
    #[error("engine {0:?} is not auto, podman, docker, none, a path or a URL")]
    Choice(String),
    /// A program is in no directory of PATH.
    #[error("{program} is not in PATH")]
    NoProgram {
        /// Its name.
        program: &'static str,
    },
    /// A program that was named is neither docker nor podman.
    #[error("{} is neither docker nor podman", .program.display())]
    UnknownProgram {
        /// Its path.
        program: PathBuf,
    },
    /// No socket exists at any of the places that were looked at.
    #[error("no socket at {}", .looked.join(", "))]
    NoSocket {
        /// The places, in the order they were looked at.
        looked: Vec<String>,
    },
    /// The socket is there and we may not use it.
    #[error("permission denied on {endpoint}")]
    PermissionDenied {
        /// The endpoint.
        endpoint: String,
    },
    /// The socket is there, or the host, and no engine behind it.
    #[error("no engine answers at {endpoint}")]
    NotAnswering {
        /// The endpoint.
        endpoint: String,
        /// What happened instead.
        source: Cause,
    },
    /// The engine lacks what we need.
    #[error("{engine} {found} at {endpoint} is too old, {needed} or newer is needed")]
    TooOld {
        /// `Podman`, or `the Docker API`.
        engine: &'static str,
        /// The version it has.
        found: Version,
        /// The oldest version that will do.
        needed: &'static str,
        /// The endpoint or the program.
        endpoint: String,
    },
    /// An engine's version is not one.
    #[error("{endpoint} answers with a strange version")]
    Version {
        /// The endpoint or the program.
        endpoint: String,
        /// The text.
        source: version::ParseError,
    },
    /// A context of the docker command line does not exist.
    #[error("docker context {name:?} does not exist")]
    NoContext {
        /// Its name.
        name: String,
    },
    /// A file of docker's settings is not what docker writes.
    #[error("{} is not understood", .path.display())]
    Settings {
        /// The file.
        path: PathBuf,
        /// The place in it.
        source: serde_json::Error,
    },
    /// An address that no engine can have.
    #[error("{endpoint} is no address of an engine")]
    Endpoint {
        /// The address.
        endpoint: String,
        /// What is wrong with it.
        source: Cause,
    },
    /// The engine understood and said no.
    #[error("{endpoint} refused to {action}: {message} (status {status})")]
    Refused {
        /// The endpoint.
        endpoint: String,
        /// What was asked, as it continues `refused to`.
        action: String,
        /// The HTTP status.
        status: u16,
        /// The engine's words.
        message: String,
    },
    /// The connection to the engine ended too early, or its answer makes no sense.
    #[error("{endpoint} did not {action}")]
    Broken {
        /// The endpoint.
        endpoint: String,
        /// What was asked, as it continues `did not`.
        action: String,
        /// What happened.
        source: Cause,
    },
    /// The engine can be reached by its command line only, and this needs its socket.
    #[error("{engine} has no API socket we can reach")]
    NoApi {
        /// The engine as people call it.
        engine: String,
    },
    /// The engine does not fill an empty volume with what an image has in its place.
    #[error("{engine} does not copy a directory of an image into a volume")]
    NoCopies {
        /// The engine as people call it.
        engine: String,
    },
    /// The engine can be reached by its socket only, and this needs its command line.
    #[error("{endpoint} answers, and there is no docker or podman in PATH to run with it")]
    NoCli {
        /// The endpoint.
        endpoint: String,
    },
    /// A file in a container is larger than anything we keep there.
    #[error("{path} in container {container} is larger than {limit} bytes")]
    FileTooLarge {
        /// The container.
        container: String,
        /// The path in it.
        path: String,
        /// The most that is read.
        limit: usize,
    },
    /// A program failed.
    #[error(transparent)]
    Process(#[from] process::Error),
    /// A file of ours cannot be read or written.
    #[error("cannot access {}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The operating system's reason.
        source: io::Error,
    },
}

/// What the functions of this module return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// Whether this says only that there is nothing where we looked.
    pub fn is_absence(&self) -> bool {
        matches!(self, Self::NoProgram { .. } | Self::NoSocket { .. })
    }

    /// Whether the engine says that what was named does not exist.
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::Refused { status: 404, .. })
    }

    /// Whether the engine says that the name is taken, or the thing in use.
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Refused { status: 409, .. })
    }
}

/// Puts a path to an I/O error.
pub(super) trait At<T> {
    fn at(self, path: impl Into<PathBuf>) -> Result<T>;
}

impl<T> At<T> for io::Result<T> {
    fn at(self, path: impl Into<PathBuf>) -> Result<T> {
        self.map_err(|source| Error::Io { path: path.into(), source })
    }
}
