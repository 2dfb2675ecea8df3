//! Stores on filesystems that only root can make: full, filling up, and read-only.

use std::process::Command;
use std::time::{Duration, Instant};

use crate::artifacts;
use crate::disk::{Image, Mounted, artishim, spawn};
use crate::faulty_registry::Registry;
use crate::scenarios::{model, served_model};
use crate::testbed::{outcome, registry, use_daemons};

const MIB: usize = 1 << 20;

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

/// Waits until the registry has sent so many bytes of blobs.
fn wait_for(registry: &Registry, bytes: usize) {
    let start = Instant::now();
    while registry.sent("/blobs/") < bytes as u64 {
        assert!(start.elapsed() < Duration::from_secs(60), "{} bytes came", registry.sent("/blobs/"));
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
#[ignore = "needs root and a loop device"]
fn disk_that_fills_up_in_mid_pull_is_said_in_one_line_and_the_next_pull_goes_on() {
    // Blocks cannot be reserved there.
    let image = Image::new("ext2", 48 * MIB as u64);
    let disk = image.mount("");
    let model = model(32 * MIB);
    let (reference, registry) = served_model(model.len());
    registry.limit_rate(8 * MIB);
    let pull = spawn(&disk.store(), &["pull", "--quiet", "--connections", "4", &reference]);
    // Some of it has been noted by then: that is done each second.
    wait_for(&registry, 14 * MIB);
    let filler = disk.fill(0);
    let full = outcome(pull);
    assert_eq!((full.status, full.stderr.lines().count()), (125, 1), "{full:?}");
    assert!(full.stderr.contains("no space left") && full.stderr.contains("what arrived is kept"), "{full:?}");
    assert_eq!(artishim(&disk.store(), &["ls", "--quiet"]).success(), "");
    let before = registry.sent("/blobs/");
    assert!(before < model.len() as u64, "the disk was filled too late");
    let again = artishim(&disk.store(), &["pull", "--quiet", &reference]);
    assert_eq!((again.status, again.stderr.lines().count()), (125, 1), "{again:?}");
    std::fs::remove_file(filler).unwrap();
    artishim(&disk.store(), &["pull", "--quiet", "--connections", "4", &reference]).success();
    let entry = artishim(&disk.store(), &["path", &reference]).success();
    assert!(std::fs::read(entry.trim_end()).unwrap() == model, "the bytes are wrong");
    // What four connections had in hand when there was no room for it.
    let most = model.len() + 4 * 2 * MIB;
    assert!(registry.sent("/blobs/") <= most as u64, "{before} bytes, then {}", registry.sent("/blobs/"));
}

#[test]
#[ignore = "needs root and a loop device"]
fn space_of_a_file_is_reserved_when_its_first_byte_comes() {
    let image = Image::new("ext4", 64 * MIB as u64);
    let disk = image.mount("");
    let model = model(32 * MIB);
    let (reference, registry) = served_model(model.len());
    registry.limit_rate(16 * MIB);
    let pull = spawn(&disk.store(), &["pull", "--quiet", "--connections", "4", &reference]);
    wait_for(&registry, 4 * MIB);
    // Enough for the records and the index, and for nothing else.
    disk.fill(MIB as u64);
    assert!(registry.sent("/blobs/") < 28 * MIB as u64, "the disk was filled too late");
    outcome(pull).success();
    let stored = artishim(&disk.store(), &["path", &reference]).success();
    assert!(std::fs::read(stored.trim_end()).unwrap() == model, "the bytes are wrong");
}
