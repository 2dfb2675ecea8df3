use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use super::*;
use crate::listing::Listing;

pub(super) fn listing(digest: &Digest) -> Listing {
    let digest = digest.clone();
    Listing {
        digest,
        selection: None,
        packaging: "test".to_owned(),
        files: vec![],
        entry: None,
        mmproj: None,
        chat_template: None,
    }
}

impl Fixture {
    pub(super) fn make_snapshot(&self, manifest: &Descriptor, blob: &Descriptor) -> Snapshot {
        let mut staged = self.store.stage_snapshot(&self.lease, &manifest.digest).unwrap();
        staged.link_blob("models/model.gguf", blob).unwrap();
        staged.commit(&listing(&manifest.digest)).unwrap()
    }

    fn stage(&self) -> StagedSnapshot {
        self.store.stage_snapshot(&self.lease, &Digest::sha256(b"manifest")).unwrap()
    }
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn a_snapshot_has_all_files_read_only_and_no_second_copy_of_a_blob() {
    let fixture = Fixture::new();
    let blob = fixture.put(&content(1, 10_000));
    let digest = Digest::sha256(b"manifest");
    let mut staged = fixture.stage();
    staged.create_dir("empty/er").unwrap();
    staged.link_blob("model.gguf", &blob).unwrap();
    staged.link_blob("deep/er/model.gguf", &blob).unwrap();
    staged.create_file("deep/template.jinja", false).unwrap().write_all(b"{{ x }}").unwrap();
    staged.symlink("deep/link", "../model.gguf").unwrap();
    assert!(fixture.store.snapshot(&digest).unwrap().is_none());
    let made = staged.commit(&listing(&digest)).unwrap();
    let found = fixture.reopen().snapshot(&digest).unwrap().unwrap();
    assert_eq!((&found.path, &found.listing), (&made.path, &listing(&digest)));
    let at = |path: &str| found.path.join(path);
    let inode = |path: &Path| fs::metadata(path).unwrap().ino();
    let original = fixture.store.blob_path(&blob.digest);
    assert_eq!([inode(&at("model.gguf")), inode(&at("deep/er/model.gguf"))], [inode(&original); 2]);
    assert_eq!(fs::read(at("deep/link")).unwrap(), content(1, 10_000));
    assert_eq!(fs::read(at("deep/template.jinja")).unwrap(), b"{{ x }}");
    assert_eq!([mode(&at("deep/template.jinja")), mode(&at("model.gguf"))], [0o444; 2]);
    assert_eq!([mode(&found.path), mode(&at("deep/er")), mode(&at("empty/er"))], [0o755; 3]);
    assert_eq!(fs::read_dir(fixture.store.root().join("snapshots")).unwrap().count(), 2);
}

#[test]
fn only_files_marked_as_such_are_executable() {
    let fixture = Fixture::new();
    let mut staged = fixture.stage();
    for (path, executable) in [("run.sh", true), ("model.gguf", false), ("was.sh", true), ("was.sh", false)] {
        staged.create_file(path, executable).unwrap();
    }
    let made = staged.commit(&listing(&Digest::sha256(b"manifest"))).unwrap();
    let modes = ["run.sh", "model.gguf", "was.sh"].map(|path| mode(&made.path.join(path)));
    assert_eq!(modes, [0o555, 0o444, 0o444]);
}

#[test]
fn a_later_file_takes_the_place_of_an_earlier_one() {
    let fixture = Fixture::new();
    let blob = fixture.put(b"blob");
    let mut staged = fixture.stage();
    staged.create_file("a", false).unwrap().write_all(b"first").unwrap();
    staged.link_blob("a", &blob).unwrap();
    staged.symlink("b", "a").unwrap();
    staged.create_file("b", false).unwrap().write_all(b"second").unwrap();
    staged.create_file("c", false).unwrap();
    staged.symlink("c", "a").unwrap();
    let made = staged.commit(&listing(&Digest::sha256(b"manifest"))).unwrap();
    let read = |name: &str| fs::read(made.path.join(name)).unwrap();
    assert_eq!((read("a"), read("b"), read("c")), (b"blob".to_vec(), b"second".to_vec(), b"blob".to_vec()));
    assert_eq!(fs::read(fixture.store.blob_path(&blob.digest)).unwrap(), b"blob");
}

#[test]
fn attempts_to_leave_a_snapshot_are_refused() {
    let fixture = Fixture::new();
    let blob = fixture.put(b"blob");
    let mut staged = fixture.stage();
    staged.create_dir("d").unwrap();
    staged.create_file("file", false).unwrap();
    staged.symlink("link", "d").unwrap();
    let outside = fixture.directory.path().join("outside");
    let absolute = outside.to_str().unwrap();
    for path in ["", "/a", absolute, "..", "../outside", "d/../../outside", "d//a", "link/a", "link/../a", "file/a"] {
        let refused =
            |result: Result<()>| assert!(matches!(result, Err(Error::UnsafePath { .. })), "{path}: {result:?}");
        refused(staged.create_dir(path));
        refused(staged.link_blob(path, &blob));
        refused(staged.create_file(path, false).map(drop));
        refused(staged.symlink(path, "d"));
    }
    for target in [absolute, "..", "../..", "d/../../x", "../d"] {
        assert!(matches!(staged.symlink("escape", target), Err(Error::UnsafePath { .. })), "{target}");
    }
    // A link put there behind our back is not followed either.
    std::os::unix::fs::symlink(fixture.directory.path(), staged.path().join("planted")).unwrap();
    assert!(matches!(staged.create_file("planted/outside", false), Err(Error::UnsafePath { .. })));
    staged.create_file("planted", false).unwrap();
    assert!(!outside.exists());
}

#[test]
fn a_snapshot_given_up_leaves_nothing() {
    let fixture = Fixture::new();
    let mut staged = fixture.stage();
    staged.create_file("deep/a", false).unwrap();
    drop(staged);
    assert!(is_empty(&fixture.store.root().join("snapshots")));
}

#[test]
fn of_two_makers_the_first_wins_and_both_have_it() {
    let fixture = Fixture::new();
    let digest = Digest::sha256(b"manifest");
    let (mut first, mut second) = (fixture.stage(), fixture.stage());
    first.create_file("first", false).unwrap();
    second.create_file("second", false).unwrap();
    let first = first.commit(&listing(&digest)).unwrap();
    let other = Listing { packaging: "other".to_owned(), ..listing(&digest) };
    let second = second.commit(&other).unwrap();
    assert_eq!((&second.path, &second.listing), (&first.path, &first.listing));
    assert!(first.path.join("first").exists() && !first.path.join("second").exists());
    assert_eq!(fs::read_dir(fixture.store.root().join("snapshots")).unwrap().count(), 2);
}

#[test]
fn half_a_snapshot_is_none_and_the_next_commit_makes_it_whole() {
    let fixture = Fixture::new();
    let digest = Digest::sha256(b"manifest");
    let json = fixture.store.listing_path(&digest);
    fs::write(&json, serde_json::to_vec(&listing(&digest)).unwrap()).unwrap();
    assert!(fixture.store.snapshot(&digest).unwrap().is_none());
    let mut staged = fixture.stage();
    staged.create_file("a", false).unwrap();
    staged.commit(&listing(&digest)).unwrap();
    assert!(fixture.store.snapshot(&digest).unwrap().is_some());
    fs::write(&json, "{\"of\": \"another version\"}").unwrap();
    assert!(fixture.store.snapshot(&digest).unwrap().is_none());
    let made = fixture.stage().commit(&listing(&digest)).unwrap();
    assert!(made.path.join("a").exists());
    assert!(fixture.store.snapshot(&digest).unwrap().is_some());
}

#[test]
fn a_blob_that_is_not_here_cannot_be_linked() {
    let fixture = Fixture::new();
    let linked = fixture.stage().link_blob("a", &describe(b"nowhere"));
    assert!(matches!(linked, Err(Error::NoBlob { .. })));
}
