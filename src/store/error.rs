//! What can go wrong in the store, each with its subject.

use std::io;
use std::path::{Path, PathBuf};

use crate::digest::{Digest, Mismatch};
use crate::manifest;

/// A store operation that did not happen.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The system refused an access.
    #[error("cannot access {path}")]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The store can be read and not written, by its filesystem or by its permissions.
    #[error("{path} is read-only")]
    ReadOnly {
        /// The store, or the file in it.
        path: PathBuf,
    },
    /// A directory with other things in it, or no directory at all.
    #[error("{path} is not an artifact store: it is not empty and has no oci-layout file")]
    NotAStore {
        /// The directory.
        path: PathBuf,
    },
    /// Something that is not only ours lies where a copy of a snapshot is to be.
    #[error("{path} is there already, with other things than an artifact's files")]
    Occupied {
        /// What is in the way.
        path: PathBuf,
    },
    /// A copy of a snapshot that somebody else was given.
    #[error("{path} is there already, as a copy for {owner}")]
    Owned {
        /// The copy.
        path: PathBuf,
        /// Whose it is.
        owner: String,
    },
    /// A name with the digest of something else.
    #[error("{name} is no name for {digest}")]
    Pinned {
        /// The name.
        name: String,
        /// What it was to stand for.
        digest: Digest,
    },
    /// An OCI image layout of a version that does not exist yet.
    #[error("{path} does not hold a layout of version 1.0.0")]
    LayoutVersion {
        /// The `oci-layout` file.
        path: PathBuf,
    },
    /// The filesystem is full, or would be.
    #[error("no space left for {path}: {needed} more bytes are needed")]
    NoSpace {
        /// What was to be written.
        path: PathBuf,
        /// The bytes still to be written to it.
        needed: u64,
    },
    /// Bytes are not what their digest and size promise; those that were staged are gone.
    #[error(transparent)]
    Mismatch(#[from] Mismatch),
    /// A commit was asked for while bytes are missing; what is there stays for another try.
    #[error("blob {digest} is incomplete: {missing} bytes are missing")]
    Incomplete {
        /// The blob.
        digest: Digest,
        /// The bytes that never came.
        missing: u64,
    },
    /// The blob is not in the store.
    #[error("blob {digest} is not in the store")]
    NoBlob {
        /// The blob.
        digest: Digest,
    },
    /// A blob too large to be read at once.
    #[error("blob {digest} of {size} bytes is too large to be read at once")]
    TooLarge {
        /// The blob.
        digest: Digest,
        /// Its size.
        size: u64,
    },
    /// A manifest that cannot be understood.
    #[error(transparent)]
    Manifest(#[from] manifest::Error),
    /// A file of the store's own that is not what the store writes.
    #[error("{path} is damaged")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What the parser met.
        #[source]
        source: serde_json::Error,
    },
    /// No entry answers to the text; podman's words, since scripts look for them.
    #[error("{text}: artifact does not exist")]
    NotFound {
        /// What was looked for.
        text: String,
    },
    /// A digest prefix that several artifacts share.
    #[error("{text} could be any of {}", names.join(", "))]
    Ambiguous {
        /// What was looked for.
        text: String,
        /// The artifacts it could mean.
        names: Vec<String>,
    },
    /// A path or link that would leave a snapshot, or that passes through a link or file in it.
    #[error("{path:?} is not a plain path below a snapshot")]
    UnsafePath {
        /// The path, or the link's target.
        path: String,
    },
}

/// The result of a store operation.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// Whether the cause is that the store cannot be written by this user or on this filesystem.
    pub(super) fn is_denied(&self) -> bool {
        match self {
            Self::ReadOnly { .. } => true,
            Self::Io { source, .. } => source.kind() == io::ErrorKind::PermissionDenied,
            _ => false,
        }
    }
}

/// Names the path in an I/O error.
pub(super) trait At<T> {
    /// Makes `path` the subject of the error.
    fn at(self, path: &Path) -> Result<T>;

    /// As [`At::at`], and says how much was needed where the filesystem is full.
    fn at_needing(self, path: &Path, needed: u64) -> Result<T>;
}

impl<T, E: Into<io::Error>> At<T> for std::result::Result<T, E> {
    fn at(self, path: &Path) -> Result<T> {
        self.map_err(|error| {
            let source = error.into();
            match source.kind() {
                io::ErrorKind::ReadOnlyFilesystem => Error::ReadOnly { path: path.to_owned() },
                _ => Error::Io { path: path.to_owned(), source },
            }
        })
    }

    fn at_needing(self, path: &Path, needed: u64) -> Result<T> {
        self.at(path).map_err(|error| match error {
            Error::Io { path, source } if is_full(source.kind()) => Error::NoSpace { path, needed },
            other => other,
        })
    }
}

fn is_full(kind: io::ErrorKind) -> bool {
    matches!(kind, io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::io::Errno;

    #[test]
    fn a_full_or_read_only_filesystem_is_told_from_other_errors() {
        let path = Path::new("/x");
        let at = |errno: Errno| Err::<(), _>(errno).at_needing(path, 7).unwrap_err();
        assert!(matches!(at(Errno::NOSPC), Error::NoSpace { needed: 7, .. }));
        assert!(matches!(at(Errno::DQUOT), Error::NoSpace { .. }));
        assert!(matches!(at(Errno::ROFS), Error::ReadOnly { .. }));
        assert!(matches!(at(Errno::IO), Error::Io { .. }));
        assert_eq!(at(Errno::NOSPC).to_string(), "no space left for /x: 7 more bytes are needed");
    }
}
