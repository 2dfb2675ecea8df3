//! Why an artifact was not made.

use std::io;
use std::path::{Path, PathBuf};

use crate::{manifest, model, pull, store};

/// The result of making an artifact.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why an artifact was not made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The name is taken; podman's words.
    #[error("{0}: artifact already exists")]
    Exists(String),
    /// The name stands for a part, to which nothing can be added.
    #[error("{0} was pulled in part, so nothing can be added to it")]
    Part(String),
    /// Somebody else changed the artifact meanwhile.
    #[error("{0} was changed by somebody else meanwhile")]
    Changed(String),
    /// A file of this name is there; podman's words.
    #[error("{0}: file already exists in artifact")]
    FileExists(String),
    /// The same by annotation; podman's words.
    #[error("duplicate layers org.opencontainers.image.title labels within an artifact not allowed")]
    TitleExists,
    /// A title that leads out of the artifact, or nowhere.
    #[error("{0:?} is no name of a file in an artifact")]
    Title(String),
    /// Bytes without a name.
    #[error("standard input has no file name")]
    NoName,
    /// A name that no manifest can hold.
    #[error("the name of {0} is not UTF-8")]
    Name(PathBuf),
    /// A directory without files.
    #[error("{0} has no files")]
    Empty(PathBuf),
    /// A link to what was not meant to be added.
    #[error("{0} leads out of the directory")]
    Outside(PathBuf),
    /// A file that somebody writes.
    #[error("{0} was changed while it was read")]
    FileChanged(PathBuf),
    /// An artifact that nothing can be added to.
    #[error("{0} has no list of layers")]
    NoLayers(String),
    /// Something that is neither file nor directory.
    #[error("{0} is neither a file nor a directory")]
    Kind(PathBuf),
    /// A file of the user's.
    #[error("{path}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A manifest that is here and is not as manifests are.
    #[error(transparent)]
    Manifest(#[from] manifest::Error),
    /// The store.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The look into the files.
    #[error(transparent)]
    Pull(#[from] pull::Error),
    /// What model it is.
    #[error(transparent)]
    Model(#[from] model::Error),
    /// The program is ending.
    #[error("stopped")]
    Stopped,
}

/// Names the file that an error is of.
pub(super) trait At<T> {
    fn at(self, path: &Path) -> Result<T>;
}

impl<T> At<T> for io::Result<T> {
    fn at(self, path: &Path) -> Result<T> {
        self.map_err(|source| Error::Io { path: path.to_owned(), source })
    }
}
