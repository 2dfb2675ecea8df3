//! Podman's pulls with our own engine before them.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use artishim::digest::Digest;
use artishim::store::PodmanStore;
use oci_spec::image::Arch;
use serde_json::json;
use tempfile::TempDir;

use crate::artifacts;
use crate::faulty_registry::{Auth, Fault, Registry, Request, What};
use crate::program::Outcome;
use crate::scenarios::{model, mount, served_manifest, served_model};
use crate::testbed::{Engine, IMAGE, WORK, outcome, registry, use_daemons};

const MIB: usize = 1024 * 1024;

/// The testbed's podman 5 with a graph root of its own, in which nothing was ever done.
struct Podman {
    engine: Engine,
    directory: TempDir,
}

impl Podman {
    /// Its program does `script` first, with the directory of the test in `$here`.
    fn new(script: &str) -> Self {
        let engine = Engine::named("podman5");
        let directory = TempDir::with_prefix_in("podman-", WORK).unwrap();
        let here = directory.path().display();
        let program = engine.program();
        let text = format!(
            "#!/bin/sh\nhere={here}\n{script}\nexec {} --root $here/root --runroot $here/run \"$@\"\n",
            program.display()
        );
        let podman = Self { engine, directory };
        fs::write(podman.program(), text).unwrap();
        fs::set_permissions(podman.program(), fs::Permissions::from_mode(0o755)).unwrap();
        podman
    }

    fn program(&self) -> PathBuf {
        self.directory.path().join("podman")
    }

    fn artishim(&self, arguments: &[&str]) -> Outcome {
        outcome(self.spawn(arguments))
    }

    fn spawn(&self, arguments: &[&str]) -> Child {
        self.engine.command_at(self.program().to_str().unwrap(), arguments).spawn().unwrap()
    }

    /// With a wish in the environment in place of the flag.
    fn wish(&self, arguments: &[&str]) -> Outcome {
        let mut command = self.engine.command_at(self.program().to_str().unwrap(), arguments);
        outcome(command.env("ARTISHIM_ACCELERATE", "true").spawn().unwrap())
    }

    fn own(&self, arguments: &[&str]) -> Outcome {
        outcome(self.own_spawn(arguments))
    }

