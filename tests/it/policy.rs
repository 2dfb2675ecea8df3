//! Pulls as containers-policy.json(5) allows them.

use std::fs;

use crate::common::registry::Registry;
use crate::common::{Home, modelpack};

fn policy(home: &Home, registry: &Registry, requirement: &str) {
    let path = home.path(".config/containers/policy.json");
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let text = format!(
        r#"{{"default": [{{"type": "insecureAcceptAnything"}}], "transports": {{"docker": {{"{}": [{requirement}]}}}}}}"#,
        registry.host()
    );
    fs::write(path, text).unwrap();
}

#[test]
fn what_the_policy_refuses_is_not_asked_for() {
    let (home, registry) = (Home::new(), Registry::start());
    let reference = modelpack(&registry, "m", &[("m.gguf", b"GGUF")]);
    let cases = [
        (r#"{"type": "reject"}"#, "is rejected by"),
        (
            r#"{"type": "sigstoreSigned", "keyPath": "/k"}"#,
            "sigstoreSigned), whose key /k cannot be used: No such file",
        ),
        (r#"{"type": "signedBy", "keyType": "GPGKeys", "keyPath": "/k"}"#, "signedBy), which artishim cannot check"),
    ];
    for (requirement, expected) in cases {
        policy(&home, &registry, requirement);
        for line in [&["pull", &reference][..], &["path", &reference], &["inspect", "--model", &reference]] {
            let said = home.artishim(line).failure();
            assert!(said.contains(expected) && said.contains("policy.json"), "{said}");
        }
    }
    assert!(registry.requests().is_empty(), "{:?}", registry.requests());
    policy(&home, &registry, r#"{"type": "insecureAcceptAnything"}"#);
    home.artishim(&["pull", "--quiet", &reference]).success();
    // What is here was allowed when it came.
    policy(&home, &registry, r#"{"type": "reject"}"#);
    home.artishim(&["path", &reference]).success();
}

#[test]
fn policy_that_cannot_be_read_stops_a_pull() {
    let (home, registry) = (Home::new(), Registry::start());
    let reference = modelpack(&registry, "m", &[("m.gguf", b"GGUF")]);
    policy(&home, &registry, "nonsense");
    let said = home.artishim(&["pull", &reference]).failure();
    assert!(said.contains("policy.json"), "{said}");
    assert!(home.artishim(&["doctor"]).stdout.contains("problem  policy"));
}
