//! The arrows between modules, and the single owner of each outside thing.

use std::fs;
use std::path::{Path, PathBuf};

/// Each module of `src/` with its level; a module may use its own and lower levels, and what [`SIDEWAYS`] adds.
const LEVELS: [(&str, u8); 33] = [
    ("digest", 0),
    ("gguf", 0),
    ("listing", 0),
    ("manifest", 0),
    ("media", 0),
    ("mount", 0),
    ("progress", 0),
    ("policy", 0),
    ("ranges", 0),
    ("reference", 0),
    ("registries_conf", 0),
    ("registries_d", 0),
    ("signature", 0),
    ("strict", 0),
    ("template", 0),
    ("config", 1),
    ("engine", 1),
    ("packaging", 1),
    ("process", 1),
    ("registry", 1),
    ("rewrite", 1),
    ("store", 1),
    ("pull", 2),
    ("push", 2),
    ("oci_archive", 2),
    ("add", 2),
    ("checkout", 2),
    ("deliver", 2),
    ("driver", 2),
    ("doctor", 2),
    ("model", 2),
    ("cmd", 3),
    ("ui", 3),
];

/// What modules of one level may use of each other.
const SIDEWAYS: [(&str, &[&str]); 12] = [
    ("engine", &["process"]),
    ("registry", &["process"]),
    ("pull", &[]),
    ("push", &["pull"]),
    ("oci_archive", &["pull"]),
    ("add", &["model", "pull"]),
    ("checkout", &["pull"]),
    ("deliver", &["checkout", "pull"]),
    ("driver", &["checkout", "pull"]),
    ("model", &["pull"]),
    ("doctor", &["pull"]),
    ("cmd", &["ui"]),
];

/// Words that may stand in one file, or one folder, only: the owner of the thing they touch.
const OWNERS: [(&str, &[&str]); 7] = [
    ("reqwest::", &["registry/http/"]),
    ("bollard::", &["engine/docker"]),
    ("process::Command", &["process.rs"]),
    ("env::var", &["config.rs"]),
    ("fs::rename", &["store/"]),
    ("env::args", &["main.rs"]),
    ("env::current", &["config.rs"]),
];

fn sources() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut folders = vec![root.clone()];
    let mut sources = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path: PathBuf = entry.unwrap().path();
            if path.file_stem().is_some_and(|stem| stem.to_string_lossy().ends_with("tests")) {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
                sources.push((name, without_tests(&fs::read_to_string(&path).unwrap())));
            }
        }
    }
    assert!(sources.len() > 30, "the walk found only {} files", sources.len());
    sources
}

/// The code up to the unit tests, without comments.
fn without_tests(text: &str) -> String {
    let code = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
    code.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

fn module(file: &str) -> &str {
    file.split(['/', '.']).next().unwrap()
}

fn level(module: &str) -> u8 {
    LEVELS.iter().find(|(name, _)| *name == module).unwrap_or_else(|| panic!("{module} has no level")).1
}

fn may_use(from: &str, to: &str) -> bool {
    if from == to || level(to) == 0 && level(from) == 0 {
        return true;
    }
    let sideways = SIDEWAYS.iter().find(|(name, _)| *name == from).map_or(&[][..], |(_, others)| others);
    level(to) < level(from) || sideways.contains(&to)
}

/// Every module named after `crate::` in `code`, also inside braces.
fn used_modules(code: &str) -> Vec<String> {
    let word = |text: &str| text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let mut used = Vec::new();
    for rest in code.split("crate::").skip(1) {
        match rest.strip_prefix('{') {
            Some(list) => {
                let list = list.split("};").next().unwrap_or_default();
                used.extend(list.split(',').map(|item| word(item.trim())));
            }
            None => used.push(word(rest)),
        }
    }
    used.retain(|name| LEVELS.iter().any(|(module, _)| module == name));
    used
}

#[test]
fn modules_use_only_lower_levels() {
    for (file, code) in sources() {
        let from = module(&file);
        if from == "lib" || from == "main" {
            continue;
        }
        for to in used_modules(&code) {
            assert!(may_use(from, &to), "{file} uses {to}");
        }
    }
}

#[test]
fn each_outside_thing_has_one_owner() {
    for (file, code) in sources() {
        for (word, owners) in OWNERS {
            let is_owner = owners.iter().any(|owner| file.starts_with(owner));
            assert!(is_owner || !code.contains(word), "{file} has {word}, which belongs to {owners:?}");
        }
    }
}

#[test]
fn files_stay_short() {
    for (file, code) in sources() {
        let lines = code.lines().filter(|line| !line.trim().is_empty()).count();
        assert!(lines <= 300, "{file} has {lines} lines of code");
    }
}
