//! Podman's artifact store as podman 5.8.6 makes it, and what is not taken for it.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::digest::Algorithm;

/// What `podman artifact ls` leaves where nothing was before.
const EMPTY: &str = r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":null}"#;

/// A graph root with an artifact store in it.
struct GraphRoot(tempfile::TempDir);

impl GraphRoot {
    fn empty() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let artifacts = directory.path().join("artifacts");
        fs::create_dir(&artifacts).unwrap();
        fs::write(artifacts.join("index.json"), EMPTY).unwrap();
        fs::write(artifacts.join("index.lock"), "").unwrap();
        Self(directory)
    }

    /// The same after `podman artifact pull` of artifacts with these layers.
    fn with(artifacts: &[&[&Descriptor]]) -> Self {
        let root = Self::empty();
        fs::create_dir_all(root.at("blobs/sha256")).unwrap();
        fs::write(root.at("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
        let manifests: Vec<Descriptor> = artifacts.iter().map(|layers| root.add(layers)).collect();
        let index = serde_json::json!({"schemaVersion": 2, "mediaType": media::OCI_INDEX, "manifests": manifests});
        fs::write(root.at("index.json"), index.to_string()).unwrap();
        root
    }

    fn add(&self, layers: &[&Descriptor]) -> Descriptor {
        let json = serde_json::json!({"schemaVersion": 2, "mediaType": media::OCI_MANIFEST, "layers": layers});
        let manifest = json.to_string();
        fs::write(self.blob(&describe(manifest.as_bytes())), &manifest).unwrap();
        describe(manifest.as_bytes())
    }

    fn at(&self, name: &str) -> std::path::PathBuf {
        self.0.path().join("artifacts").join(name)
    }

    fn blob(&self, blob: &Descriptor) -> std::path::PathBuf {
        self.at("blobs/sha256").join(blob.digest.hex())
    }

    fn open(&self) -> Result<Option<PodmanStore>, Unfamiliar> {
        PodmanStore::open(self.0.path())
    }

    fn store(&self) -> PodmanStore {
        self.open().unwrap().unwrap()
    }

    /// Why it is not taken for podman's, without the path to it.
    fn refusal(&self) -> String {
        self.open().unwrap_err().to_string().replace(self.at("").to_str().unwrap(), "")
    }
}

fn staging(root: &GraphRoot) -> Staging {
    Staging::open(&root.store().staging(), &Digest::sha256(b"manifest"), || ()).unwrap()
}

fn put(staging: &Staging, bytes: &[u8]) -> Descriptor {
    let blob = describe(bytes);
    staging.store().put_blob(&staging.store().lease(&[]).unwrap(), bytes, &blob.digest).unwrap();
    blob
}

#[test]
fn layouts_that_podman_makes_are_known() {
    assert!(GraphRoot::empty().open().unwrap().is_some());
    assert!(GraphRoot::with(&[]).open().unwrap().is_some());
    assert!(GraphRoot::with(&[&[&describe(b"layer")]]).open().unwrap().is_some());
}

#[test]
fn a_podman_that_has_never_used_its_store_has_none() {
    let root = GraphRoot::empty();
    fs::remove_file(root.at("index.lock")).unwrap();
    assert!(root.open().unwrap().is_none());
    fs::remove_dir_all(root.at("")).unwrap();
    assert!(root.open().unwrap().is_none());
    let nowhere = PodmanStore::open(&root.0.path().join("elsewhere")).unwrap_err().to_string();
    assert!(nowhere.ends_with("/elsewhere is no directory here"), "{nowhere}");
}

#[test]
fn layouts_we_do_not_know_are_refused_with_the_reason() {
    type Change = fn(&GraphRoot);
    let cases: [(Change, &str); 12] = [
        (|root| fs::remove_file(root.at("oci-layout")).unwrap(), "oci-layout is not of version 1.0.0"),
        (
            |root| fs::write(root.at("oci-layout"), r#"{"imageLayoutVersion":"2.0.0"}"#).unwrap(),
            "oci-layout is not of version 1.0.0",
        ),
        (|root| fs::remove_file(root.at("index.json")).unwrap(), "index.json does not exist"),
        (|root| fs::write(root.at("index.json"), "").unwrap(), "index.json is no index we know"),
        (|root| fs::write(root.at("index.json"), r#"{"schemaVersion":3}"#).unwrap(), "index.json is no index we know"),
        (
            |root| {
                let list =
                    r#"{"schemaVersion":2,"mediaType":"application/vnd.docker.distribution.manifest.list.v2+json"}"#;
                fs::write(root.at("index.json"), list).unwrap();
            },
            "index.json is no index we know",
        ),
        (
            |root| {
                fs::remove_file(root.at("index.lock")).unwrap();
                fs::create_dir(root.at("index.lock")).unwrap();
            },
            "index.lock is no file",
        ),
        (|root| fs::remove_dir_all(root.at("blobs")).unwrap(), "blobs does not exist"),
        (|root| fs::rename(root.at("blobs/sha256"), root.at("blobs/sha512")).unwrap(), "blobs/sha256 does not exist"),
        (|root| link(root, "blobs/sha256"), "blobs/sha256 is a symbolic link"),
        (|root| link(root, "index.json"), "index.json is a symbolic link"),
        (
            |root| {
                fs::remove_dir_all(root.at("blobs/sha256")).unwrap();
                fs::write(root.at("blobs/sha256"), "").unwrap();
            },
            "blobs/sha256 is no directory",
        ),
    ];
    for (change, reason) in cases {
        let root = GraphRoot::with(&[&[&describe(b"layer")]]);
        change(&root);
        assert_eq!(root.refusal(), reason);
    }
}

/// Puts a link to what was there in its place.
fn link(root: &GraphRoot, name: &str) {
    fs::rename(root.at(name), root.at("elsewhere")).unwrap();
    symlink(root.at("elsewhere"), root.at(name)).unwrap();
}

#[test]
fn a_store_of_somebody_else_is_refused() {
    let root = GraphRoot::empty();
    if chown(root.at("index.lock"), Some(4711), None).is_err() {
        return;
    }
    assert_eq!(root.refusal(), "index.lock belongs to another user");
}

#[test]
fn a_staged_blob_moves_to_where_podman_looks_for_it() {
    for root in [GraphRoot::empty(), GraphRoot::with(&[])] {
        let (store, staging) = (root.store(), staging(&root));
        let blob = put(&staging, b"layer");
        assert!(store.lacks(&blob));
        store.lock(|| ()).unwrap().put(staging.store(), std::slice::from_ref(&blob)).unwrap();
        assert!(!store.lacks(&blob));
        assert_eq!(fs::read(root.blob(&blob)).unwrap(), b"layer");
        assert_eq!(fs::metadata(root.blob(&blob)).unwrap().permissions().mode() & 0o777, 0o644);
        assert!(!staging.store().blob_path(&blob.digest).exists());
        staging.remove().unwrap();
        assert!(!store.staging().exists());
        assert!(root.open().unwrap().is_some());
    }
}

#[test]
fn a_blob_of_the_wrong_size_is_replaced_and_a_right_one_is_left_alone() {
    let root = GraphRoot::with(&[]);
    let (store, staging) = (root.store(), staging(&root));
    let blob = put(&staging, b"layer");
    fs::write(root.blob(&blob), "lay").unwrap();
    store.lock(|| ()).unwrap().put(staging.store(), std::slice::from_ref(&blob)).unwrap();
    assert_eq!(fs::read(root.blob(&blob)).unwrap(), b"layer");
    let (other, again) = (describe(b"other"), put(&staging, b"layer"));
    fs::write(root.blob(&other), b"other").unwrap();
    store.lock(|| ()).unwrap().put(staging.store(), &[other, again.clone()]).unwrap();
    assert!(staging.store().has_blob(&again).unwrap());
}

#[test]
fn what_podman_cannot_keep_under_that_name_is_left_to_it() {
    let digest = Digest::of(Algorithm::Sha512, b"layer");
    assert!(!GraphRoot::empty().store().lacks(&Descriptor::new("", digest, 5)));
}

#[test]
fn only_what_no_artifact_refers_to_is_taken_back() {
    let (used, unused) = (describe(b"used"), describe(b"unused"));
    let root = GraphRoot::with(&[&[&used], &[&describe(b"another")]]);
    let (store, staging) = (root.store(), staging(&root));
    fs::write(root.blob(&used), b"used").unwrap();
    fs::write(root.blob(&unused), b"unused").unwrap();
    let both = [used.clone(), unused.clone()];
    store.lock(|| ()).unwrap().take_back(staging.store(), &both).unwrap();
    assert!(root.blob(&used).exists() && !root.blob(&unused).exists());
    assert!(staging.store().has_blob(&unused).unwrap());
    // Where one manifest is missing, nobody knows what it referred to.
    let root = GraphRoot::with(&[&[&used]]);
    fs::remove_dir_all(root.at("blobs/sha256")).unwrap();
    fs::create_dir(root.at("blobs/sha256")).unwrap();
    fs::write(root.blob(&unused), b"unused").unwrap();
    root.store().lock(|| ()).unwrap().take_back(staging.store(), &both).unwrap();
    assert!(root.blob(&unused).exists());
}

/// Not a test: another process that holds the lock until its standard input ends.
#[test]
#[ignore = "run by the test below as a process of its own"]
fn holder() {
    let mut lines = std::io::stdin().lines();
    let Some(Ok(graph_root)) = lines.next() else { return };
    let store = PodmanStore::open(Path::new(&graph_root)).unwrap().unwrap();
    let _lock = store.lock(|| ()).unwrap();
    println!("locked");
    assert!(lines.next().is_none());
}

#[test]
fn the_lock_is_waited_for_between_processes_and_between_threads() {
    let root = GraphRoot::empty();
    let mut holder = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "store::tests::podman::holder", "--ignored", "--nocapture"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = holder.stdin.take().unwrap();
    writeln!(stdin, "{}", root.0.path().display()).unwrap();
    let mut said = BufReader::new(holder.stdout.take().unwrap()).lines();
    assert!(said.any(|line| line.unwrap().contains("locked")));
    let (store, waited) = (root.store(), AtomicBool::new(false));
    let release = || {
        waited.store(true, Ordering::Relaxed);
        drop(stdin);
    };
    let lock = store.lock(release).unwrap();
    assert!(waited.load(Ordering::Relaxed));
    assert!(holder.wait().unwrap().success());
    let is_free = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let other = scope.spawn(|| {
            let _lock = store.lock(|| ()).unwrap();
            assert!(is_free.load(Ordering::Relaxed));
        });
        std::thread::sleep(std::time::Duration::from_millis(50));
        is_free.store(true, Ordering::Relaxed);
        drop(lock);
        other.join().unwrap();
    });
}
