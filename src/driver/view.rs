//! Read-only views of snapshots: bind mounts that no container can write through, however the engine mounts them.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use rustix::mount::{MountFlags, UnmountFlags};

use super::{Error, Result};

/// A view that nobody can write to, nor run with other rights.
const FLAGS: MountFlags = MountFlags::BIND.union(MountFlags::RDONLY).union(MountFlags::NODEV).union(MountFlags::NOSUID);

/// Shows `snapshot` at `place`, read-only; `stage` is a directory for a mount in between, of which there is one at a time.
///
/// What is shown there already is left as it is; a view of what is gone, or a writable one, is made anew. A bind becomes
/// read-only by a second call only, which an engine in another mount namespace does not hear of: so what is bound at
/// `place` is the one on `stage`, which is read-only by then.
pub fn show(snapshot: &Path, place: &Path, stage: &Path) -> Result<()> {
    if is_shown(snapshot, place) {
        return Ok(());
    }
    hide(place)?;
    hide(stage)?;
    let mounted = rustix::mount::mount_bind(snapshot, stage)
        .and_then(|()| rustix::mount::mount_remount(stage, FLAGS, c""))
        .and_then(|()| rustix::mount::mount_bind(stage, place));
    let unstaged = hide(stage);
    mounted.map_err(|source| Error::Mount { path: place.to_owned(), source: source.into() })?;
    unstaged
}

/// Takes away whatever is shown at `place`; containers that have it keep it.
pub fn hide(place: &Path) -> Result<()> {
    while is_mount_point(place) {
        let unmounted = rustix::mount::unmount(place, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW);
        unmounted.map_err(|source| Error::Mount { path: place.to_owned(), source: source.into() })?;
    }
    Ok(())
}

/// Whether the snapshot that is there now is what is seen at `place`, and nobody can write there.
pub fn is_shown(snapshot: &Path, place: &Path) -> bool {
    let identity = |path: &Path| fs::metadata(path).map(|metadata| (metadata.dev(), metadata.ino()));
    let is_same = matches!((identity(snapshot), identity(place)), (Ok(one), Ok(other)) if one == other);
    is_same && is_mount_point(place) && is_read_only(place)
}

/// A bind mount on the same filesystem has its parent's device, so the kernel's list is asked.
fn is_mount_point(place: &Path) -> bool {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    mounts.lines().filter_map(mount_point).any(|point| Path::new(&point) == place)
}

/// The fifth field of a line of mountinfo, with its octal escapes (proc_pid_mountinfo(5)).
fn mount_point(line: &str) -> Option<String> {
    let field = line.split(' ').nth(4)?;
    let mut parts = field.split('\\');
    let mut point = parts.next()?.to_owned();
    for part in parts {
        let (code, rest) = part.split_at_checked(3)?;
        point.push(char::from(u8::from_str_radix(code, 8).ok()?));
        point.push_str(rest);
    }
    Some(point)
}

fn is_read_only(place: &Path) -> bool {
    rustix::fs::statvfs(place).is_ok_and(|status| status.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mount_points_are_read_from_the_kernels_list() {
        let line = "36 35 98:0 /mnt1 /mnt\\040two/\\134x rw,noatime master:1 - ext3 /dev/root rw,errors=continue";
        assert_eq!(mount_point(line).as_deref(), Some("/mnt two/\\x"));
        assert_eq!(mount_point("36 35 98:0 /"), None);
    }
}
