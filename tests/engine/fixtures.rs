//! The artifacts of the hermetic tests, pushed to a real registry and pulled from there.

use std::path::Path;

use tempfile::TempDir;

use crate::artifacts::{put_blob, put_manifest};
use crate::disk::artishim;
use crate::packagings::{self, Fixture, Target};
use crate::snapshot;
use crate::testbed::{registry, use_daemons};

/// What docker-registry 2.8 does not take, and the word of its answer.
const REFUSED: [(&str, &str); 2] = [
    // The type is in no list of its.
    ("cnai-manifest-type", "MANIFEST_INVALID"),
    ("artifact-manifest", "MANIFEST_INVALID"),
];

struct Pushing<'a> {
    host: &'a str,
    repository: &'a str,
}

impl Target for Pushing<'_> {
    fn blob(&mut self, digest: &str, bytes: &[u8]) -> Result<(), String> {
        put_blob(self.host, self.repository, digest, bytes)
    }

    fn manifest(&mut self, version: &str, media_type: &str, json: &[u8]) -> Result<(), String> {
        put_manifest(self.host, self.repository, version, media_type, json)
    }
}

#[test]
#[ignore = "needs the registry of contrib/testbed"]
fn what_a_real_registry_takes_is_laid_out_the_same_from_it() {
    let _running = use_daemons();
    let host = registry();
    let mut wrong = Vec::new();
    for fixture in packagings::benign(&host) {
        let result = check(&host, &fixture);
        let find = |list: &[(&'static str, &'static str)]| list.iter().copied().find(|(name, _)| *name == fixture.name);
        match (result, find(&REFUSED)) {
            (Ok(()), None) => {}
            (Err(_), None) if find(&packagings::NOT_YET).is_some() => {}
            (Err(reason), Some((_, word))) if reason.contains(word) => {}
            (result, _) => wrong.push(format!("{}: {result:?}", fixture.name)),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn check(host: &str, fixture: &Fixture) -> Result<(), String> {
    // A ModelKit that names another one has its repository in its Kitfile.
    let repository = format!("fixtures/{}", fixture.name);
    fixture.artifact.push(&mut Pushing { host, repository: &repository })?;
    let directory = TempDir::new().unwrap();
    let reference = format!("{host}/{repository}:{}", packagings::artifact::TAG);
    run(directory.path(), &[&fixture.options, &["pull", "--quiet", &reference][..]].concat())?;
    let answer = run(directory.path(), &[&fixture.options, &["path", "--json", &reference][..]].concat())?;
    snapshot::compare(&answer, &fixture.expected)
}

fn run(directory: &Path, arguments: &[&str]) -> Result<String, String> {
    let outcome = artishim(&directory.join("store"), arguments);
    if outcome.status == 0 { Ok(outcome.stdout) } else { Err(outcome.stderr) }
}
