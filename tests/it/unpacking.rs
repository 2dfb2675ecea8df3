//! Archives: unpacked while they arrive, shown when verified, refused before they have a name.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use artishim::digest::Digest;
use serde_json::json;

use crate::common::registry::{Fault, Place, Registry, Tags, What};
use crate::common::{Home, MANIFEST, MODELPACK, assert_sound, bytes, layer, push};

const LONG: Duration = Duration::from_secs(600);
/// Two ranges and more.
const LARGE: usize = 9_000_000;

fn tar(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (path, content) in files {
        let mut header = tar::Header::new_ustar();
        // Not by `set_path`, which refuses what a hostile producer writes.
        header.as_ustar_mut().unwrap().name[..path.len()].copy_from_slice(path.as_bytes());
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        header.set_cksum();
        builder.append(&header, *content).unwrap();
    }
    builder.into_inner().unwrap()
}

/// Pushes a ModelPack of one tar and, behind it, one plain file.
fn packed(registry: &Registry, tar: &[u8]) -> String {
    let weights = layer(registry, "application/vnd.cncf.model.weight.v1.tar", tar, &json!({}));
    let title = json!({"org.cncf.model.filepath": "README.md"});
    let readme = layer(registry, "application/vnd.cncf.model.doc.v1.raw", b"# Packed", &title);
    let config = layer(registry, "application/vnd.cncf.model.config.v1+json", b"{}", &json!({}));
    let manifest = json!({
        "schemaVersion": 2, "mediaType": MANIFEST, "artifactType": MODELPACK,
        "config": config, "layers": [weights, readme],
    });
    push(registry, "acme/packed", &manifest)
}

/// The names in a folder of the store.
fn names(home: &Home, folder: &str) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(home.store().join(folder)) else { return Vec::new() };
    entries.map(|entry| entry.unwrap().path()).collect()
}

fn holds(folder: &Path, file: &str, content: &[u8]) -> bool {
    fs::read(folder.join(file)).is_ok_and(|read| read == content)
}

