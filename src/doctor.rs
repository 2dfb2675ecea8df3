//! What may hurt on this machine, each with the way out.
//!
//! Each check looks at one thing and says one line; none changes anything.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::Path;

use serde::Serialize;

use crate::cause::one_line;
use crate::policy::Policy;
use crate::pull;
use crate::store::{self, Store};

/// With less space than this hardly a model is pulled.
const LITTLE: u64 = 2_000_000_000;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// As it should be.
    Ok,
    /// To be known.
    Note,
    /// Something will not work.
    Problem,
}

/// What was found out about one thing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was looked at, in a word.
    pub about: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// What it is like.
    pub text: String,
    /// What can be done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub way_out: Option<String>,
}

impl Finding {
    /// Something as it should be.
    pub fn ok(about: &'static str, text: impl Into<String>) -> Self {
        Self { about, severity: Severity::Ok, text: text.into(), way_out: None }
    }

    /// Something to be known, and what can be done.
    pub fn note(about: &'static str, text: impl Into<String>, way_out: impl Into<String>) -> Self {
        Self { about, severity: Severity::Note, text: text.into(), way_out: Some(way_out.into()) }
    }

    /// Something that will not work, and what can be done where that is known.
    pub fn problem(about: &'static str, text: impl Into<String>, way_out: Option<String>) -> Self {
        Self { about, severity: Severity::Problem, text: text.into(), way_out }
    }
}

/// The store itself, the space around it, and what it holds.
pub fn store(store: &Store) -> Result<Vec<Finding>, store::Error> {
    let root = store.root().display();
    let mut findings = vec![match store.is_read_only() {
        true => Finding::note("store", format!("{root} can only be read"), "name another one with --store to pull"),
        false => Finding::ok("store", root.to_string()),
    }];
    let free = store.free_space()?;
    let gigabytes = free / 100_000_000;
    let text = format!("{}.{} GB free", gigabytes / 10, gigabytes % 10);
    findings.push(match free < LITTLE {
        true => Finding::problem(
            "space",
            text,
            Some(String::from("artishim prune, or name a store elsewhere with --store")),
        ),
        false => Finding::ok("space", text),
    });
    findings.extend(incomplete(store)?);
    if !store.is_read_only() {
        let swept = store.would_sweep(&store.exclusive()?, &[])?;
        if swept.bytes > LITTLE {
            let text = format!("{} GB that nothing needs", swept.bytes / 1_000_000_000);
            findings.push(Finding::note("leftovers", text, "artishim prune"));
        }
    }
    Ok(findings)
}

/// Artifacts that somebody has taken blobs from.
fn incomplete(store: &Store) -> Result<Vec<Finding>, store::Error> {
    let entries = store.list()?;
    let name = |entry: &store::Entry| entry.name.clone().unwrap_or_else(|| entry.descriptor.digest.to_string());
    let is_torn = |entry: &&store::Entry| !matches!(pull::load(store, entry), Ok(Some(_)));
    let torn = entries.iter().filter(is_torn).map(|entry| {
        let name = name(entry);
        let way_out = format!("artishim pull {name}");
        Finding::problem("artifact", format!("{name} is not whole"), Some(way_out))
    });
    let mut findings: Vec<Finding> = torn.collect();
    if findings.is_empty() {
        findings.push(Finding::ok("artifacts", format!("{}, all whole", entries.len())));
    }
    Ok(findings)
}

/// Whether an engine that runs as somebody else gets to the store.
pub fn reachable_for_others(root: &Path) -> Finding {
    let is_closed = |path: &&Path| fs::metadata(path).is_ok_and(|path| path.permissions().mode() & 0o001 == 0);
    match root.ancestors().find(is_closed) {
        Some(closed) => Finding::problem(
            "users",
            format!("the engine runs as another user, who cannot get through {}", closed.display()),
            Some(format!("chmod o+x {}, or name a store elsewhere with --store", closed.display())),
        ),
        None => Finding::ok("users", "the engine runs as another user, who can read the store"),
    }
}

/// SELinux; `status` is `/sys/fs/selinux/enforce`.
pub fn selinux(status: &Path, store: &Path) -> Finding {
    match fs::read_to_string(status).as_deref().map(str::trim) {
        Ok("1") => Finding::note(
            "selinux",
            "it is enforced, and containers may read only what is labelled for them",
            format!("chcon -Rt container_ro_file_t {}, or run with --security-opt label=disable", store.display()),
        ),
        Ok(_) => Finding::ok("selinux", "not enforced"),
        Err(_) => Finding::ok("selinux", "not there"),
    }
}

/// The volume driver's socket; nothing where there is none.
pub fn socket(path: &Path) -> Option<Finding> {
    let shown = path.display();
    match UnixStream::connect(path) {
        Ok(_) => Some(Finding::ok("driver", format!("answers at {shown}"))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => Some(Finding::problem(
            "driver",
            format!("nobody answers at {shown}, for which Docker waits whenever it lists volumes: {error}"),
            Some(format!("start artishim serve, or remove {shown}")),
        )),
    }
}

/// policy.json, and the keys that it names.
pub fn policy(policy: &Policy) -> Vec<Finding> {
    let file = policy.file();
    let bad = policy.key_files().into_iter().filter_map(|key| Some((key, pull::read_key(key.as_ref()).err()?)));
    let mut findings: Vec<Finding> = bad
        .map(|(key, error)| {
            let way_out = String::from("put the public key there, or change the policy");
            Finding::problem("policy", format!("{file}: key {key}: {}", one_line(&error)), Some(way_out))
        })
        .collect();
    if findings.is_empty() {
        findings.push(Finding::ok("policy", file.to_owned()));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn socket_that_nobody_serves_is_a_problem() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.sock");
        assert_eq!(socket(&path), None);
        let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        assert_eq!(socket(&path).unwrap().severity, Severity::Ok);
        drop(listener);
        let finding = socket(&path).unwrap();
        assert!(finding.severity == Severity::Problem && finding.way_out.unwrap().contains("a.sock"));
    }

    #[test]
    fn directory_that_others_cannot_enter_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let store = directory.path().join("closed/store");
        fs::create_dir_all(&store).unwrap();
        for (mode, expected) in [(0o700, Severity::Problem), (0o711, Severity::Ok)] {
            for path in [directory.path(), store.parent().unwrap(), &store] {
                fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
            }
            assert_eq!(reachable_for_others(&store).severity, expected);
        }
    }

    #[test]
    fn artifact_without_its_blobs_is_not_whole() {
        let directory = tempfile::tempdir().unwrap();
        let own = Store::open(&directory.path().join("store")).unwrap();
        assert!(store(&own).unwrap().iter().any(|finding| finding.text == "0, all whole"));
        let bytes = br#"{"schemaVersion":2,"layers":[]}"#;
        let digest = crate::digest::Digest::sha256(bytes);
        let lease = own.lease(&[]).unwrap();
        own.put_blob(&lease, bytes, &digest).unwrap();
        let descriptor =
            crate::manifest::Descriptor::new(crate::media::OCI_MANIFEST, digest.clone(), bytes.len() as u64);
        own.tag(&own.exclusive().unwrap(), &"quay.io/a/b:1".parse().unwrap(), descriptor).unwrap();
        fs::remove_file(own.blob_path(&digest)).unwrap();
        let found = store(&own).unwrap();
        assert!(found.iter().any(|finding| finding.text == "quay.io/a/b:1 is not whole"), "{found:?}");
    }
}
