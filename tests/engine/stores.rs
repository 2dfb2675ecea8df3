//! Stores on filesystems that only root can make: full, and read-only.

use std::path::Path;
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::artifacts;
use crate::program::Outcome;
use crate::testbed::{outcome, registry, use_daemons};

/// A mounted filesystem that goes with the test.
struct Mounted(TempDir);

impl Mounted {
    fn new(arguments: &[&str]) -> Self {
        let directory = TempDir::new().unwrap();
        let status = Command::new("mount").args(arguments).arg(directory.path()).status().unwrap();
        assert!(status.success(), "mount {arguments:?}");
        Self(directory)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0.path()).status();
    }
}

pub fn artishim(store: &Path, arguments: &[&str]) -> Outcome {
    let mut command = Command::new(env!("CARGO_BIN_EXE_artishim"));
    command.args(["--engine", "none", "--store"]).arg(store).args(arguments);
    outcome(command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap())
}

#[test]
#[ignore = "needs root and the registry of contrib/testbed"]
fn full_disk_is_said_in_one_line_and_the_pull_goes_on_later() {
    let _running = use_daemons();
    let small = Mounted::new(&["-t", "tmpfs", "-o", "size=4m", "none"]);
    let (first, second) = (vec![b'a'; 3_000_000], vec![b'b'; 3_000_000]);
    let reference = artifacts::modelpack(&registry(), &[("a.gguf", &first), ("b.gguf", &second)]);
    let store = small.path().join("store");
    let full = artishim(&store, &["pull", "--quiet", &reference]);
    assert_eq!((full.status, full.stderr.lines().count()), (125, 1), "{full:?}");
    assert!(full.stderr.contains("no space left") && full.stderr.contains("--store"), "{full:?}");
    assert_eq!(artishim(&store, &["ls", "--quiet"]).success(), "");
    let larger = Command::new("mount").args(["-o", "remount,size=16m"]).arg(small.path()).status().unwrap();
    assert!(larger.success());
    artishim(&store, &["pull", &reference]).success();
}

#[test]
#[ignore = "needs root and the registry of contrib/testbed"]
fn read_only_store_serves_what_it_has_and_says_what_it_cannot() {
    let _running = use_daemons();
    let disk = Mounted::new(&["-t", "tmpfs", "none"]);
    let store = disk.path().join("store");
    let reference = artifacts::modelpack(&registry(), &[("a.gguf", b"GGUF a")]);
    let other = artifacts::modelpack(&registry(), &[("b.gguf", b"GGUF b")]);
    artishim(&store, &["path", &reference]).success();
    let remounted = Command::new("mount").args(["-o", "remount,ro"]).arg(disk.path()).status().unwrap();
    assert!(remounted.success());
    artishim(&store, &["path", &reference]).success();
    artishim(&store, &["inspect", &reference]).success();
    for arguments in [&["pull", "--quiet", &other][..], &["rm", &reference]] {
        let refused = artishim(&store, arguments);
        assert_eq!((refused.status, refused.stderr.lines().count()), (125, 1), "{refused:?}");
        assert!(refused.stderr.contains("read-only") && refused.stderr.contains("--store"), "{refused:?}");
    }
}
