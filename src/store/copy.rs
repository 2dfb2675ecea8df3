//! Copies of snapshots outside the store, for whoever may write to what he is given.
//!
//! A copy is a directory with the snapshot's files and, as in a volume, their listing. It appears at once and whole.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags};

use super::error::{At, Error, Result};
use super::{Snapshot, durable};
use crate::listing::{Listing, MARKER};

/// What a copy would take the place of.
#[derive(Debug)]
enum There {
    Nothing,
    EmptyDirectory,
    Copy(Box<Listing>),
    Other,
}

impl Snapshot {
    /// Makes `directory` a copy of the snapshot, unless it is one; missing parents are made.
    ///
    /// An empty directory and a copy of another snapshot give way; anything else, also a copy to which somebody added
    /// files, is [`Error::Occupied`].
    pub fn copy_to(&self, directory: &Path) -> Result<()> {
        let there = look(directory)?;
        match &there {
            There::Copy(listing) if **listing == self.listing && is_whole(listing, directory) => return Ok(()),
            There::Other => return Err(Error::Occupied { path: directory.to_owned() }),
            _ => {}
        }
        let staged = beside(directory);
        durable::remove_dir_all(&staged)?;
        directory.parent().map_or(Ok(()), fs::create_dir_all).at(directory)?;
        let copied = self.write_to(&staged).and_then(|()| show(&staged, directory, &there));
        // Whether it did not get there, or what was there before is in its place now.
        durable::remove_dir_all(&staged)?;
        copied
    }

    fn write_to(&self, directory: &Path) -> Result<()> {
        copy_tree(&self.path, directory)?;
        let marker = directory.join(MARKER);
        let json = serde_json::to_vec(&self.listing).map_err(io::Error::from).at(&marker)?;
        durable::replace(&marker, &directory.join(".new"), &json)
    }
}

/// Removes a directory that [`Snapshot::copy_to`] made; says whether it was one.
pub fn remove_copy(directory: &Path) -> Result<bool> {
    match look(directory)? {
        There::Copy(_) => durable::remove_dir_all(directory).map(|()| true),
        _ => Ok(false),
    }
}

fn look(directory: &Path) -> Result<There> {
    let kind = match fs::symlink_metadata(directory) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(There::Nothing),
        metadata => metadata.at(directory)?.file_type(),
    };
    if !kind.is_dir() {
        return Ok(There::Other);
    }
    let mut found = BTreeSet::new();
    collect(directory, Path::new(""), &mut found)?;
    let listing = fs::read(directory.join(MARKER)).ok().and_then(|json| serde_json::from_slice::<Listing>(&json).ok());
    Ok(match listing {
        None if fs::read_dir(directory).at(directory)?.next().is_none() => There::EmptyDirectory,
        Some(listing) if found.iter().all(|path| is_known(&listing, path)) => There::Copy(Box::new(listing)),
        _ => There::Other,
    })
}

fn is_known(listing: &Listing, path: &Path) -> bool {
    path == Path::new(MARKER) || listing.files.iter().any(|file| Path::new(&file.path) == path)
}

/// Adds the paths of all files and links.
fn collect(root: &Path, below: &Path, found: &mut BTreeSet<PathBuf>) -> Result<()> {
    let directory = root.join(below);
    for entry in fs::read_dir(&directory).at(&directory)? {
        let entry = entry.at(&directory)?;
        let path = below.join(entry.file_name());
        if entry.file_type().at(&directory)?.is_dir() {
            collect(root, &path, found)?;
        } else {
            found.insert(path);
        }
    }
    Ok(())
}

fn is_whole(listing: &Listing, directory: &Path) -> bool {
    let is_there = |path: PathBuf, size: u64| path.metadata().is_ok_and(|metadata| metadata.len() == size);
    listing.files.iter().all(|file| is_there(directory.join(&file.path), file.size))
}

fn copy_tree(from: &Path, to: &Path) -> Result<()> {
    durable::create_dir(to)?;
    for entry in fs::read_dir(from).at(from)? {
        let entry = entry.at(from)?;
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type().at(&from)?;
        if kind.is_dir() {
            copy_tree(&from, &to)?;
        } else if kind.is_symlink() {
            symlink(fs::read_link(&from).at(&from)?, &to).at(&to)?;
        } else {
            fs::copy(&from, &to).at(&to)?;
            File::open(&to).and_then(|file| file.sync_all()).at(&to)?;
        }
    }
    durable::sync_dir(to)
}

/// Where a copy is made before it gets its name.
fn beside(directory: &Path) -> PathBuf {
    let name = directory.file_name().unwrap_or_default().to_string_lossy();
    directory.with_file_name(format!(".{name}-{}", std::process::id()))
}

/// Gives the copy its name; what had it before is under the copy's then, or gone.
fn show(staged: &Path, directory: &Path, there: &There) -> Result<()> {
    if matches!(there, There::Copy(_)) {
        match rustix::fs::renameat_with(CWD, staged, CWD, directory, RenameFlags::EXCHANGE) {
            Ok(()) => return Ok(()),
            // A filesystem that cannot exchange.
            Err(_) => durable::remove_dir_all(directory)?,
        }
    }
    durable::publish(staged, directory)
}
