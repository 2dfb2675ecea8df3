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
        snapshot.copy_to(&directory, "me").unwrap();
        assert_eq!(fs::read_to_string(directory.join("model.gguf")).unwrap(), content);
        assert_eq!(fs::read_dir(directory.parent().unwrap()).unwrap().count(), 1);
    }
    fs::remove_file(directory.join("q4/model.gguf")).unwrap();
    second.copy_to(&directory, "me").unwrap();
    assert_eq!(fs::read_to_string(directory.join("q4/model.gguf")).unwrap(), "the second");
    assert_eq!(fs::read_to_string(second.path.join("model.gguf")).unwrap(), "the second");
    assert!(remove_copy(&directory, "me").unwrap());
    assert!(!remove_copy(&directory, "me").unwrap());
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
    snapshot.copy_to(&path("added"), "me").unwrap();
    fs::write(path("added/q4/notes.txt"), "mine").unwrap();
    snapshot.copy_to(&path("broken"), "me").unwrap();
    fs::write(path("broken").join(MARKER), "{").unwrap();
    snapshot.copy_to(&path("written"), "me").unwrap();
    let written = fs::File::options().append(true).open(path("written/q4/model.gguf"));
    // Root may, whatever the mode; for others it is made anew as an editor does.
    written.and_then(|mut file| io::Write::write_all(&mut file, b"x")).unwrap_or_else(|_| {
        fs::remove_file(path("written/q4/model.gguf")).unwrap();
        fs::write(path("written/q4/model.gguf"), "edited").unwrap();
    });
    for name in ["full", "file", "link", "added", "broken", "written"] {
        let error = snapshot.copy_to(&path(name), "me").unwrap_err();
        assert!(matches!(&error, Error::Occupied { path: named } if *named == path(name)), "{name}: {error}");
        assert!(!remove_copy(&path(name), "me").unwrap(), "{name}");
        assert!(path(name).symlink_metadata().is_ok(), "{name}");
    }
    assert_eq!(fs::read_to_string(path("added/q4/notes.txt")).unwrap(), "mine");
    let error =
        snapshot.copy_to(&path("mine"), "me").and_then(|()| snapshot.copy_to(&path("mine"), "you")).unwrap_err();
    assert!(matches!(&error, Error::Owned { owner, .. } if owner == "me"), "{error}");
    assert!(!remove_copy(&path("mine"), "you").unwrap() && path("mine/model.gguf").exists());
    fs::create_dir(path("empty")).unwrap();
    assert!(!remove_copy(&path("empty"), "me").unwrap());
    snapshot.copy_to(&path("empty"), "me").unwrap();
    assert!(path("empty/model.gguf").exists());
}
