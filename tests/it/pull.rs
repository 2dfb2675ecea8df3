//! Whole pulls from a registry in this process.

use std::fs;
use std::process::Command;
use std::time::Duration;

use crate::common::registry::{Auth, Fault, Registry, What};
use crate::common::{Home, assert_sound, bytes, modelpack, outcome};

#[test]
fn a_pulled_artifact_lies_in_a_snapshot_under_its_names() {
    let (home, registry) = (Home::new(), Registry::start());
    let model = [b"GGUF".as_slice(), &bytes(1, 1000)].concat();
    let reference = modelpack(&registry, "acme/tiny", &[("q4/tiny.gguf", &model), ("README.md", b"hello")]);
    home.artishim(&["pull", &reference]).success();
    let entry = home.artishim(&["path", &reference]).success();
    assert!(entry.ends_with("/q4/tiny.gguf\n"), "{entry}");
    assert_eq!(fs::read(entry.trim_end()).unwrap(), model);
    assert_sound(&home.store());
}

#[test]
fn a_second_pull_fetches_no_blob_again() {
    let (home, registry) = (Home::new(), Registry::start());
    let reference = modelpack(&registry, "acme/tiny", &[("tiny.gguf", b"GGUF tiny")]);
    home.artishim(&["pull", &reference]).success();
    registry.clear_requests();
    home.artishim(&["pull", &reference]).success();
    assert_eq!(registry.sent("/blobs/"), 0);
}

#[test]
fn quiet_prints_nothing() {
    let (home, registry) = (Home::new(), Registry::start());
    let reference = modelpack(&registry, "acme/tiny", &[("tiny.gguf", b"GGUF tiny")]);
    let pulled = home.artishim(&["pull", "--quiet", &reference]);
    assert_eq!((pulled.status, pulled.stdout.as_str(), pulled.stderr.as_str()), (0, "", ""));
}

#[test]
fn a_broken_connection_goes_on_where_it_broke() {
    let (home, registry) = (Home::new(), Registry::start());
    let model = bytes(2, 3_000_000);
    let reference = modelpack(&registry, "acme/cut", &[("cut.gguf", &model)]);
    for _ in 0..3 {
        registry.fault(Fault::once("/blobs/", What::CutAfter(900_000)));
    }
    home.artishim(&["pull", &reference]).success();
    assert_sound(&home.store());
    // Each break may lose what was under way in the sockets, and no more.
    assert!(registry.sent("/blobs/") < 3_600_000, "{}", registry.sent("/blobs/"));
}

#[test]
fn a_registry_that_ignores_ranges_still_gives_the_right_bytes() {
    let (home, registry) = (Home::new(), Registry::start());
    let reference = modelpack(&registry, "acme/plain", &[("plain.gguf", &bytes(3, 2_000_000))]);
    registry.fault(Fault::once("/blobs/", What::CutAfter(1_500_000)));
    registry.fault(Fault::always("/blobs/", What::IgnoreRange));
    home.artishim(&["pull", &reference]).success();
    assert_sound(&home.store());
}

#[test]
fn wrong_bytes_are_never_visible() {
    let (home, registry) = (Home::new(), Registry::start());
    let reference = modelpack(&registry, "acme/wrong", &[("wrong.gguf", &bytes(4, 500_000))]);
    registry.fault(Fault::always("/blobs/", What::WrongByte(1)));
    let error = home.artishim(&["pull", "--quiet", &reference]).failure();
    assert!(error.contains("wrong content"), "{error}");
    assert_sound(&home.store());
    assert_eq!(home.artishim(&["ls", "--noheading"]).success(), "");
    registry.clear_faults();
    home.artishim(&["pull", &reference]).success();
    assert_sound(&home.store());
}

#[test]
fn two_pulls_at_once_fetch_each_blob_once() {
    let (home, registry) = (Home::new(), Registry::start());
    let (one, two) = (bytes(5, 2_000_000), bytes(6, 1_000_000));
    let reference = modelpack(&registry, "acme/both", &[("one.gguf", &one), ("two.gguf", &two)]);
    registry.fault(Fault::always("/blobs/", What::Slow(4_000_000)));
    let pulls = [home.spawn(&["pull", &reference]), home.spawn(&["pull", &reference])];
    for pull in pulls {
        outcome(pull.wait_with_output().unwrap()).success();
    }
    assert_sound(&home.store());
    // The config of two bytes is read by each to know the packaging.
    assert!(registry.sent("/blobs/") <= 3_000_000 + 4 * 2, "{}", registry.sent("/blobs/"));
}

#[test]
fn a_killed_pull_leaves_a_sound_store_and_goes_on() {
    let (home, registry) = (Home::new(), Registry::start());
    let model = bytes(7, 40_000_000);
    let reference = modelpack(&registry, "acme/killed", &[("killed.gguf", &model)]);
    registry.fault(Fault::always("/blobs/", What::Slow(60_000_000)));
    for milliseconds in [50, 150, 250, 350] {
        let mut pull = home.spawn(&["pull", &reference]);
        std::thread::sleep(Duration::from_millis(milliseconds));
        pull.kill().unwrap();
        pull.wait().unwrap();
        assert_sound(&home.store());
    }
    registry.clear_faults();
    home.artishim(&["pull", &reference]).success();
    assert_sound(&home.store());
    // A kill loses at most what was not yet recorded, 16 MiB.
    let sent = registry.sent("/blobs/");
    assert!(sent < 40_000_000 + 4 * (16 * 1024 * 1024 + 8 * 1024 * 1024), "{sent}");
}

