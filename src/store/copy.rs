//! Copies of snapshots outside the store, for whoever may write to what he is given.
//!
//! A copy is a directory with the snapshot's files and a marker that says whose it is and what was put there. It appears
//! at once and whole. Its files have the mtime 0, as in a tar of ours, so that one somebody wrote to is known.

use std::collections::BTreeSet;
use std::fs::{self, File, Metadata};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rustix::fs::{CWD, FlockOperation, Mode, OFlags, RenameFlags};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use super::error::{At, Error, Result};
use super::{Snapshot, durable};
use crate::listing::{Listing, MARKER};

/// More than any listing takes.
const MAX_MARKER: u64 = 64 * 1024 * 1024;

/// What the marker says.
#[derive(Debug, Serialize, Deserialize)]
struct Copied {
    owner: String,
    #[serde(flatten)]
    listing: Listing,
}

/// What a copy would take the place of.
#[derive(Debug)]
enum There {
    Nothing,
    EmptyDirectory,
    Copy(Box<Copied>),
    Other,
}

impl Snapshot {
    /// Makes `directory` a copy of the snapshot that belongs to `owner`, unless it is one; missing parents are made.
    ///
    /// An empty directory and the owner's copy of another snapshot give way. Anything else is [`Error::Occupied`], also
    /// a copy to which somebody added or wrote something. Blocks for as long as the copy takes.
    pub fn copy_to(&self, directory: &Path, owner: &str) -> Result<()> {
        let parent = directory.parent().unwrap_or(Path::new("/"));
        fs::create_dir_all(parent).at(parent)?;
        let _turn = turn(parent)?;
        if let There::Copy(copied) = give_way(directory, owner)?
            && copied.listing == self.listing
            && is_whole(&copied.listing, directory)
        {
            return Ok(());
        }
        // What a killed process left; the turn is ours.
        let staged = beside(directory, "new");
        durable::remove_dir_all(&staged)?;
        let copied = self.write_to(&staged, owner).and_then(|()| show(&staged, directory, owner));
        durable::remove_dir_all(&staged)?;
        copied
    }

    fn write_to(&self, directory: &Path, owner: &str) -> Result<()> {
        copy_tree(&self.path, directory)?;
        let marker = directory.join(MARKER);
        let copied = Copied { owner: owner.to_owned(), listing: self.listing.clone() };
        let json = serde_json::to_vec(&copied).map_err(io::Error::from).at(&marker)?;
        let mut file = File::create_new(&marker).at(&marker)?;
        file.write_all(&json).and_then(|()| file.sync_all()).at_needing(&marker, json.len() as u64)?;
        durable::sync_dir(directory)
    }
}

/// Removes a directory that [`Snapshot::copy_to`] made for `owner`, and nobody changed; says whether it was one.
pub fn remove_copy(directory: &Path, owner: &str) -> Result<bool> {
    let Some(parent) = directory.parent().filter(|parent| parent.exists()) else { return Ok(false) };
    let _turn = turn(parent)?;
    match look(directory)? {
        There::Copy(copied) if copied.owner == owner => durable::remove_dir_all(directory).map(|()| true),
        _ => Ok(false),
    }
}

/// Keeps others of us out of a directory, for as long as what is returned lives.
fn turn(parent: &Path) -> Result<File> {
    let directory = File::open(parent).at(parent)?;
    rustix::fs::flock(&directory, FlockOperation::LockExclusive).at(parent)?;
    Ok(directory)
}