    fn own_spawn(&self, arguments: &[&str]) -> Child {
        let mut command = std::process::Command::new(self.program());
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// A file or directory of its artifact store.
    fn at(&self, name: &str) -> PathBuf {
        self.directory.path().join("root/artifacts").join(name)
    }

    fn blob(&self, length: usize) -> PathBuf {
        blob(&self.at(""), length)
    }

    fn names(&self) -> String {
        self.own(&["artifact", "ls", "--noheading", "--format", "{{.Repository}}:{{.Tag}}"]).success()
    }
}

/// Where podman has the only file of `served_model(length)`.
fn blob(artifacts: &Path, length: usize) -> PathBuf {
    artifacts.join("blobs/sha256").join(Digest::sha256(&model(length)).hex())
}

/// The requests for the file of `served_model(length)` by us, and by podman.
fn fetches(served: &Registry, length: usize) -> (Vec<Request>, Vec<Request>) {
    let digest = Digest::sha256(&model(length)).to_string();
    let requests = served.requests().into_iter().filter(|request| request.path.ends_with(&digest));
    requests.partition(|request| request.user_agent.as_deref().is_some_and(|agent| agent.starts_with("artishim/")))
}

fn wait_until(what: impl Fn() -> bool) {
    let start = Instant::now();
    while !what() {
        assert!(start.elapsed() < Duration::from_secs(20), "waited too long");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
#[ignore = "needs the engines of contrib/testbed"]
fn podman_fetches_no_layer_again_and_mounts_what_we_fetched() {
    let _running = use_daemons();
    let engine = Engine::named("podman5");
    let length = 3 * MIB + 1;
    let (reference, served) = served_model(length);
    engine.artishim(&["--accelerate", "pull", "--quiet", &reference]).success();
    let (ours, podmans) = fetches(&served, length);
    assert!(!ours.is_empty() && podmans.is_empty(), "{podmans:?}");
    assert!(served.requests().iter().any(|request| request.path.ends_with("/manifests/1")
        && request.user_agent.as_deref().is_some_and(|agent| agent.starts_with("containers/"))));
    assert_eq!(engine.own(&["artifact", "inspect", "--format", "{{.Name}}", &reference]).success().trim(), reference);
    let artifact = mount(&reference, "/m");
    let seen = engine.own(&["run", "--rm", "--mount", &artifact, IMAGE, "sha256sum", "/m"]).success();
    assert!(seen.starts_with(Digest::sha256(&model(length)).hex()), "{seen}");
    let graph_root = engine.own(&["info", "--format", "{{.Store.GraphRoot}}"]).success();
    let artifacts = Path::new(graph_root.trim()).join("artifacts");
    assert_eq!(fs::metadata(blob(&artifacts, length)).unwrap().permissions().mode() & 0o777, 0o644);
    engine.own(&["artifact", "rm", &reference]).success();
    assert!(!blob(&artifacts, length).exists(), "podman removes it as its own");
}

#[test]
#[ignore = "needs the engines of contrib/testbed"]
fn accelerated_run_shows_the_file() {
    let _running = use_daemons();
    let engine = Engine::named("podman5");
    let length = 2 * MIB + 7;
    let (reference, served) = served_model(length);
    let artifact = mount(&reference, "/m");
    let run = ["--accelerate", "run", "--rm", "--mount", &artifact, IMAGE, "sha256sum", "/m"];
    let seen = engine.artishim(&run).success();
    assert!(seen.starts_with(Digest::sha256(&model(length)).hex()), "{seen}");
    let (ours, podmans) = fetches(&served, length);
    assert!(!ours.is_empty() && podmans.is_empty(), "{podmans:?}");
    served.clear_requests();
    engine.artishim(&run).success();
    assert_eq!(served.requests().len(), 0, "podman has it by now");
    engine.own(&["artifact", "rm", &reference]).success();
}

#[test]
#[ignore = "needs the engines of contrib/testbed"]
fn podman_that_has_pulled_nothing_yet_is_accelerated() {
    let _running = use_daemons();
    let podman = Podman::new("");
    let (reference, served) = served_model(MIB);
    podman.artishim(&["--accelerate", "pull", "--quiet", &reference]).success();
    assert_eq!(fs::read(podman.blob(MIB)).unwrap(), model(MIB));
    assert!(fetches(&served, MIB).1.is_empty());
    assert!(!podman.at("artishim-staging").exists());
    assert_eq!(podman.names(), format!("{reference}\n"));
    // Again: no layer is fetched by anybody.
    served.clear_requests();
    podman.artishim(&["--accelerate", "pull", "--quiet", &reference]).success();
    let (ours, podmans) = fetches(&served, MIB);
    assert!(ours.is_empty() && podmans.is_empty(), "{ours:?} {podmans:?}");
}

#[test]
#[ignore = "needs the engines of contrib/testbed"]
fn credentials_are_for_both() {
    let _running = use_daemons();
    let podman = Podman::new("");
    let (reference, served) = served_model(MIB);
    served.require(Auth::Basic { user: "me", password: "secret" });
    let refused = podman.artishim(&["--accelerate", "pull", "--quiet", &reference]);
    assert_eq!(refused.status, 125, "{refused:?}");
    podman.artishim(&["--accelerate", "--creds", "me:secret", "pull", "--quiet", &reference]).success();
    let (ours, podmans) = fetches(&served, MIB);
    assert!(!ours.is_empty() && podmans.is_empty(), "{podmans:?}");
    assert_eq!(podman.names(), format!("{reference}\n"));
}

#[test]
#[ignore = "needs the engines of contrib/testbed"]
fn killed_pull_leaves_podmans_store_as_it_was_and_goes_on() {
    let _running = use_daemons();
    let (podman, length) = (Podman::new(""), 96 * MIB);
    let (reference, served) = served_model(length);
    served.fault(Fault::always("/blobs/", What::Slow(8 * MIB)));
    let mut killed = podman.spawn(&["--accelerate", "pull", "--quiet", &reference]);
    wait_until(|| served.sent("/blobs/") > 70 * MIB as u64);
    killed.kill().unwrap();
    killed.wait().unwrap();
    assert_eq!(podman.names(), "");
    assert!(!podman.blob(length).exists());
    assert!(podman.at("artishim-staging").exists());
    served.clear_faults();
    served.clear_requests();
    podman.artishim(&["--accelerate", "pull", "--quiet", &reference]).success();
    assert!(served.sent("/blobs/") < 80 * MIB as u64, "{} bytes were fetched again", served.sent("/blobs/"));
    assert_eq!(fs::read(podman.blob(length)).unwrap(), model(length));
    assert_eq!(podman.names(), format!("{reference}\n"));
    assert!(!podman.at("artishim-staging").exists());
}

#[test]
#[ignore = "needs the engines of contrib/testbed"]
fn kill_between_us_and_podman_leaves_a_whole_blob_that_is_used() {
    let _running = use_daemons();
    let podman = Podman::new(
        "case \"$*\" in *'artifact pull'*) [ ! -e $here/kill ] || { rm $here/kill; kill -9 $PPID; exit 1; } ;; esac",
    );
    fs::write(podman.directory.path().join("kill"), "").unwrap();
    let (reference, served) = served_model(MIB);
    let killed = podman.artishim(&["--accelerate", "pull", "--quiet", &reference]);
    assert_eq!(killed.status, -1, "{killed:?}");
    assert_eq!(fs::read(podman.blob(MIB)).unwrap(), model(MIB));
    assert_eq!(podman.names(), "");
    served.clear_requests();
    podman.artishim(&["--accelerate", "pull", "--quiet", &reference]).success();
    let (ours, podmans) = fetches(&served, MIB);
    assert!(ours.is_empty() && podmans.is_empty(), "{ours:?} {podmans:?}");
    assert_eq!(podman.names(), format!("{reference}\n"));
    assert!(!podman.at("artishim-staging").exists());
}

#[test]
#[ignore = "needs the engines of contrib/testbed"]
fn what_podman_refuses_does_not_stay_in_its_store() {
    let _running = use_daemons();
    let podman = Podman::new("case \"$*\" in *'artifact pull'*) echo 'Error: no' >&2; exit 125 ;; esac");
    let (reference, _served) = served_model(MIB);
    let pulled = podman.artishim(&["--accelerate", "pull", &reference]);
    assert!(pulled.stderr.contains("pulled by artishim, as podman refused"), "{pulled:?}");
    pulled.success();
    assert!(!podman.blob(MIB).exists());
    assert!(!podman.at("artishim-staging").exists());
}

#[test]
#[ignore = "needs the engines of contrib/testbed"]
fn two_at_once_and_podman_itself_end_right() {
    let _running = use_daemons();
    let (podman, length) = (Podman::new(""), 16 * MIB);
    let (reference, served) = served_model(length);
    // Finds the probe's answer in the cache, so that all begin at once.
    podman.artishim(&["--accelerate", "engines"]).success();
    served.fault(Fault::always("/blobs/", What::Slow(8 * MIB)));
    let pull = ["--accelerate", "pull", "--quiet", &reference];
    let itself = ["artifact", "pull", "--quiet", "--tls-verify=false", &reference];
    let pulls = [podman.spawn(&pull), podman.own_spawn(&itself), podman.spawn(&pull)];
    for pull in pulls {
        outcome(pull).success();
    }
    assert_eq!(fs::read(podman.blob(length)).unwrap(), model(length));
    assert_eq!(podman.names(), format!("{reference}\n"));
    assert!(!podman.at("artishim-staging").exists());
    let ours: u64 = fetches(&served, length).0.iter().map(|request| request.sent).sum();
    assert!(ours <= length as u64, "we fetched {ours} bytes of {length}");
}

#[test]
#[ignore = "needs the engines of contrib/testbed"]
fn podman_waits_for_our_lock_and_we_for_podmans() {
    let _running = use_daemons();
    let podman = Podman::new("");
    podman.artishim(&["--accelerate", "engines"]).success();
    let store = PodmanStore::open(&podman.directory.path().join("root")).unwrap().unwrap();
    let lock = store.lock(|| ()).unwrap();
    let mut waiting = podman.own_spawn(&["artifact", "ls"]);
    std::thread::sleep(Duration::from_secs(1));
    assert!(waiting.try_wait().unwrap().is_none(), "podman did not wait");
    drop(lock);
    outcome(waiting).success();
    // Podman holds it for as long as it pulls.
    let (reference, served) = served_model(24 * MIB);
    served.fault(Fault::always("/blobs/", What::Slow(8 * MIB)));
    let pulling = podman.own_spawn(&["artifact", "pull", "--quiet", "--tls-verify=false", &reference]);
    wait_until(|| !fetches(&served, 24 * MIB).1.is_empty());
    let (other, _other) = served_model(MIB);
    let waited = podman.artishim(&["--accelerate", "pull", &other]);
    assert!(waited.stderr.contains("waiting for Podman, which is at work on its artifacts"), "{waited:?}");
    waited.success();
    outcome(pulling).success();
    assert_eq!(podman.names().lines().count(), 2);
}

#[test]
#[ignore = "needs the engines of contrib/testbed"]
fn layout_we_do_not_know_is_refused_by_the_flag_and_noted_for_the_wish() {
    let _running = use_daemons();
    let podman = Podman::new("");
    podman.own(&["artifact", "pull", "--quiet", "--tls-verify=false", &served_model(1000).0]).success();
    fs::rename(podman.at("blobs/sha256"), podman.at("elsewhere")).unwrap();
    symlink("../elsewhere", podman.at("blobs/sha256")).unwrap();
    let (reference, served) = served_model(MIB);
    let reason = format!("{} is a symbolic link", podman.at("blobs/sha256").display());
    let refused = podman.artishim(&["--accelerate", "pull", "--quiet", &reference]);
    let expected = format!("Error: cannot accelerate: {reason} (leave --accelerate out)\n");
    assert_eq!((refused.status, refused.stderr), (125, expected));
    let noted = podman.wish(&["pull", &reference]);
    assert_eq!(noted.stderr, format!("Note: not accelerated: {reason}\n"));
    noted.success();
    let (ours, podmans) = fetches(&served, MIB);
    assert!(ours.is_empty() && !podmans.is_empty());
}

#[test]
#[ignore = "needs the engines of contrib/testbed"]
fn index_is_left_to_podman() {
    let _running = use_daemons();
    let podman = Podman::new("");
    let (served, repository) = (Registry::start(), artifacts::repository("index"));
    let manifest = served_manifest(&served, MIB);
    let digest = served.push_manifest(&repository, "child", &manifest);
    let kind = "application/vnd.oci.image.manifest.v1+json";
    let platform = json!({"os": "linux", "architecture": Arch::default().to_string()});
    let child = json!({"mediaType": kind, "digest": digest, "size": manifest.len(), "platform": platform});
    let kind = "application/vnd.oci.image.index.v1+json";
    let index = json!({"schemaVersion": 2, "mediaType": kind, "manifests": [child]});
    served.push_manifest(&repository, "1", index.to_string());
    let reference = format!("{}/{repository}:1", served.host());
    let refused = podman.artishim(&["--accelerate", "pull", "--quiet", &reference]);
    let expected = format!("{reference} is an index, from which Podman chooses by itself");
    assert!(refused.status == 125 && refused.stderr.contains(&expected), "{refused:?}");
    podman.wish(&["pull", "--quiet", &reference]).success();
    assert!(fetches(&served, MIB).0.is_empty());
    assert_eq!(fs::read(podman.blob(MIB)).unwrap(), model(MIB));
}

#[test]
#[ignore = "needs the engines of contrib/testbed"]
fn engines_that_cannot_be_accelerated_say_why() {
    let _running = use_daemons();
    let reference = artifacts::modelpack(&registry(), &[("tiny.gguf", b"GGUF tiny")]);
    let keepless = "does not keep artifacts itself, so artishim pulls for it anyway";
    let service = "is reached as a service, so its artifact store cannot be written from here";
    let cases = [
        ("docker20", keepless),
        ("docker28", keepless),
        ("podman4", keepless),
        ("docker28-remote", keepless),
        ("podman5-remote", service),
    ];
    for (name, reason) in cases {
        let engine = Engine::named(name);
        let artifact = mount(&reference, "/m");
        for arguments in [&["pull", &reference][..], &["run", "--rm", "--mount", &artifact, IMAGE, "true"]] {
            let refused = engine.artishim(&[&["--accelerate"], arguments].concat());
            assert_eq!((refused.status, refused.stdout.as_str()), (125, ""), "{name}: {refused:?}");
            let (start, end) = ("Error: cannot accelerate: ", format!(" {reason} (leave --accelerate out)\n"));
            assert!(refused.stderr.starts_with(start) && refused.stderr.ends_with(&end), "{name}: {refused:?}");
        }
        let mut wished = engine.command(&["pull", "--quiet", &reference]);
        outcome(wished.env("ARTISHIM_ACCELERATE", "true").spawn().unwrap()).success();
    }
}
