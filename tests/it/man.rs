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

#[test]
fn the_page_of_the_program_names_every_variable_and_every_key() {
    let source = |file: &str| fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap();
    let (page, config) = (source("man/artishim.1").replace("\\-", "-"), source("src/config.rs"));
    let constants = config.lines().filter_map(|line| line.strip_prefix("pub const ")?.split('"').nth(1));
    let keys = "accelerate authfile connections deliver engine store".split(' ');
    let names: Vec<&str> = constants.chain(keys).collect();
    assert!(names.len() > 15, "{names:?}");
    for name in names {
        assert!(page.contains(&format!("\\fB{name}\\fR")), "artishim.1 does not explain {name}");
    }
}