/// What is there, if it may be replaced.
fn give_way(directory: &Path, owner: &str) -> Result<There> {
    let path = directory.to_owned();
    match look(directory)? {
        There::Other => Err(Error::Occupied { path }),
        There::Copy(copied) if copied.owner != owner => Err(Error::Owned { path, owner: copied.owner }),
        there => Ok(there),
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
    let marker = read_marker(&directory.join(MARKER));
    let mut changed = BTreeSet::new();
    collect(directory, Path::new(""), &mut changed)?;
    Ok(match marker.and_then(|json| serde_json::from_slice::<Copied>(&json).ok()) {
        None if fs::read_dir(directory).at(directory)?.next().is_none() => There::EmptyDirectory,
        Some(copied) if changed.iter().all(|path| is_ours(&copied.listing, directory, path)) => {
            There::Copy(Box::new(copied))
        }
        _ => There::Other,
    })
}

/// What a marker says, if it is one: a container may have put anything in its place.
fn read_marker(path: &Path) -> Option<Vec<u8>> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::open(path, flags, Mode::empty()).ok()?);
    let mut json = Vec::new();
    let is_file = file.metadata().ok()?.is_file();
    (is_file && file.take(MAX_MARKER).read_to_end(&mut json).is_ok()).then_some(json)
}

/// Whether a file is as it was put there.
fn is_ours(listing: &Listing, directory: &Path, path: &Path) -> bool {
    let is_untouched = |metadata: Metadata| metadata.is_symlink() || metadata.mtime() == 0;
    let is_known = listing.files.iter().any(|file| Path::new(&file.path) == path);
    path == Path::new(MARKER) || is_known && directory.join(path).symlink_metadata().is_ok_and(is_untouched)
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

/// Nothing is at `to`, and nothing that comes there meanwhile is followed or written to.
fn copy_tree(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir(to).at(to)?;
    fs::set_permissions(to, fs::metadata(from).at(from)?.permissions()).at(to)?;
    for entry in fs::read_dir(from).at(from)? {
        let entry = entry.at(from)?;
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type().at(&from)?;
        if kind.is_dir() {
            copy_tree(&from, &to)?;
        } else if kind.is_symlink() {
            symlink(fs::read_link(&from).at(&from)?, &to).at(&to)?;
        } else {
            copy_file(&from, &to)?;
        }
    }
    durable::sync_dir(to)
}

fn copy_file(from: &Path, to: &Path) -> Result<()> {
    let mut source = File::open(from).at(from)?;
    let metadata = source.metadata().at(from)?;
    let mut file = File::create_new(to).at(to)?;
    io::copy(&mut source, &mut file).at_needing(to, metadata.len())?;
    file.set_permissions(metadata.permissions()).at(to)?;
    file.set_modified(SystemTime::UNIX_EPOCH).at(to)?;
    file.sync_all().at(to)
}

/// Where something lies that is not shown yet, or no more.
fn beside(directory: &Path, what: &str) -> PathBuf {
    let name = directory.file_name().unwrap_or_default().to_string_lossy();
    directory.with_file_name(format!(".{name}.artishim-{what}"))
}

/// Gives the copy its name. What had it is looked at once more, as copying takes a while, and is under the copy's name
/// then, or gone.
fn show(staged: &Path, directory: &Path, owner: &str) -> Result<()> {
    let There::Copy(_) = give_way(directory, owner)? else { return durable::publish(staged, directory) };
    match rustix::fs::renameat_with(CWD, staged, CWD, directory, RenameFlags::EXCHANGE) {
        Ok(()) => keep_if_changed(staged, directory, owner),
        // A filesystem that cannot exchange.
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
            let old = beside(directory, "old");
            durable::remove_dir_all(&old)?;
            durable::rename(directory, &old)?;
            durable::publish(staged, directory)?;
            durable::remove_dir_all(&old)
        }
        Err(error) => Err(error).at(directory),
    }
}

/// Puts the old copy back, if somebody changed it at the last moment.
fn keep_if_changed(old: &Path, directory: &Path, owner: &str) -> Result<()> {
    if give_way(old, owner).is_ok() {
        return Ok(());
    }
    rustix::fs::renameat_with(CWD, old, CWD, directory, RenameFlags::EXCHANGE).at(directory)?;
    Err(Error::Occupied { path: directory.to_owned() })
}
