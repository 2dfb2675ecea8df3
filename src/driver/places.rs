//! Where volumes are shown: a directory for each, below one that the engine sees under the same path.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use super::{Error, Result};

/// The directory that stays empty.
const EMPTY: &str = ".empty";
/// The directory of what is shown, in which nobody else has anything.
const SHOWN: &str = "shown";

/// The directories of all volumes.
pub(super) struct Places {
    directory: PathBuf,
    /// One that stays empty, on the filesystem of the store.
    pub(super) empty: PathBuf,
}

impl Places {
    /// Those in a directory of ours in `directory`; `kept` is the store's own. All are made if need be.
    pub(super) fn open(directory: &Path, kept: &Path) -> Result<Self> {
        // The kernel's list of mounts knows no links.
        let make = |path: PathBuf| {
            fs::create_dir_all(&path).and_then(|()| fs::canonicalize(&path)).map_err(|source| at(&path, source))
        };
        Ok(Self { directory: make(directory.join(SHOWN))?, empty: make(kept.join(EMPTY))? })
    }

    /// That of a volume, which may not be there.
    pub(super) fn of(&self, volume: &str) -> PathBuf {
        self.directory.join(volume)
    }

    /// That of a volume, which is there.
    pub(super) fn make(&self, volume: &str) -> Result<PathBuf> {
        let place = self.of(volume);
        match fs::create_dir(&place) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(at(&place, error)),
            _ => Ok(place),
        }
    }

    /// The names of all that are there, and of what a killed process left of a copy.
    pub(super) fn names(&self) -> Result<Vec<String>> {
        let entries = fs::read_dir(&self.directory).map_err(|source| at(&self.directory, source))?;
        let entries = entries.filter_map(io::Result::ok);
        let is_directory = |entry: &fs::DirEntry| entry.file_type().is_ok_and(|kind| kind.is_dir());
        Ok(entries.filter(is_directory).filter_map(|entry| entry.file_name().into_string().ok()).collect())
    }
}

fn at(path: &Path, source: io::Error) -> Error {
    Error::Place { path: path.to_owned(), source }
}
