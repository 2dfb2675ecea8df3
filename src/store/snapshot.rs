//! Snapshots: an artifact's files under their names, made aside and shown whole.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{AtFlags, CWD, Mode, OFlags};
use rustix::io::Errno;

use super::error::{At, Error, Result};
use super::lease::Lease;
use super::{Store, durable, read_part};
use crate::digest::Digest;
use crate::listing::Listing;
use crate::manifest::Descriptor;

/// A directory with all files of an artifact.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The directory.
    pub path: PathBuf,
    /// What is in it.
    pub listing: Listing,
}

/// A snapshot being made; dropped, it is removed.
///
/// Paths are relative, with `/` between components and without `.` and `..`; directories on the way are made. A file
/// or link takes the place of an earlier one at the same path, as in a tar.
#[derive(Debug)]
pub struct StagedSnapshot {
    store: Store,
    digest: Digest,
    path: PathBuf,
    root: OwnedFd,
    directories: BTreeSet<String>,
    // Written by the caller, with the mode they get in the end; linked blobs are not among them.
    files: BTreeMap<String, u32>,
    _lease: Lease,
}

impl Store {
    /// The snapshot called by `digest`, a manifest's or the key of an extent, if it is complete.
    pub fn snapshot(&self, digest: &Digest) -> Result<Option<Snapshot>> {
        let (path, listing_path) = (self.snapshot_path(digest), self.listing_path(digest));
        let Some(bytes) = durable::read_if_present(&listing_path)? else { return Ok(None) };
        // One that cannot be read, of another version of this program, is written anew by the next commit.
        let listing = serde_json::from_slice(&bytes).ok();
        Ok(listing.filter(|_| path.is_dir()).map(|listing| Snapshot { path, listing }))
    }

    /// Begins a snapshot to be called by `digest`, which the lease keeps from then on.
    pub fn stage_snapshot(&self, lease: &Lease, digest: &Digest) -> Result<StagedSnapshot> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        self.check_writable()?;
        lease.add(std::slice::from_ref(digest))?;
        let name = format!(".{}-{}", lease.id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = self.root().join("snapshots").join(name);
        durable::remove_dir_all(&path)?;
        durable::create_dir(&path)?;
        Ok(StagedSnapshot {
            store: self.clone(),
            digest: digest.clone(),
            root: rustix::fs::open(&path, directory_flags(), Mode::empty()).at(&path)?,
            path,
            directories: BTreeSet::new(),
            files: BTreeMap::new(),
            _lease: lease.clone(),
        })
    }

    /// Where a snapshot is, or would be.
    pub(super) fn snapshot_path(&self, digest: &Digest) -> PathBuf {
        self.root().join("snapshots").join(digest.file_name())
    }

    /// Where its listing is, or would be.
    pub(super) fn listing_path(&self, digest: &Digest) -> PathBuf {
        self.root().join("snapshots").join(format!("{}.json", digest.file_name()))
    }
}

impl Snapshot {
    /// Reads what of the file `path` of the listing lies in `range`.
    pub fn read_part(&self, path: &str, range: Range<u64>) -> Result<Vec<u8>> {
        components(path)?;
        let path = self.path.join(path);
        read_part(File::open(&path).at(&path)?, &path, range)
    }
}

impl StagedSnapshot {
    /// The directory it is made in.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Makes a directory, and those above it.
    pub fn create_dir(&mut self, path: &str) -> Result<()> {
        self.open_dir(path, &components(path)?).map(drop)
    }

    /// Gives a blob a name, without a second copy of its bytes.
    pub fn link_blob(&mut self, path: &str, blob: &Descriptor) -> Result<()> {
        let source = self.store.open_blob(blob)?;
        let (parent, name) = self.make_room(path)?;
        let from = self.store.blob_path(&blob.digest);
        match rustix::fs::linkat(CWD, &from, &parent, name, AtFlags::empty()) {
            // Too many names (EMLINK), or a filesystem without second names: a copy, which shares blocks where it can.
            Err(Errno::MLINK | Errno::XDEV | Errno::PERM | Errno::OPNOTSUPP) => {
                let mut copy = self.create_file(path, false)?;
                io::copy(&mut &source, &mut copy).at_needing(&self.path.join(path), blob.size).map(drop)
            }
            result => result.at(&self.path.join(path)),
        }
    }

