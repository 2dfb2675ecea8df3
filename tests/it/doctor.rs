//! `artishim doctor`.

use std::fs;

use serde_json::Value;

use crate::common::Home;

#[test]
fn healthy_machine_is_said_to_be_one() {
    let home = Home::new();
    let said = home.artishim(&["doctor"]).success();
    let store = format!("ok       store       {}", home.store().display());
    assert!(said.lines().any(|line| line == store) && !said.contains("problem"), "{said}");
    let json: Value = serde_json::from_str(&home.artishim(&["doctor", "--json"]).success()).unwrap();
    assert!(json.as_array().unwrap().iter().any(|finding| finding["about"] == "space"), "{json}");
}

#[test]
fn what_will_not_work_is_named_with_the_way_out() {
    let home = Home::new();
    fs::write(home.path("a"), "a").unwrap();
    home.artishim(&["add", "x:1", home.path("a").to_str().unwrap()]).success();
    fs::remove_dir_all(home.store().join("blobs/sha256")).unwrap();
    fs::create_dir(home.store().join("blobs/sha256")).unwrap();
    let torn = home.artishim(&["doctor"]);
    assert_eq!(torn.status, 125);
    assert!(
        torn.stdout.contains("docker.io/library/x:1 is not whole (artishim pull docker.io/library/x:1"),
        "{torn:?}"
    );
    let engine = home.artishim(&["--engine", "/no/such/docker", "doctor"]);
    assert!(
        engine.status == 125 && engine.stdout.contains("problem  engine      ") && engine.stderr.is_empty(),
        "{engine:?}"
    );
    let store = home.artishim(&["--store", home.path("a").to_str().unwrap(), "doctor"]);
    assert!(store.status == 125 && store.stdout.contains("problem  store"), "{store:?}");
}
