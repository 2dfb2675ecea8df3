use std::time::{Duration, SystemTime};

use super::*;

fn open(base: &Path, name: &[u8]) -> Staging {
    Staging::open(base, &Digest::sha256(name), || ()).unwrap()
}

fn begin_blob(staging: &Staging, bytes: &[u8]) -> Descriptor {
    let blob = describe(bytes);
    let lease = staging.store().lease(&[]).unwrap();
    let ingest = fetch(staging.store(), &lease, &blob);
    ingest.write_at(0, &[&bytes[..2]]).unwrap();
    ingest.record().unwrap();
    blob
}

#[test]
fn a_staging_that_was_left_is_gone_on_with() {
    let directory = tempfile::tempdir().unwrap();
    let base = directory.path().join("staging");
    let blob = begin_blob(&open(&base, b"a"), b"layer");
    let staging = open(&base, b"a");
    let lease = staging.store().lease(&[]).unwrap();
    assert_eq!(fetch(staging.store(), &lease, &blob).present(), 2);
}

#[test]
fn a_removed_staging_leaves_nothing_but_those_of_others() {
    let directory = tempfile::tempdir().unwrap();
    let base = directory.path().join("staging");
    let (one, other) = (open(&base, b"one"), open(&base, b"other"));
    begin_blob(&one, b"layer");
    one.remove().unwrap();
    assert_eq!(fs::read_dir(&base).unwrap().count(), 2, "its lock and its store");
    other.remove().unwrap();
    assert!(!base.exists());
}

#[test]
fn two_pulls_of_one_artifact_take_turns() {
    let directory = tempfile::tempdir().unwrap();
    let base = directory.path().join("staging");
    let first = open(&base, b"a");
    let (waiting, waits) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        let base = &base;
        let second =
            scope.spawn(move || Staging::open(base, &Digest::sha256(b"a"), || waiting.send(()).unwrap()).unwrap());
        waits.recv().unwrap();
        first.remove().unwrap();
        // The directory it waited for is gone; it has made a new one.
        second.join().unwrap().remove().unwrap();
    });
    assert!(!base.exists());
}

#[test]
fn what_nobody_went_on_with_is_removed_after_a_week() {
    let directory = tempfile::tempdir().unwrap();
    let base = directory.path().join("staging");
    let age = |name: &[u8], days: u64| {
        let lock = base.join(Digest::sha256(name).file_name()).with_extension("lock");
        let time = SystemTime::now() - Duration::from_secs(days * 24 * 3600);
        File::options().write(true).open(lock).unwrap().set_modified(time).unwrap();
    };
    for name in [b"old", b"new"] {
        begin_blob(&open(&base, name), b"layer");
    }
    let held = open(&base, b"held");
    age(b"old", 8);
    age(b"new", 6);
    age(b"held", 8);
    let present = |name: &[u8]| base.join(Digest::sha256(name).file_name()).exists();
    open(&base, b"next").remove().unwrap();
    assert!(!present(b"old") && present(b"new") && present(b"held"));
    held.remove().unwrap();
}

#[test]
fn a_staging_is_not_made_where_its_place_is_gone() {
    let directory = tempfile::tempdir().unwrap();
    let base = directory.path().join("artifacts/staging");
    let error = Staging::open(&base, &Digest::sha256(b"a"), || ()).unwrap_err();
    assert!(matches!(&error, Error::Io { path, .. } if *path == base), "{error:?}");
}
