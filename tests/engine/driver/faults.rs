//! What engines and their users are told when the driver, its registry or its disk is not as it should be.

use std::fs;

use tempfile::TempDir;

use super::{Driver, MODEL, name};
use crate::artifacts;
use crate::disk::Mounted;
use crate::faulty_registry::{Fault, What};
use crate::scenarios::{model, served_model};
use crate::testbed::{Engine, IMAGE, own_daemons, registry};

/// A container that is refused for this reason; the same succeeds when the reason is gone.
#[track_caller]
fn refused(driver: &Driver<'_>, volume: &str, reason: &str) {
    let refused = driver.run(volume, "true");
    assert!(refused.status != 0 && refused.stderr.contains(reason), "{refused:?}");
}

fn pulls_that_fail_say_why_and_are_made_good(engine: &Engine) {
    let _alone = own_daemons();
    let driver = Driver::new(engine);
    let (reference, served) = served_model(1 << 20);
    let [wrong, down, other] = ["wrong", "down", "other"].map(|what| name(engine, what));
    served.fault(Fault::always("/blobs/", What::WrongByte(5)));
    driver.create(&wrong, &reference).success();
    refused(&driver, &wrong, "wrong content");
    served.clear_faults();
    served.fault(Fault::always("/v2/", What::status(503)));
    driver.create(&down, &reference).success();
    // Podman does not wait until the last attempt.
    refused(&driver, &down, if engine.is_docker() { "503" } else { "try again" });
    served.clear_faults();
    for volume in [&wrong, &down] {
        assert_eq!(driver.run(volume, "wc -c </m/m.gguf").success().trim(), "1048576");
    }
    let absent = format!("{}@sha256:{}", reference.rsplit_once(':').unwrap().0, "0".repeat(64));
    driver.create(&other, &absent).success();
    refused(&driver, &other, "not in the registry");
    engine.own(&["volume", "rm", &wrong, &down, &other]).success();
    assert_eq!(driver.shown(), 0);
}

fn full_disk_is_told_and_nothing_is_lost(engine: &Engine) {
    let _alone = own_daemons();
    let small = Mounted::new(&["-t", "tmpfs", "-o", "size=6m", "none"]);
    let engine = &Engine { name: engine.name, store: TempDir::new_in(small.path()).unwrap() };
    let driver = Driver::new(engine);
    let (reference, _served) = served_model(4 << 20);
    let filler = small.fill(1 << 20);
    let volume = name(engine, "full");
    driver.create(&volume, &reference).success();
    refused(&driver, &volume, "space");
    fs::remove_file(filler).unwrap();
    let sum = artishim::digest::Digest::sha256(&model(4 << 20)).to_string();
    let seen = driver.run(&volume, "sha256sum /m/*").success();
    assert!(seen.starts_with(sum.trim_start_matches("sha256:")), "{seen}");
    engine.own(&["volume", "rm", &volume]).success();
    assert_eq!(driver.shown(), 0);
}

/// Docker starts, lists and refuses in finite time, and goes on when the driver is there.
fn engine_starts_without_the_driver(engine: &Engine) {
    let _alone = own_daemons();
    let mut driver = Driver::new(engine);
    let (reference, volume) = (artifacts::modelpack(&registry(), &[("tiny.gguf", MODEL)]), name(engine, "c"));
    driver.create(&volume, &reference).success();
    let container = name(engine, "later");
    let bind = format!("{volume}:/m");
    engine.own(&["create", "--name", &container, "--volume", &bind, IMAGE, "cat", "/m/tiny.gguf"]).success();
    driver.stop(rustix::process::Signal::TERM);
    driver.restart_engine();
    let refused = engine.own(&["start", "--attach", &container]);
    assert!(refused.status != 0 && refused.stderr.contains("artishim"), "{refused:?}");
    driver.start(&[]);
    assert_eq!(engine.own(&["start", "--attach", &container]).success().as_bytes(), MODEL);
    engine.own(&["rm", &container]).success();
    engine.own(&["volume", "rm", &volume]).success();
}

/// A volume whose record is gone, which the engine still knows.
fn forgotten_volume_is_told_and_can_be_removed(engine: &Engine) {
    let _alone = own_daemons();
    let mut driver = Driver::new(engine);
    let (reference, volume) = (artifacts::modelpack(&registry(), &[("tiny.gguf", MODEL)]), name(engine, "d"));
    driver.create(&volume, &reference).success();
    let container = name(engine, "forgotten");
    let bind = format!("{volume}:/m");
    engine.own(&["create", "--name", &container, "--volume", &bind, IMAGE, "true"]).success();
    driver.stop(rustix::process::Signal::TERM);
    fs::remove_file(engine.store.path().join(format!("store/volumes/{volume}.json"))).unwrap();
    driver.start(&[]);
    let refused = engine.own(&["start", &container]);
    assert!(refused.status != 0 && refused.stderr.contains(&volume), "{refused:?}");
    engine.own(&["rm", &container]).success();
    let removed = engine.own(&["volume", "rm", "--force", &volume]);
    assert!(removed.status == 0 || removed.stderr.contains("has been removed from Podman"), "{removed:?}");
    driver.create(&volume, &reference).success();
    assert_eq!(driver.run(&volume, "cat /m/tiny.gguf").success().as_bytes(), MODEL);
    engine.own(&["volume", "rm", &volume]).success();
}

on_engines! {
    pulls_that_fail_on_docker28: pulls_that_fail_say_why_and_are_made_good("docker28"),
    pulls_that_fail_on_podman5: pulls_that_fail_say_why_and_are_made_good("podman5"),
    full_disk_on_docker28: full_disk_is_told_and_nothing_is_lost("docker28"),
    full_disk_on_podman4: full_disk_is_told_and_nothing_is_lost("podman4"),
    start_without_the_driver_on_docker28: engine_starts_without_the_driver("docker28"),
    start_without_the_driver_on_podman5: engine_starts_without_the_driver("podman5"),
    forgotten_volume_on_docker20: forgotten_volume_is_told_and_can_be_removed("docker20"),
    forgotten_volume_on_docker28: forgotten_volume_is_told_and_can_be_removed("docker28"),
    forgotten_volume_on_podman5: forgotten_volume_is_told_and_can_be_removed("podman5"),
}
