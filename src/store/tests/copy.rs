//! Copies of snapshots outside the store.

use std::fs;
use std::os::unix::fs::symlink;

use super::*;
use crate::listing::{File as Named, Listing, MARKER};
use crate::store::remove_copy;

/// A snapshot with one file in a folder, a link to it, and their listing.
fn snapshot(fixture: &Fixture, content: &str) -> Snapshot {
    let digest = Digest::sha256(content.as_bytes());
    let mut staged = fixture.store.stage_snapshot(&fixture.lease, &digest).unwrap();
    let mut file = staged.create_file("q4/model.gguf", false).unwrap();
    io::Write::write_all(&mut file, content.as_bytes()).unwrap();
    staged.symlink("model.gguf", "q4/model.gguf").unwrap();
    let named = |path: &str| Named { path: path.to_owned(), size: content.len() as u64, blob: digest.clone() };
    let files = vec![named("q4/model.gguf"), named("model.gguf")];
    let (selection, packaging) = (None, String::from("raw"));
    let (entry, mmproj, chat_template) = (None, None, None);
    staged
        .commit(&Listing { digest: digest.clone(), selection, packaging, files, entry, mmproj, chat_template })
        .unwrap()
}

#[test]
fn a_copy_gives_way_to_another_and_the_store_to_neither() {
    let fixture = Fixture::new();
    let (first, second) = (snapshot(&fixture, "first"), snapshot(&fixture, "the second"));
    let directory = fixture.directory.path().join("some/where/models");
    for (snapshot, content) in [(&first, "first"), (&first, "first"), (&second, "the second")] {
        snapshot.copy_to(&directory).unwrap();
        assert_eq!(fs::read_to_string(directory.join("model.gguf")).unwrap(), content);
        assert_eq!(fs::read_dir(directory.parent().unwrap()).unwrap().count(), 1);
    }
    fs::remove_file(directory.join("q4/model.gguf")).unwrap();
    fs::write(directory.join("q4/model.gguf"), "cut").unwrap();
    second.copy_to(&directory).unwrap();
    assert_eq!(fs::read_to_string(directory.join("q4/model.gguf")).unwrap(), "the second");
    assert_eq!(fs::read_to_string(second.path.join("model.gguf")).unwrap(), "the second");
    assert!(remove_copy(&directory).unwrap());
    assert!(!remove_copy(&directory).unwrap());
    assert_eq!(fs::read_dir(directory.parent().unwrap()).unwrap().count(), 0);
}

#[test]
fn only_an_empty_directory_and_an_untouched_copy_give_way() {
    let fixture = Fixture::new();
    let snapshot = snapshot(&fixture, "model");
    let path = |name: &str| fixture.directory.path().join(name);
    fs::create_dir_all(path("full/of")).unwrap();
    fs::write(path("file"), "mine").unwrap();
    symlink(path("store"), path("link")).unwrap();
    snapshot.copy_to(&path("added")).unwrap();
    fs::write(path("added/q4/notes.txt"), "mine").unwrap();
    snapshot.copy_to(&path("broken")).unwrap();
    fs::write(path("broken").join(MARKER), "{").unwrap();
    for name in ["full", "file", "link", "added", "broken"] {
        let error = snapshot.copy_to(&path(name)).unwrap_err();
        assert!(matches!(&error, Error::Occupied { path: named } if *named == path(name)), "{name}: {error}");
        assert!(!remove_copy(&path(name)).unwrap(), "{name}");
        assert!(path(name).symlink_metadata().is_ok(), "{name}");
    }
    assert_eq!(fs::read_to_string(path("added/q4/notes.txt")).unwrap(), "mine");
    fs::create_dir(path("empty")).unwrap();
    assert!(!remove_copy(&path("empty")).unwrap());
    snapshot.copy_to(&path("empty")).unwrap();
    assert!(path("empty/model.gguf").exists());
}
