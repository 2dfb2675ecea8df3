//! Every artifact of [`crate::packagings`] through the whole program: laid out byte for byte, or refused in one line.

mod refusal;
mod snapshot;

use std::fs;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::common::Home;
use crate::common::registry::{Fault, Registry, What};
use crate::packagings::{self, Artifact, Fixture, Hostile, Target};

/// Most of a fixture's time is spent waiting for the disk.
const WORKERS: usize = 4;

#[test]
fn every_artifact_is_laid_out_as_its_producer_meant_it() {
    let registry = Registry::start();
    let fixtures = packagings::benign(&registry.host());
    assert_distinct(fixtures.iter().map(|fixture| fixture.name));
    assert!(fixtures.iter().all(|fixture| !fixture.source.is_empty()));
    check_all(&fixtures, &packagings::NOT_YET, |fixture| fixture.name, |fixture| check_benign(&registry, fixture));
}

#[test]
fn every_hostile_artifact_is_refused_in_one_line_and_leaves_nothing() {
    let registry = Registry::start();
    let hostile = packagings::hostile();
    assert_distinct(hostile.iter().map(|hostile| hostile.name));
    assert!(hostile.len() >= 40, "only {}", hostile.len());
    let quick: Vec<Hostile> = hostile.into_iter().filter(|hostile| !hostile.is_slow).collect();
    check_hostile_ones(&registry, &quick);
}

#[test]
#[ignore = "takes ten seconds"]
fn every_hostile_artifact_of_enormous_counts_is_refused_too() {
    let registry = Registry::start();
    let slow: Vec<Hostile> = packagings::hostile().into_iter().filter(|hostile| hostile.is_slow).collect();
    check_hostile_ones(&registry, &slow);
}

fn check_hostile_ones(registry: &Registry, hostile: &[Hostile]) {
    check_all(
        hostile,
        &packagings::NOT_YET_REFUSED,
        |hostile| hostile.name,
        |hostile| check_hostile(registry, hostile),
    );
}

#[test]
fn fixtures_are_the_same_each_time() {
    let pushed = || {
        let mut log = Log::default();
        let benign = packagings::benign("127.0.0.1:5000").into_iter().map(|fixture| fixture.artifact);
        let hostile = packagings::hostile().into_iter().map(|hostile| hostile.artifact);
        benign.chain(hostile).for_each(|artifact| artifact.push(&mut log).unwrap());
        log.0
    };
    assert_eq!(pushed(), pushed());
}

fn check_benign(registry: &Registry, fixture: &Fixture) -> Result<(), String> {
    let home = Home::new();
    let reference = push(registry, fixture.name, &fixture.artifact);
    if let Some(content_type) = fixture.content_type {
        let path = format!("/fixtures/{}/manifests/", fixture.name);
        registry.fault(Fault::always(path, What::Header("Content-Type", content_type.to_owned())));
    }
    let run = |words: &[&str]| home.artishim(&[&fixture.options, words].concat());
    let pulled = run(&["pull", "--quiet", &reference]);
    if pulled.status != 0 {
        return Err(pulled.stderr);
    }
    let found = run(&["path", "--json", &reference]);
    if found.status != 0 {
        return Err(found.stderr);
    }
    snapshot::compare(&found.stdout, &fixture.expected)?;
    let Some(words) = fixture.expected.complaint else { return Ok(()) };
    let asked = run(&["path", &reference]);
    let is_said = asked.status == 125 && asked.stderr.contains(words);
    if is_said { Ok(()) } else { Err(format!("expected {words:?}, got {asked:?}")) }
}

fn check_hostile(registry: &Registry, hostile: &Hostile) -> Result<(), String> {
    let outer = tempfile::TempDir::new().unwrap();
    let home = Home::new_in(outer.path());
    refusal::plant(outer.path(), &home);
    let reference = push(registry, hostile.name, &hostile.artifact);
    if let Some((status, body)) = hostile.answer {
        let what = What::Status { status, headers: Vec::new(), body: body.to_owned() };
        registry.fault(Fault::always(format!("/fixtures/{}/manifests/", hostile.name), what));
    }
    let before = refusal::picture(outer.path(), &home);
    // The second time there is what the first one left.
    for _ in 0..2 {
        let refused = home.artishim(&["--progress", "quiet", "path", "--json", &reference]);
        refusal::check_line(&refused, hostile)?;
        refusal::check_requests(&registry.requests(), hostile)?;
        refusal::check_store(&home)?;
    }
    if refusal::picture(outer.path(), &home) != before || Path::new("/tmp/artishim-evil").exists() {
        return Err(String::from("something outside the store has changed"));
    }
    Ok(())
}

