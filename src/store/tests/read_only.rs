use std::os::unix::fs::PermissionsExt;

use rustix::fs::{IFlags, ioctl_getflags, ioctl_setflags};

use super::*;

/// Makes a store unwritable, for root by the immutable flag; undone on drop.
struct Frozen<'a>(&'a Path);

impl Frozen<'_> {
    fn paths(&self) -> Vec<std::path::PathBuf> {
        let names = ["", "lock", "blobs", "blobs/sha256", "ingest", "snapshots", "leases", "index.json"];
        names.iter().map(|name| self.0.join(name)).collect()
    }

    /// Whether the filesystem lets us.
    fn freeze(&self) -> bool {
        let is_root = rustix::process::geteuid().is_root();
        self.paths().iter().all(|path| {
            let mode = if path.is_dir() { 0o555 } else { 0o444 };
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
            !is_root || set_immutable(path, true)
        })
    }
}

impl Drop for Frozen<'_> {
    fn drop(&mut self) {
        for path in self.paths() {
            set_immutable(&path, false);
            let mode = if path.is_dir() { 0o755 } else { 0o644 };
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        }
    }
}

fn set_immutable(path: &Path, immutable: bool) -> bool {
    let file = File::open(path).unwrap();
    let Ok(mut flags) = ioctl_getflags(&file) else { return false };
    flags.set(IFlags::IMMUTABLE, immutable);
    ioctl_setflags(&file, flags).is_ok()
}

#[test]
fn a_store_that_cannot_be_written_can_be_read() {
    let mut fixture = Fixture::new();
    let layer = fixture.put(b"layer");
    let manifest = fixture.manifest(&[&layer]);
    fixture.tag("quay.io/a:1", &manifest);
    fixture.make_snapshot(&manifest, &layer);
    fixture.lease = Fixture::new().lease;
    let frozen = Frozen(fixture.store.root());
    if !frozen.freeze() {
        return;
    }
    let store = fixture.reopen();
    assert!(store.is_read_only());
    let _guard = store.shared().unwrap();
    assert_eq!(store.find("quay.io/a:1").unwrap().descriptor.digest, manifest.digest);
    assert_eq!(store.read_blob(&layer).unwrap(), b"layer");
    assert!(store.snapshot(&manifest.digest).unwrap().is_some());
    let root = store.root();
    let refused = |error: Error| assert!(matches!(&error, Error::ReadOnly { path } if path == root), "{error:?}");
    refused(store.lease(&[]).unwrap_err());
    refused(store.exclusive().unwrap_err());
    refused(store.ingest(&fixture.lease, &layer).unwrap_err());
    refused(store.stage_snapshot(&fixture.lease, &layer.digest).unwrap_err());
    let shared = [store.try_connection(1), store.try_connection(1)];
    assert!(shared.iter().all(Option::is_some), "pulls that need no store do without the others' leave");
}

#[test]
fn a_plain_layout_of_another_tool_that_cannot_be_written_can_be_read() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    for name in ["blobs/sha256", "ingest", "snapshots", "leases"] {
        fs::create_dir_all(root.join(name)).unwrap();
    }
    for name in ["oci-layout", "index.json", "lock"] {
        fs::write(root.join(name), "{\"imageLayoutVersion\":\"1.0.0\",\"schemaVersion\":2,\"manifests\":[]}").unwrap();
    }
    let frozen = Frozen(root);
    if !frozen.freeze() {
        return;
    }
    let store = Store::open(root).unwrap();
    assert!(store.is_read_only() && store.list().unwrap().is_empty());
    drop(frozen);
    assert!(!Store::open(root).unwrap().is_read_only());
}
