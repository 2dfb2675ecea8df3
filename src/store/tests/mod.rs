//! What any store must do, one sentence per test; separate handles behave as separate processes.

mod copy;
mod gc;
mod index;
mod ingest;
mod kill;
mod podman;
mod read_only;
mod snapshot;
mod staging;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use super::*;
use crate::media;
use crate::reference::Reference;

/// A store in a directory of its own, and a lease in it.
struct Fixture {
    store: Store,
    lease: Lease,
    directory: tempfile::TempDir,
}

impl Fixture {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(&directory.path().join("store")).unwrap();
        let lease = store.lease(&[]).unwrap();
        Self { store, lease, directory }
    }

    /// The same store, as another process opens it.
    fn reopen(&self) -> Store {
        Store::open(self.store.root()).unwrap()
    }

    fn put(&self, bytes: &[u8]) -> Descriptor {
        let blob = describe(bytes);
        self.store.put_blob(&self.lease, bytes, &blob.digest).unwrap();
        blob
    }

    fn fetch(&self, blob: &Descriptor) -> Box<Ingest> {
        fetch(&self.store, &self.lease, blob)
    }

    /// Puts a manifest with these layers.
    fn manifest(&self, layers: &[&Descriptor]) -> Descriptor {
        let json = serde_json::json!({"schemaVersion": 2, "mediaType": media::OCI_MANIFEST, "layers": layers});
        Descriptor { media_type: media::OCI_MANIFEST.to_owned(), ..self.put(json.to_string().as_bytes()) }
    }

    fn tag(&self, name: &str, manifest: &Descriptor) {
        self.store.tag(&self.store.exclusive().unwrap(), &reference(name), manifest.clone()).unwrap();
    }

    fn names(&self) -> BTreeSet<String> {
        self.store.list().unwrap().into_iter().filter_map(|entry| entry.name).collect()
    }
}

fn fetch(store: &Store, lease: &Lease, blob: &Descriptor) -> Box<Ingest> {
    match store.try_ingest(lease, blob).unwrap() {
        Some(Claim::Fetch(ingest)) => ingest,
        other => panic!("{other:?}"),
    }
}

fn describe(bytes: &[u8]) -> Descriptor {
    Descriptor::new("application/octet-stream", Digest::sha256(bytes), bytes.len() as u64)
}

fn reference(name: &str) -> Reference {
    name.parse().unwrap()
}

/// Bytes that differ at every offset and for every `seed`.
fn content(seed: u64, length: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(length + 8);
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    while bytes.len() < length {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        bytes.extend(state.to_be_bytes());
    }
    bytes.truncate(length);
    bytes
}

fn is_empty(directory: &Path) -> bool {
    fs::read_dir(directory).unwrap().next().is_none()
}

#[test]
fn a_new_store_is_an_oci_layout_everybody_can_read() {
    use std::os::unix::fs::PermissionsExt;
    let fixture = Fixture::new();
    let root = fixture.store.root();
    let layout: serde_json::Value = serde_json::from_slice(&fs::read(root.join("oci-layout")).unwrap()).unwrap();
    assert_eq!(layout["imageLayoutVersion"], "1.0.0");
    let index: serde_json::Value = serde_json::from_slice(&fs::read(root.join("index.json")).unwrap()).unwrap();
    assert_eq!(index["schemaVersion"], 2);
    assert_eq!(index["mediaType"], media::OCI_INDEX);
    assert_eq!(index["manifests"], serde_json::json!([]));
    let mode = |name: &str| fs::metadata(root.join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode("blobs/sha256"), 0o755);
    assert_eq!(mode("index.json"), 0o644);
    let blob = fixture.put(b"x");
    assert_eq!(fs::metadata(fixture.store.blob_path(&blob.digest)).unwrap().permissions().mode() & 0o777, 0o444);
}

#[test]
fn a_directory_with_other_things_is_no_store() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("thesis.tex"), "x").unwrap();
    assert!(matches!(Store::open(directory.path()), Err(Error::NotAStore { .. })));
    let file = directory.path().join("thesis.tex");
    assert!(matches!(Store::open(&file), Err(Error::NotAStore { .. })));
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
}

#[test]
fn an_empty_directory_becomes_a_store_also_after_a_crash_at_its_first_step() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join(".oci-layout.tmp"), "{").unwrap();
    let store = Store::open(directory.path()).unwrap();
    assert!(store.list().unwrap().is_empty());
}

#[test]
fn a_layout_of_another_version_is_refused() {
    for layout in ["{\"imageLayoutVersion\":\"2.0.0\"}", "{}", ""] {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("oci-layout"), layout).unwrap();
        assert!(matches!(Store::open(directory.path()), Err(Error::LayoutVersion { .. })), "{layout}");
    }
}

#[test]
fn eight_processes_may_make_the_store_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("a/b/store");
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| Store::open(&root).unwrap().list().unwrap());
        }
    });
}

#[test]
fn a_blob_is_read_only_if_it_is_what_its_digest_says() {
    let fixture = Fixture::new();
    let blob = fixture.put(b"{}");
    assert_eq!(fixture.store.read_blob(&blob).unwrap(), b"{}");
    let path = fixture.store.blob_path(&blob.digest);
    fs::remove_file(&path).unwrap();
    assert!(matches!(fixture.store.read_blob(&blob), Err(Error::NoBlob { .. })));
    fs::write(&path, "[]").unwrap();
    assert!(matches!(fixture.store.read_blob(&blob), Err(Error::Mismatch(Mismatch::Digest { .. }))));
    assert!(matches!(fixture.store.manifest(&blob.digest), Err(Error::Mismatch(_))));
    fs::write(&path, "[").unwrap();
    assert!(!fixture.store.has_blob(&blob).unwrap());
    assert!(matches!(fixture.store.open_blob(&blob), Err(Error::Mismatch(Mismatch::Size { .. }))));
    fixture.put(b"{}");
    assert_eq!(fixture.store.read_blob(&blob).unwrap(), b"{}");
}
