//! Writing so that a crash or a power loss leaves the old state or the new one.

use std::fs::{self, File, Permissions};
use std::io::{self, Write};
use std::ops::Range;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rustix::fs::FallocateFlags;
use rustix::io::Errno;

use super::error::{At, Error, Result};

/// The mode of a file that never changes again.
pub(super) const READ_ONLY: u32 = 0o444;
/// The mode of a program that never changes again.
pub(super) const EXECUTABLE: u32 = 0o555;
/// The mode of a file that only the store's owner changes.
pub(super) const WRITABLE: u32 = 0o644;
const DIRECTORY: u32 = 0o755;

/// Makes a directory that everybody may read, whatever the umask; one that exists is left as it is.
pub(super) fn create_dir(path: &Path) -> Result<()> {
    match fs::create_dir(path) {
        Ok(()) => fs::set_permissions(path, Permissions::from_mode(DIRECTORY)).at(path),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error).at(path),
    }
}

/// Opens a file for reading and writing, making it readable for everybody where it is new.
pub(super) fn open_or_create(path: &Path) -> Result<File> {
    match create(path) {
        Err(Error::Io { source, .. }) if source.kind() == io::ErrorKind::AlreadyExists => {
            File::options().read(true).write(true).open(path).at(path)
        }
        created => created,
    }
}

/// Makes a file that everybody may read, whatever the umask; an error if it is there.
pub(super) fn create(path: &Path) -> Result<File> {
    let file = File::options().read(true).write(true).create_new(true).open(path).at(path)?;
    file.set_permissions(Permissions::from_mode(WRITABLE)).at(path)?;
    Ok(file)
}

/// Gives `path` the content `bytes` in one step, by way of `temporary` in the same directory.
///
/// Two writers must not use the same `temporary` at once.
pub(super) fn replace(path: &Path, temporary: &Path, bytes: &[u8]) -> Result<()> {
    let mut file = File::create(temporary).at(temporary)?;
    file.set_permissions(Permissions::from_mode(WRITABLE)).at(temporary)?;
    file.write_all(bytes).at_needing(temporary, bytes.len() as u64)?;
    file.sync_all().at(temporary)?;
    publish(temporary, path)
}

/// Gives `from`, whose content is durable, its final name durably.
pub(super) fn publish(from: &Path, to: &Path) -> Result<()> {
    rename(from, to)?;
    to.parent().map_or(Ok(()), sync_dir)
}

/// The one rename of the store: `from`, whose content is durable, gets its final name; a crash may undo that.
pub(super) fn rename(from: &Path, to: &Path) -> Result<()> {
    fs::rename(from, to).at(to)
}

/// The content of a file, if it is there.
pub(super) fn read_if_present(path: &Path) -> Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        result => result.map(Some).at(path),
    }
}

/// Makes the names in a directory durable.
pub(super) fn sync_dir(path: &Path) -> Result<()> {
    match File::open(path).and_then(|directory| directory.sync_all()) {
        // Some network and user-space filesystems have no fsync of directories; they have nothing better either.
        Err(error) if error.raw_os_error() == Some(Errno::INVAL.raw_os_error()) => Ok(()),
        result => result.at(path),
    }
}

/// Removes a file; one that is not there is removed.
pub(super) fn remove_file(path: &Path) -> Result<()> {
    absent_is_fine(fs::remove_file(path)).at(path)
}

/// Removes a directory with all in it; one that is not there is removed.
pub(super) fn remove_dir_all(path: &Path) -> Result<()> {
    absent_is_fine(fs::remove_dir_all(path)).at(path)
}

fn absent_is_fine(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

/// Reserves the blocks of a file of `size` bytes without changing its length, where the filesystem can.
pub(super) fn preallocate(file: &File, path: &Path, size: u64) -> Result<()> {
    if size == 0 {
        return Ok(());
    }
    match rustix::io::retry_on_intr(|| rustix::fs::fallocate(file, FallocateFlags::KEEP_SIZE, 0, size)) {
        Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => Ok(()),
        result => result.at_needing(path, size),
    }
}

/// Gives the blocks of `range` back to the filesystem, where it can; bytes that were written there are lost.
pub(super) fn free(file: &File, range: &Range<u64>) -> io::Result<()> {
    let length = file.metadata()?.len();
    if range.end > length {
        // Blocks behind the end go with a cut at the end, even where that changes nothing else.
        file.set_len(length)?;
    }
    if range.start >= length {
        return Ok(());
    }
    let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    match rustix::fs::fallocate(file, flags, range.start, range.end.min(length) - range.start) {
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => Ok(()),
        result => Ok(result?),
    }
}

/// Refuses to begin a file of `size` bytes, of which `allocated` are on disk, where the filesystem has no room for it.
pub(super) fn check_space(path: &Path, size: u64, allocated: u64) -> Result<()> {
    match shortage(size, allocated, free_space(path)?) {
        Some(needed) => Err(Error::NoSpace { path: path.to_owned(), needed }),
        None => Ok(()),
    }
}

/// The bytes this user can still write to the filesystem of `path`.
pub(super) fn free_space(path: &Path) -> Result<u64> {
    let space = rustix::fs::statvfs(path).at(path)?;
    Ok(space.f_bavail.saturating_mul(space.f_frsize))
}

/// The bytes still to be allocated, if there are fewer `available`.
fn shortage(size: u64, allocated: u64, available: u64) -> Option<u64> {
    let needed = size.saturating_sub(allocated);
    (needed > available).then_some(needed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn space_already_allocated_is_not_asked_for_again() {
        let cases = [
            ((100, 0, 100), None),
            ((100, 0, 99), Some(100)),
            ((100, 40, 60), None),
            ((100, 40, 59), Some(60)),
            ((100, 100, 0), None),
            ((100, 200, 0), None),
            ((u64::MAX, 0, 1 << 40), Some(u64::MAX)),
        ];
        for ((size, allocated, available), expected) in cases {
            assert_eq!(shortage(size, allocated, available), expected, "{size} {allocated} {available}");
        }
    }

    #[test]
    fn a_blob_larger_than_the_disk_is_refused_before_it_is_begun() {
        let directory = tempfile::tempdir().unwrap();
        let error = check_space(directory.path(), u64::MAX, 0).unwrap_err();
        assert!(matches!(error, Error::NoSpace { needed: u64::MAX, .. }));
    }

    #[test]
    fn replacing_a_file_leaves_no_temporary() {
        let directory = tempfile::tempdir().unwrap();
        let (path, temporary) = (directory.path().join("a"), directory.path().join(".a.tmp"));
        replace(&path, &temporary, b"one").unwrap();
        replace(&path, &temporary, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert!(!temporary.exists());
    }
}
