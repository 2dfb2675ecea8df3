//! What producers and registries write reaches people as text, wherever it comes out.

use serde_json::{Value, json};

use crate::common::registry::{Fault, Registry, What};
use crate::common::{Home, MANIFEST, MODELPACK, layer, modelpack, push};

/// What sets a terminal's title, clears it and turns what follows.
const EVIL: &str = "\u{1b}]0;pwned\u{7}\u{9b}2J\r\u{202e}";

#[track_caller]
fn assert_harmless(text: &str) {
    let is_harmful = |c: char| c != '\n' && (c.is_control() || ('\u{202a}'..='\u{202e}').contains(&c));
    assert!(!text.contains(is_harmful), "{text:?}");
}

#[test]
fn a_registrys_refusal() {
    let (home, registry) = (Home::new(), Registry::start());
    let message = format!("{EVIL}{}", "x".repeat(60_000));
    let body = json!({"errors": [{"code": format!("DENIED{EVIL}"), "message": message}]}).to_string();
    registry.fault(Fault::always("/manifests/", What::Status { status: 403, headers: vec![], body }));
    let reference = format!("{}/acme/tiny:1", registry.host());
    for arguments in [&["pull", &reference][..], &["--log-level", "debug", "inspect", "--model", &reference]] {
        let refused = home.artishim(arguments);
        assert_eq!(refused.status, 125);
        assert_harmless(&refused.stderr);
        assert!(refused.stderr.contains("DENIED"), "{refused:?}");
        assert!(refused.stderr.lines().all(|line| line.len() < 5000), "{refused:?}");
    }
}

#[test]
fn the_name_of_a_file() {
    let registry = Registry::start();
    // Control characters are refused, what turns text is not.
    let reference = modelpack(&registry, "acme/turned", &[("gnp\u{202e}fugg.gguf", b"GGUF")]);
    for mode in ["plain", "json"] {
        let home = Home::new();
        let pulled = home.artishim(&["--progress", mode, "pull", &reference]);
        assert_harmless(&pulled.stderr);
        assert!(pulled.stderr.contains("fugg.gguf"), "{pulled:?}");
        for line in pulled.stderr.lines().filter(|_| mode == "json") {
            serde_json::from_str::<Value>(line).expect("escapes are JSON's own");
        }
        let shown = home.artishim(&["inspect", "--model", &reference]).success();
        assert_harmless(&shown);
        assert!(shown.contains("gnp\\u{202e}fugg.gguf"), "{shown}");
        let shown = home.artishim(&["path", "--json", &reference]).success();
        assert_harmless(&shown);
        assert_eq!(serde_json::from_str::<Value>(&shown).unwrap()["entry"], "gnp\u{202e}fugg.gguf");
    }
}

#[test]
fn annotations_in_json() {
    let (home, registry) = (Home::new(), Registry::start());
    let model = layer(&registry, "application/octet-stream", b"GGUF", &json!({"org.cncf.model.filepath": "m.gguf"}));
    let annotations = json!({"org.opencontainers.image.created": EVIL, "note": EVIL});
    let manifest = json!({
        "schemaVersion": 2, "mediaType": MANIFEST, "artifactType": MODELPACK, "layers": [model],
        "annotations": annotations,
    });
    let reference = push(&registry, "acme/notes", &manifest);
    home.artishim(&["pull", "--quiet", &reference]).success();
    for arguments in [&["inspect", &reference][..], &["ls", "--format", "json"], &["ls"]] {
        assert_harmless(&home.artishim(arguments).success());
    }
    let inspected: Value = serde_json::from_str(&home.artishim(&["inspect", &reference]).success()).unwrap();
    assert_eq!(inspected["Manifest"]["annotations"], annotations);
}