#[test]
fn an_archive_is_unpacked_while_it_arrives_and_not_shown_before_its_end() {
    let (home, registry) = (Home::new(), Registry::start());
    let (first, second) = (bytes(1, 1_000_000), bytes(2, 1_000_000));
    let tar = tar(&[("first.bin", &first), ("second.bin", &second)]);
    let reference = packed(&registry, &tar);
    registry.fault(Fault::once(Digest::sha256(&tar).to_string(), What::Stall { after: 1_500_000, pause: LONG }));
    let mut pull = home.spawn(&["pull", &reference]);
    let begun = Instant::now();
    while !names(&home, "snapshots").iter().any(|staged| holds(staged, "first.bin", &first)) {
        assert!(begun.elapsed() < Duration::from_secs(10), "the first file waits for the second");
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(names(&home, "snapshots").iter().all(|path| path.file_name().unwrap().to_str().unwrap().starts_with('.')));
    pull.kill().unwrap();
    pull.wait().unwrap();
    assert_eq!(home.artishim(&["ls", "--noheading"]).success(), "");
    let entry = home.artishim(&["path", "--json", &reference]).success();
    let answer: serde_json::Value = serde_json::from_str(&entry).unwrap();
    let snapshot = Path::new(answer["snapshot"].as_str().unwrap());
    assert!(holds(snapshot, "first.bin", &first) && holds(snapshot, "second.bin", &second));
    assert!(holds(snapshot, "README.md", b"# Packed"));
    assert_sound(&home.store());
}

#[test]
fn an_archive_that_is_refused_gets_neither_name_nor_snapshot() {
    let (home, registry) = (Home::new(), Registry::start());
    let reference = packed(&registry, &tar(&[("fine.bin", b"fine"), ("../../../escaped", b"x"), ("a/../b", b"x")]));
    let error = home.artishim(&["pull", "--quiet", &reference]).failure();
    assert!(error.contains("\"a/../b\" is refused"), "{error}");
    assert_eq!(home.artishim(&["ls", "--noheading"]).success(), "");
    assert_eq!(names(&home, "snapshots"), Vec::<PathBuf>::new());
}

#[test]
fn an_archive_that_is_fetched_again_is_unpacked_from_what_was_verified() {
    let (home, registry) = (Home::new(), Registry::start());
    let large = bytes(3, LARGE);
    let reference = packed(&registry, &tar(&[("large.bin", &large)]));
    registry.tag_blobs(Tags::Strong);
    registry.fault(Fault::once("/blobs/", What::Changed).at(Place::Parts).after(1));
    home.artishim(&["pull", &reference]).success();
    assert!(holds(&names(&home, "snapshots").into_iter().find(|path| path.is_dir()).unwrap(), "large.bin", &large));
    assert_sound(&home.store());
}

/// The wrong bytes are noted by a pull that is killed, the next one unpacks them, and only then finds out.
#[test]
fn a_snapshot_is_never_made_of_what_an_earlier_pull_left_damaged() {
    let (home, registry) = (Home::new(), Registry::start());
    let large = bytes(5, 3 * LARGE);
    let tar = tar(&[("large.bin", &large)]);
    let reference = packed(&registry, &tar);
    let rest = |what| Fault::always(Digest::sha256(&tar).to_string(), what).at(Place::StartsIn(20_000_000..u64::MAX));
    registry.fault(rest(What::Late(Duration::from_millis(500))));
    registry.fault(rest(What::status(404)));
    home.artishim(&["pull", "--quiet", &reference]).failure();
    let staged = names(&home, "ingest").into_iter().find(|path| path.extension().is_none()).unwrap();
    let mut damaged = fs::read(&staged).unwrap();
    damaged[5000] ^= 1;
    fs::write(&staged, damaged).unwrap();
    registry.clear_faults();
    home.artishim(&["pull", "--quiet", &reference]).success();
    assert!(holds(&names(&home, "snapshots").into_iter().find(|path| path.is_dir()).unwrap(), "large.bin", &large));
    assert_sound(&home.store());
}

#[test]
fn an_archive_of_the_store_that_was_damaged_is_not_unpacked() {
    let (home, registry) = (Home::new(), Registry::start());
    let tar = tar(&[("first.bin", &bytes(1, 1000))]);
    let reference = packed(&registry, &tar);
    home.artishim(&["pull", &reference]).success();
    names(&home, "snapshots").iter().filter(|path| path.is_dir()).for_each(|path| fs::remove_dir_all(path).unwrap());
    let blob = home.store().join("blobs/sha256").join(Digest::sha256(&tar).hex());
    let mut damaged = tar.clone();
    damaged[600] ^= 1;
    fs::remove_file(&blob).unwrap();
    fs::write(&blob, damaged).unwrap();
    let error = home.artishim(&["pull", "--quiet", &reference]).failure();
    assert!(error.contains("wrong content"), "{error}");
    assert!(names(&home, "snapshots").iter().all(|path| !path.is_dir()));
}

#[test]
fn what_is_unpacked_is_not_unpacked_again() {
    let (home, registry) = (Home::new(), Registry::start());
    let reference = packed(&registry, &tar(&[("first.bin", &bytes(1, 1000))]));
    home.artishim(&["pull", &reference]).success();
    let snapshot = names(&home, "snapshots").into_iter().find(|path| path.is_dir()).unwrap();
    let made = fs::metadata(snapshot.join("first.bin")).unwrap().ino();
    home.artishim(&["pull", &reference]).success();
    assert_eq!(fs::metadata(snapshot.join("first.bin")).unwrap().ino(), made);
}

#[test]
fn an_archive_of_wrong_bytes_is_told_as_such() {
    let (home, registry) = (Home::new(), Registry::start());
    let tar = tar(&[("large.bin", &bytes(4, LARGE))]);
    let reference = packed(&registry, &tar);
    // In the name of the only member.
    registry.fault(Fault::always(Digest::sha256(&tar).to_string(), What::WrongByte(1)));
    let error = home.artishim(&["pull", "--quiet", &reference]).failure();
    assert!(error.contains("wrong content"), "{error}");
    assert_eq!(names(&home, "snapshots"), Vec::<PathBuf>::new());
    assert_eq!(home.artishim(&["ls", "--noheading"]).success(), "");
}
