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
        assert!(script.contains("logout") && script.contains("get-login"), "{shell}");
    }
}

#[test]
fn page_of_the_store_names_every_file_of_it() {
    let source = |file: &str| fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap();
    let (page, code) = (source("man/artishim-store.5").replace("\\-", "-"), source("src/store/mod.rs"));
    let listed = code.split("//! ```").nth(1).unwrap().lines().filter_map(|line| line.strip_prefix("//! "));
    let paths: Vec<String> = listed
        .filter_map(|line| line.split_whitespace().next())
        .map(|path| path.replace("<alg>", "ALGORITHM").replace("<hex>", "HEX").replace("<name>", "NAME"))
        .map(|path| path.replace("<process>", "PROCESS").replace("<n>", "N"))
        .filter(|path| !path.contains("/."))
        .collect();
    assert!(paths.len() > 8, "{paths:?}");
    for path in paths {
        assert!(page.contains(&format!("\\fI{path}\\fR")), "artishim-store.5 does not explain {path}");
    }
}

/// bash is asked as it asks a script: with the line and the words, cut at the colons.
#[test]
fn completions_know_the_names_in_the_store() {
    let home = Home::new();
    fs::write(home.path("a"), "a").unwrap();
    let file = home.path("a").display().to_string();
    for name in ["quay.io/acme/llama:8b", "quay.io/acme/llama:70b", "quay.io/other/m:1"] {
        home.artishim(&["add", name, &file]).success();
    }
    fs::write(home.path("script"), home.artishim(&["completions", "bash"]).success()).unwrap();
    let ask = |line: &str, words: &str| {
        let script = format!(
            "source {}; COMP_LINE='{line}' COMP_POINT={} COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
            _artishim_with_names artishim \"${{COMP_WORDS[COMP_CWORD]}}\" x; echo \"${{COMPREPLY[@]}}\"",
            home.path("script").display(),
            line.len()
        );
        let program = Path::new(env!("CARGO_BIN_EXE_artishim")).parent().unwrap();
        let mut command = std::process::Command::new("bash");
        command.args(["--norc", "-c", &script]).env("ARTISHIM_STORE", home.store()).env("ARTISHIM_ENGINE", "none");
        command.env("PATH", format!("{}:/usr/bin:/bin", program.display()));
        String::from_utf8(command.output().unwrap().stdout).unwrap().trim().to_owned()
    };
    assert_eq!(
        ask("artishim push quay.io/acme", "artishim push quay.io/acme"),
        "quay.io/acme/llama:8b quay.io/acme/llama:70b"
    );
    assert_eq!(ask("artishim rm quay.io/acme/llama:7", "artishim rm quay.io/acme/llama : 7"), "70b");
    assert!(ask("artishim push --q", "artishim push --q").contains("--quiet"));
    let zsh = home.artishim(&["completions", "zsh"]).success();
    assert!(zsh.starts_with("#compdef artishim\n") && zsh.matches(":_artishim_names'").count() > 8, "{zsh}");
    assert!(home.artishim(&["completions", "fish"]).success().contains("artishim ls --noheading"));
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