fn push(registry: &Registry, name: &str, artifact: &Artifact) -> String {
    let repository = format!("fixtures/{name}");
    artifact.push(&mut Pushing { registry, repository: &repository }).unwrap();
    format!("{}/{repository}:{}", registry.host(), packagings::artifact::TAG)
}

/// Checks all, some at once, and says what is wrong with each that fails, or that fails no more.
fn check_all<T: Sync>(
    items: &[T],
    not_yet: &[(&str, &str)],
    name: fn(&T) -> &'static str,
    check: impl Fn(&T) -> Result<(), String> + Sync,
) {
    // One alone, for whoever is at work on it: FIXTURE=NAME cargo test --test it fixtures
    let only = std::env::var("FIXTURE").unwrap_or_default();
    let (next, failures) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let work = || {
        while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
            if !name(item).contains(&only) {
                continue;
            }
            let is_expected = not_yet.iter().any(|(known, _)| *known == name(item));
            let failure = match check(item) {
                Err(reason) if !is_expected => shorten(&reason),
                Ok(()) if is_expected => String::from("it is as it should be: take it from the list of what is not"),
                _ => continue,
            };
            failures.lock().unwrap().push(format!("{}: {failure}", name(item)));
        }
    };
    std::thread::scope(|scope| (0..WORKERS).for_each(|_| drop(scope.spawn(work))));
    let failures = failures.into_inner().unwrap();
    assert!(failures.is_empty(), "{} of {} failed:\n{}", failures.len(), items.len(), failures.join("\n"));
}

fn shorten(text: &str) -> String {
    let text = text.trim_end();
    if text.chars().count() > 1000 { text.chars().take(1000).chain("...".chars()).collect() } else { text.to_owned() }
}

fn assert_distinct<'a>(names: impl Iterator<Item = &'a str>) {
    let mut seen = std::collections::HashSet::new();
    names.for_each(|name| assert!(seen.insert(name), "{name} twice"));
}

struct Pushing<'a> {
    registry: &'a Registry,
    repository: &'a str,
}

impl Target for Pushing<'_> {
    fn blob(&mut self, digest: &str, bytes: &[u8]) -> Result<(), String> {
        self.registry.push_blob_as(digest, bytes);
        Ok(())
    }

    fn manifest(&mut self, version: &str, _media_type: &str, json: &[u8]) -> Result<(), String> {
        self.registry.push_manifest(self.repository, version, json);
        Ok(())
    }
}

/// Only the words of what is pushed.
#[derive(Default)]
struct Log(Vec<String>);

impl Target for Log {
    fn blob(&mut self, digest: &str, bytes: &[u8]) -> Result<(), String> {
        self.0.push(format!("{digest} {}", artishim::digest::Digest::sha256(bytes)));
        Ok(())
    }

    fn manifest(&mut self, version: &str, media_type: &str, json: &[u8]) -> Result<(), String> {
        self.0.push(format!("{version} {media_type} {}", artishim::digest::Digest::sha256(json)));
        Ok(())
    }
}

/// Every name below `root`, its kind and mode, and what it holds; without the folders in `skipped`.
fn walk(root: &Path, skipped: &[&Path], found: &mut Vec<(String, String)>) {
    let Ok(entries) = fs::read_dir(root) else { return };
    for entry in entries {
        let path = entry.unwrap().path();
        if skipped.contains(&path.as_path()) {
            continue;
        }
        let metadata = fs::symlink_metadata(&path).unwrap();
        let content = match metadata.file_type() {
            kind if kind.is_symlink() => format!("-> {}", fs::read_link(&path).unwrap().display()),
            kind if kind.is_dir() => String::from("/"),
            kind if kind.is_file() => artishim::digest::Digest::sha256(&fs::read(&path).unwrap()).to_string(),
            kind => format!("{kind:?}"),
        };
        let mode = std::os::unix::fs::PermissionsExt::mode(&metadata.permissions());
        found.push((path.display().to_string(), format!("{mode:o} {content}")));
        if metadata.is_dir() {
            walk(&path, skipped, found);
        }
    }
}