#[test]
fn a_pull_that_is_asked_to_stop_keeps_what_arrived() {
    let (home, registry) = (Home::new(), Registry::start());
    let reference = modelpack(&registry, "acme/stopped", &[("stopped.gguf", &bytes(10, 8_000_000))]);
    registry.fault(Fault::always("/blobs/", What::Slow(4_000_000)));
    let pull = home.spawn(&["pull", "--quiet", &reference]);
    std::thread::sleep(Duration::from_millis(1000));
    Command::new("kill").arg(pull.id().to_string()).status().unwrap();
    let stopped = outcome(pull.wait_with_output().unwrap());
    assert_eq!((stopped.status, stopped.stderr.as_str()), (130, "Error: interrupted\n"));
    registry.clear_faults();
    registry.clear_requests();
    home.artishim(&["pull", &reference]).success();
    assert_sound(&home.store());
    assert!(registry.sent("/blobs/") < 6_500_000, "{}", registry.sent("/blobs/"));
}

#[test]
fn rm_during_pull_and_pull_during_rm_leave_a_sound_store() {
    let (home, registry) = (Home::new(), Registry::start());
    let shared = bytes(8, 1_000_000);
    let first = modelpack(&registry, "acme/first", &[("shared.gguf", &shared)]);
    let second = modelpack(&registry, "acme/second", &[("shared.gguf", &shared), ("own.gguf", &bytes(9, 1_000_000))]);
    home.artishim(&["pull", &first]).success();
    registry.fault(Fault::always("/blobs/", What::Slow(4_000_000)));
    let pull = home.spawn(&["pull", &second]);
    std::thread::sleep(Duration::from_millis(100));
    home.artishim(&["rm", &first]).success();
    outcome(pull.wait_with_output().unwrap()).success();
    assert_sound(&home.store());
    let entry = home.artishim(&["path", "--json", "--pull", "never", &second]).success();
    assert!(entry.contains("acme/second"), "{entry}");
    home.artishim(&["rm", "--all"]).success();
    assert_eq!(fs::read_dir(home.store().join("blobs/sha256")).unwrap().count(), 0);
}

#[test]
fn credentials_open_a_private_registry() {
    let (home, registry) = (Home::new(), Registry::start());
    let reference = modelpack(&registry, "acme/private", &[("tiny.gguf", b"GGUF tiny")]);
    registry.require(Auth::Basic { user: "ann", password: "secret" });
    home.artishim(&["pull", "--creds", "ann:secret", &reference]).success();
    let wrong = home.artishim(&["pull", "--quiet", "--creds", "ann:guess", &reference]).failure();
    assert!(wrong.contains("with the credentials given") && !wrong.contains("guess"), "{wrong}");
    let none = home.artishim(&["pull", "--quiet", &reference]).failure();
    assert!(
        none.contains("without credentials") && none.contains(&format!("`artishim login {}`", registry.host())),
        "{none}"
    );
}

#[test]
fn tokens_that_expire_in_the_middle_are_renewed() {
    let (home, registry) = (Home::new(), Registry::start());
    let files: Vec<(String, Vec<u8>)> = (0..6).map(|i| (format!("{i}.gguf"), bytes(20 + i, 100_000))).collect();
    let files: Vec<(&str, &[u8])> = files.iter().map(|(name, content)| (name.as_str(), content.as_slice())).collect();
    let reference = modelpack(&registry, "acme/token", &files);
    registry.require(Auth::Bearer { user: Some(("ann", "secret")), refresh_token: None, uses: 2 });
    // One at a time, or others use the new token up before the request it was for.
    home.artishim(&["pull", "--connections", "1", "--creds", "ann:secret", &reference]).success();
    assert_sound(&home.store());
}

#[test]
fn pull_never_asks_no_registry() {
    let (home, registry) = (Home::new(), Registry::start());
    let reference = modelpack(&registry, "acme/tiny", &[("tiny.gguf", b"GGUF tiny")]);
    let error = home.artishim(&["path", "--pull", "never", &reference]).failure();
    assert!(error.contains(&reference) && error.contains("artishim pull"), "{error}");
    assert!(registry.requests().is_empty());
}

#[test]
fn index_is_pulled_by_its_own_digest_and_found_by_it() {
    let (home, registry) = (Home::new(), Registry::start());
    let model = modelpack(&registry, "m", &[("m.gguf", b"GGUF")]);
    home.artishim(&["pull", "--quiet", &model]).success();
    let child = home.artishim(&["inspect", "--format", "{{.Digest}}", &model]).success();
    let size = fs::metadata(home.store().join("blobs/sha256").join(&child.trim()[7..])).unwrap().len();
    let manifest = serde_json::json!({
        "mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": child.trim(), "size": size,
    });
    let media_type = "application/vnd.oci.image.index.v1+json";
    let index = serde_json::json!({"schemaVersion": 2, "mediaType": media_type, "manifests": [manifest]});
    let digest = registry.push_manifest("m", "all", index.to_string());
    let pinned = format!("{}/m@{digest}", registry.host());
    home.artishim(&["pull", "--quiet", &pinned]).success();
    assert_eq!(home.artishim(&["inspect", "--format", "{{.Digest}}", &pinned]).success(), child);
    registry.clear_requests();
    home.artishim(&["path", "--pull", "never", &pinned]).success();
    assert!(registry.requests().is_empty());
}
