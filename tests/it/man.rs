//! The pages in `man/` and the completions are what the program would print now.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::common::Home;

fn pages(directory: &Path) -> BTreeMap<String, String> {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let pages = entries.filter(|path| path.extension().is_some_and(|extension| extension == "1"));
    pages
        .map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), fs::read_to_string(path).unwrap()))
        .collect()
}

#[test]
fn man_pages_are_in_step_with_the_program() {
    let home = Home::new();
    let written = home.path("man");
    fs::create_dir(&written).unwrap();
    home.artishim(&["man", written.to_str().unwrap()]).success();
    let committed = Path::new(env!("CARGO_MANIFEST_DIR")).join("man");
    let (committed, written) = (pages(&committed), pages(&written));
    assert!(committed.keys().eq(written.keys()), "other pages: write them again with artishim man man");
    for (name, page) in &written {
        assert!(committed[name] == *page, "{name} says something else: write it again with artishim man man");
    }
}

#[test]
fn completions_know_the_commands() {
    for shell in ["bash", "zsh", "fish"] {
        let script = Home::new().artishim(&["completions", shell]).success();
        assert!(script.contains("artishim") && script.contains("engines"), "{shell}");
    }
}
