//! Views of snapshots that no container can write to, however the engine mounts them.
//!
//! A bind mount that is read-only is not enough: Podman's runtimes mount it again, and writable where they were told
//! nothing else. An overlay without an upper layer is read-only itself; it shares the files' pages with all others.

use std::ffi::CString;
use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use rustix::io::Errno;
use rustix::mount::{MountFlags, UnmountFlags};

use super::{Error, Result};

const OVERLAY: &str = "overlay";

/// Shows `snapshot` at `place`; `empty` is a directory with nothing in it, the second layer that an overlay must have.
///
/// What is shown there already is left as it is; a view of what is gone is made anew.
pub fn show(snapshot: &Path, place: &Path, empty: &Path) -> Result<()> {
    if is_shown(snapshot, place) {
        return Ok(());
    }
    hide(place)?;
    let flags = MountFlags::RDONLY | MountFlags::NODEV | MountFlags::NOSUID;
    let layers = [b"lowerdir=", escaped(snapshot).as_slice(), b":", &escaped(empty)].concat();
    let mounted = CString::new(layers)
        .map_err(|_| Errno::INVAL)
        .and_then(|layers| rustix::mount::mount(OVERLAY, place, OVERLAY, flags, layers.as_c_str()));
    mounted.map_err(|source| at(place, source.into()))
}

/// Takes away the views at `place`; containers that have one keep it. What somebody else mounted there stays.
pub fn hide(place: &Path) -> Result<()> {
    while let Some(kind) = kind_of_mount(place).map_err(|source| at(place, source))? {
        if kind != OVERLAY {
            return Err(at(place, ErrorKind::ResourceBusy.into()));
        }
        let unmounted = rustix::mount::unmount(place, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW);
        unmounted.map_err(|source| at(place, source.into()))?;
    }
    Ok(())
}

/// Removes a directory that was hidden, with all that is in it, unless something is mounted there.
pub fn clear(place: &Path) -> Result<()> {
    let mounts = mounts().map_err(|source| at(place, source))?;
    if mounts.iter().any(|(point, _)| Path::new(point).starts_with(place)) {
        return Err(at(place, ErrorKind::ResourceBusy.into()));
    }
    match fs::remove_dir_all(place) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(at(place, error)),
        _ => Ok(()),
    }
}

fn at(place: &Path, source: io::Error) -> Error {
    Error::Mount { path: place.to_owned(), source }
}

/// Whether the snapshot that is there now is what is seen at `place`: an overlay gives directories the inode number of
/// the lower one.
pub fn is_shown(snapshot: &Path, place: &Path) -> bool {
    let inode = |path: &Path| fs::metadata(path).map(|metadata| metadata.ino());
    let is_same = matches!((inode(snapshot), inode(place)), (Ok(one), Ok(other)) if one == other);
    is_same && kind_of_mount(place).is_ok_and(|kind| kind.as_deref() == Some(OVERLAY))
}

/// The layers are a list with colons, and one of the options between commas.
fn escaped(path: &Path) -> Vec<u8> {
    let bytes = path.as_os_str().as_bytes().iter();
    bytes.flat_map(|byte| if b"\\:,".contains(byte) { vec![b'\\', *byte] } else { vec![*byte] }).collect()
}

/// The filesystem that was mounted at `place` last.
fn kind_of_mount(place: &Path) -> io::Result<Option<String>> {
    let here = mounts()?.into_iter().rev().find(|(point, _)| Path::new(point) == place);
    Ok(here.map(|(_, kind)| kind))
}

fn mounts() -> io::Result<Vec<(String, String)>> {
    let list = fs::read("/proc/self/mountinfo")?;
    Ok(String::from_utf8_lossy(&list).lines().filter_map(mount).collect())
}

/// Mount point and filesystem of a line of mountinfo (proc_pid_mountinfo(5)).
fn mount(line: &str) -> Option<(String, String)> {
    let (mount, filesystem) = line.split_once(" - ")?;
    Some((unescaped(mount.split(' ').nth(4)?)?, filesystem.split(' ').next()?.to_owned()))
}

/// Without the octal escapes of the kernel's lists.
fn unescaped(field: &str) -> Option<String> {
    let mut parts = field.split('\\');
    let mut text = parts.next()?.to_owned();
    for part in parts {
        let (code, rest) = part.split_at_checked(3)?;
        text.push(char::from(u8::from_str_radix(code, 8).ok()?));
        text.push_str(rest);
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_are_read_from_the_kernels_list() {
        let line = "36 35 98:0 /mnt1 /mnt\\040two/\\134x rw,noatime master:1 - ext3 /dev/root rw,errors=continue";
        assert_eq!(mount(line), Some((String::from("/mnt two/\\x"), String::from("ext3"))));
        assert_eq!(mount("36 35 98:0 /"), None);
    }

    #[test]
    fn layers_may_have_any_path() {
        assert_eq!(escaped(Path::new("/a:b,c\\d")), b"/a\\:b\\,c\\\\d");
    }
}