    /// Makes a file to be written by the caller; it is read-only once the snapshot is committed.
    ///
    /// Only a file with bytes of its own can be executable: the names of one blob share its mode.
    pub fn create_file(&mut self, path: &str, executable: bool) -> Result<File> {
        let (parent, name) = self.make_room(path)?;
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&parent, name, flags, Mode::from_raw_mode(0o644)).at(&self.path.join(path))?;
        let mode = if executable { durable::EXECUTABLE } else { durable::READ_ONLY };
        self.files.insert(path.to_owned(), mode);
        Ok(file.into())
    }

    /// Makes a symbolic link, whose target must stay in the snapshot.
    pub fn symlink(&mut self, path: &str, target: &str) -> Result<()> {
        check_target(path, target)?;
        let (parent, name) = self.make_room(path)?;
        rustix::fs::symlinkat(target, &parent, name).at(&self.path.join(path))
    }

    /// Shows the snapshot whole; if somebody else made it meanwhile, theirs is returned.
    pub fn commit(mut self, listing: &Listing) -> Result<Snapshot> {
        self.finish_files()?;
        let store = self.store.clone();
        if store.snapshot(&self.digest)?.is_none() {
            // The listing first: the directory's name is what makes a snapshot, and both of two makers write the same.
            let json = serde_json::to_vec(listing)
                .map_err(|source| Error::Damaged { path: store.listing_path(&self.digest), source })?;
            durable::replace(&store.listing_path(&self.digest), &self.path.with_extension("json"), &json)?;
            match durable::publish(&self.path, &store.snapshot_path(&self.digest)) {
                Err(Error::Io { source, .. }) if is_taken(&source) => {}
                result => result?,
            }
        }
        let ours = || Snapshot { path: store.snapshot_path(&self.digest), listing: listing.clone() };
        Ok(store.snapshot(&self.digest)?.unwrap_or_else(ours))
    }

    /// Makes the content durable and read-only.
    fn finish_files(&mut self) -> Result<()> {
        for (path, mode) in std::mem::take(&mut self.files) {
            let (parent, name) = self.parent(&path)?;
            let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let file = rustix::fs::openat(&parent, name, flags, Mode::empty()).at(&self.path.join(&path))?;
            rustix::fs::fchmod(&file, Mode::from_raw_mode(mode)).at(&self.path.join(&path))?;
            File::from(file).sync_all().at(&self.path.join(&path))?;
        }
        self.directories.iter().try_for_each(|path| durable::sync_dir(&self.path.join(path)))?;
        durable::sync_dir(&self.path)
    }

    /// The directory of `path` and its name in it, free to be used.
    fn make_room<'a>(&mut self, path: &'a str) -> Result<(OwnedFd, &'a str)> {
        let (parent, name) = self.parent(path)?;
        match rustix::fs::unlinkat(&parent, name, AtFlags::empty()) {
            Err(Errno::NOENT) => {}
            result => result.at(&self.path.join(path))?,
        }
        self.files.remove(path);
        Ok((parent, name))
    }

    fn parent<'a>(&mut self, path: &'a str) -> Result<(OwnedFd, &'a str)> {
        let mut components = components(path)?;
        let name = components.pop().ok_or_else(|| unsafe_path(path))?;
        Ok((self.open_dir(path, &components)?, name))
    }

    /// Opens a directory one component after the other, so that no link is followed.
    fn open_dir(&mut self, path: &str, components: &[&str]) -> Result<OwnedFd> {
        let mut directory = self.root.try_clone().at(&self.path)?;
        for (index, component) in components.iter().enumerate() {
            let made = match rustix::fs::mkdirat(&directory, *component, Mode::from_raw_mode(0o755)) {
                Err(Errno::EXIST) => false,
                result => result.at(&self.path.join(path)).map(|()| true)?,
            };
            directory = match rustix::fs::openat(&directory, *component, directory_flags(), Mode::empty()) {
                Err(Errno::LOOP | Errno::NOTDIR) => return Err(unsafe_path(path)),
                result => result.at(&self.path.join(path))?,
            };
            if made {
                rustix::fs::fchmod(&directory, Mode::from_raw_mode(0o755)).at(&self.path.join(path))?;
                self.directories.insert(components[..=index].join("/"));
            }
        }
        Ok(directory)
    }
}

impl Drop for StagedSnapshot {
    fn drop(&mut self) {
        // After a commit there is nothing under this name any more.
        if let Err(error) = durable::remove_dir_all(&self.path) {
            tracing::debug!(%error, "a staged snapshot stays for the next sweep");
        }
    }
}

fn directory_flags() -> OFlags {
    OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC
}

fn is_taken(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::AlreadyExists)
}

fn unsafe_path(path: &str) -> Error {
    Error::UnsafePath { path: path.to_owned() }
}

/// The components of a plain relative path.
fn components(path: &str) -> Result<Vec<&str>> {
    let components: Vec<&str> = path.split('/').collect();
    let is_plain = |component: &&str| !matches!(*component, "" | "." | "..") && !component.contains('\0');
    if components.iter().all(is_plain) { Ok(components) } else { Err(unsafe_path(path)) }
}

/// Checks that a link at `path` to `target` stays inside.
///
/// `..` only leads: behind a name that may itself be a link, it would go up from where that one points.
fn check_target(path: &str, target: &str) -> Result<()> {
    let depth = components(path)?.len() - 1;
    let ups = target.split('/').take_while(|component| *component == "..").count();
    let rest: Vec<&str> = target.split('/').skip(ups).collect();
    if ups > depth || (ups == 0 || !rest.is_empty()) && components(&rest.join("/")).is_err() {
        return Err(unsafe_path(target));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_relative_paths_are_paths() {
        for path in ["a", "a/b", "a b/c..d", "..a", "...", "a\\b"] {
            assert!(components(path).is_ok(), "{path:?}");
        }
        for path in ["", "/", "/a", "a/", "a//b", ".", "./a", "a/./b", "..", "../a", "a/../b", "a/..", "a\0b"] {
            assert!(components(path).is_err(), "{path:?}");
        }
    }

    #[test]
    fn a_link_points_into_the_snapshot() {
        for (path, target) in [("a", "b"), ("a", "b/c"), ("d/a", "../b"), ("d/e/a", "../../b/c"), ("d/a", "..")] {
            assert!(check_target(path, target).is_ok(), "{path} -> {target}");
        }
        for (path, target) in [
            ("a", "/etc/passwd"),
            ("a", "../b"),
            ("a", ".."),
            ("d/a", "../../b"),
            ("d/e/a", "x/../../y"),
            ("d/a", "..//etc"),
            ("a", ""),
            ("a", "b/"),
        ] {
            assert!(check_target(path, target).is_err(), "{path} -> {target}");
        }
    }
}
