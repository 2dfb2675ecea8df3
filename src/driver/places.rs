//! Where volumes are shown: a directory for each, below one that the engine sees under the same path.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use super::{Error, Result};

/// No volume's name.
const EMPTY: &str = ".empty";

/// The directories of all volumes.
pub(super) struct Places {
    directory: PathBuf,
    /// One that stays empty, on the filesystem of the store.
    pub(super) empty: PathBuf,
}

impl Places {
    /// Those below `directory`; `kept` is the store's own. Both are made if need be.
    pub(super) fn open(directory: PathBuf, kept: &Path) -> Result<Self> {
        let empty = kept.join(EMPTY);
        for directory in [&empty, &directory] {
            fs::create_dir_all(directory).map_err(|source| at(directory, source))?;
        }
        Ok(Self { directory, empty })
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

    /// Removes that of a volume, if nothing is in it.
    pub(super) fn remove(&self, volume: &str) -> Result<()> {
        let place = self.of(volume);
        match fs::remove_dir(&place) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(at(&place, error)),
            _ => Ok(()),
        }
    }

    /// The names of all that are there.
    pub(super) fn names(&self) -> Result<Vec<String>> {
        let entries = fs::read_dir(&self.directory).map_err(|source| at(&self.directory, source))?;
        let entries = entries.filter_map(io::Result::ok);
        let is_directory = |entry: &fs::DirEntry| entry.file_type().is_ok_and(|kind| kind.is_dir());
        let names = entries.filter(is_directory).filter_map(|entry| entry.file_name().into_string().ok());
        Ok(names.filter(|name| name != EMPTY).collect())
    }
}

fn at(path: &Path, source: io::Error) -> Error {
    Error::Place { path: path.to_owned(), source }
}
