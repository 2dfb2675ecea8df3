//! Every error is one line that names the thing and the way out, with status 125 and nothing lost.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::json;

use crate::common::registry::{Fault, Registry, What};
use crate::common::{Home, MANIFEST, MODELPACK, bytes, layer, modelpack, outcome, push};

#[track_caller]
fn assert_says(line: &str, words: &[&str]) {
    for word in words {
        assert!(line.contains(word), "{line:?} does not say {word:?}");
    }
}

#[test]
fn unknown_host() {
    let error = Home::new().artishim(&["pull", "registry.invalid/acme/tiny:1"]).failure();
    assert_says(&error, &["registry.invalid", "no such host", "check the registry's name"]);
}

#[test]
fn refused_connection() {
    let error = Home::new().artishim(&["pull", "127.0.0.1:1/acme/tiny:1"]).failure();
    let tries = "gave up after 4 attempts in ";
    assert_says(&error, &["127.0.0.1:1", tries, "connection refused", "check the registry's name"]);
}

#[test]
fn missing_tag() {
    let registry = Registry::start();
    let reference = format!("{}/acme/tiny:none", registry.host());
    let error = Home::new().artishim(&["pull", &reference]).failure();
    assert_says(&error, &[&reference, "404", "check repository and tag"]);
}

#[test]
fn helm_chart() {
    let registry = Registry::start();
    let config = layer(&registry, "application/vnd.cncf.helm.config.v1+json", b"{}", &json!({}));
    let chart = layer(&registry, "application/vnd.cncf.helm.chart.content.v1.tar+gzip", b"x", &json!({}));
    let manifest = json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [chart]});
    let error = Home::new().artishim(&["pull", &push(&registry, "acme/chart", &manifest)]).failure();
    assert_says(&error, &["Helm chart", "name an artifact or image that holds a model"]);
}

#[test]
fn index_with_several_children() {
    let registry = Registry::start();
    let children = ["a", "b"].map(|name| {
        let model = layer(&registry, "application/octet-stream", name.as_bytes(), &json!({}));
        let manifest = json!({"schemaVersion": 2, "mediaType": MANIFEST, "artifactType": MODELPACK, "layers": [model]});
        let digest = registry.push_manifest("acme/index", name, manifest.to_string());
        json!({"mediaType": MANIFEST, "digest": digest, "size": manifest.to_string().len(), "artifactType": MODELPACK})
    });
    let kind = "application/vnd.oci.image.index.v1+json";
    let index = json!({"schemaVersion": 2, "mediaType": kind, "manifests": children});
    let error = Home::new().artishim(&["pull", &push(&registry, "acme/index", &index)]).failure();
    let digests = children.map(|child| child["digest"].as_str().unwrap().to_owned());
    assert_says(&error, &[&digests[0], &digests[1], "@DIGEST"]);
}

/// `depth` indexes around one artifact.
fn nested(registry: &Registry, depth: usize) -> String {
    let model = layer(registry, "application/octet-stream", b"GGUF", &json!({}));
    let manifest = json!({"schemaVersion": 2, "mediaType": MANIFEST, "artifactType": MODELPACK, "layers": [model]});
    let mut json = manifest.to_string();
    for _ in 0..depth {
        let digest = registry.push_manifest("acme/nested", "inner", &json);
        let child = json!({"mediaType": MANIFEST, "digest": digest, "size": json.len()});
        json = json!({"schemaVersion": 2, "manifests": [child]}).to_string();
    }
    registry.push_manifest("acme/nested", "1", &json);
    format!("{}/acme/nested:1", registry.host())
}

#[test]
fn indexes_in_indexes_in_indexes() {
    let (home, registry) = (Home::new(), Registry::start());
    home.artishim(&["pull", "--quiet", &nested(&registry, 4)]).success();
    let error = home.artishim(&["pull", &nested(&registry, 5)]).failure();
    assert_says(&error, &["acme/nested:1", "more than 4 deep", "NAME@DIGEST"]);
}

/// An index that says nothing of its second child, which is the model.
#[test]
fn index_whose_model_is_told_by_its_own_manifest_only() {
    let (home, registry) = (Home::new(), Registry::start());
    let reference = nested(&registry, 0);
    let manifest = registry_manifest(&registry);
    let model = registry.push_manifest("acme/nested", "model", &manifest);
    let image = json!({"schemaVersion": 2, "mediaType": MANIFEST, "layers": []}).to_string();
    let platform = json!({"os": "linux", "architecture": "amd64"});
    let child = |digest: &str, size: usize, platform: Option<&serde_json::Value>| {
        let mut child = json!({"mediaType": MANIFEST, "digest": digest, "size": size});
        platform.into_iter().for_each(|platform| child["platform"] = platform.clone());
        child
    };
    let digest = registry.push_manifest("acme/nested", "image", &image);
    let children = [child(&digest, image.len(), Some(&platform)), child(&model, manifest.len(), None)];
    let index = json!({"schemaVersion": 2, "manifests": children});
    registry.push_manifest("acme/nested", "1", index.to_string());
    home.artishim(&["--platform", "linux/amd64", "pull", "--quiet", &reference]).success();
    assert_says(&home.artishim(&["path", &reference]).success(), &["m.gguf"]);
}

fn registry_manifest(registry: &Registry) -> String {
    let annotations = json!({"org.cncf.model.filepath": "m.gguf"});
    let model = layer(registry, "application/octet-stream", b"GGUF m", &annotations);
    json!({"schemaVersion": 2, "mediaType": MANIFEST, "artifactType": MODELPACK, "layers": [model]}).to_string()
}

/// hf.co's answer for a model in several GGUF files (ollama#5245), which is not the `errors` of the spec.
#[test]
fn sharded_repository_of_hugging_face() {
    let registry = Registry::start();
    let body = String::from(
        r#"{"error":"The specified repository contains sharded GGUF. Ollama does not support this yet."}"#,
    );
    registry.fault(Fault::always("/manifests/", What::Status { status: 400, headers: Vec::new(), body }));
    let error = Home::new().artishim(&["pull", &format!("{}/acme/big:latest", registry.host())]).failure();
    assert_says(&error, &["400", "contains sharded GGUF", "one file by its tag", "hf download", "artishim add"]);
}

/// olot's create_oci_artifact_from_model writes the size of the file for that of the tar around it.
#[test]
fn manifest_with_a_wrong_size() {
    let registry = Registry::start();
    let mut model = layer(&registry, "application/x-mlmodel", &bytes(1, 10_000), &json!({}));
    model["size"] = 8000.into();
    let manifest = json!({"schemaVersion": 2, "mediaType": MANIFEST, "layers": [model]});
    let error = Home::new().artishim(&["pull", &push(&registry, "acme/olot", &manifest)]).failure();
    assert_says(&error, &["10000 bytes, its manifest says 8000", "the manifest is wrong", "olot"]);
}

#[test]
fn no_engine() {
    let error = Home::new().artishim(&["run", "--mount", "type=artifact,src=a/b:1,dst=/m", "image"]).failure();
    assert_says(&error, &["engine", "--engine"]);
}

#[test]
fn engine_that_does_not_exist() {
    let error = Home::new().artishim(&["--engine", "unix:///nowhere/docker.sock", "engines"]).failure();
    assert_says(&error, &["/nowhere/docker.sock", "--engine"]);
}

#[test]
fn engine_too_old() {
    let home = Home::new();
    let podman = home.path("podman");
    let version = r#"{"Client":{"Version":"3.4.4"},"Server":{"Version":"3.4.4"}}"#;
    fs::write(&podman, format!("#!/bin/sh\necho '{version}'\n")).unwrap();
    fs::set_permissions(&podman, fs::Permissions::from_mode(0o755)).unwrap();
    let error = home.artishim(&["--engine", podman.to_str().unwrap(), "engines"]).failure();
    assert_says(&error, &["3.4.4", "too old", "upgrade"]);
}

#[test]
fn truncated_body() {
    let (home, registry) = (Home::new(), Registry::start());
    let reference = modelpack(&registry, "acme/short", &[("short.gguf", &bytes(1, 100_000))]);
    // Every answer ends at once, so that no try brings anything.
    registry.fault(Fault::always("/blobs/", What::CutAfter(0)));
    let error = home.artishim(&["pull", "--quiet", &reference]).failure();
    assert_says(&error, &["try again"]);
    assert_eq!(home.artishim(&["ls", "-q"]).success(), "");
}

#[test]
fn directory_that_is_no_store() {
    let home = Home::new();
    fs::create_dir(home.path("photos")).unwrap();
    fs::write(home.path("photos/cat.jpg"), "meow").unwrap();
    let photos = home.path("photos");
    let error = home.artishim(&["--store", photos.to_str().unwrap(), "ls"]).failure();
    assert_says(&error, &["photos", "not an artifact store", "--store"]);
    assert_eq!(fs::read_dir(photos).unwrap().count(), 1);
}

#[test]
fn artifact_that_is_not_in_the_store() {
    let home = Home::new();
    for command in [&["inspect", "acme/none:1"][..], &["rm", "acme/none:1"], &["extract", "acme/none:1", "/tmp"]] {
        assert_says(&home.artishim(command).failure(), &["acme/none:1: artifact does not exist", "artishim ls"]);
    }
}

#[test]
fn what_is_no_reference() {
    assert_says(&Home::new().artishim(&["pull", "ftp://x/y"]).failure(), &["ftp://x/y", "[REGISTRY/]REPOSITORY"]);
    assert_says(&Home::new().artishim(&["pull", "quay.io/Foo/bar"]).failure(), &["\"Foo/bar\"", "lower-case"]);
}

#[test]
fn what_is_no_command_line() {
    let cases: [(&[&str], &str); 3] = [
        (&["pull"], "the following required arguments were not provided: <REFERENCE>"),
        (&["pull", "--quite", "a/b"], "unexpected argument '--quite' found tip: a similar argument exists: '--quiet'"),
        (&["pull", "--pull", "now", "a/b"], "[possible values: missing, always, newer, never]"),
    ];
    for (line, expected) in cases {
        assert_says(&Home::new().artishim(line).failure(), &[expected]);
    }
}

#[test]
fn hostile_path_in_an_artifact() {
    let (home, registry) = (Home::new(), Registry::start());
    let reference = modelpack(&registry, "acme/evil", &[("a/../../../evil", b"GGUF evil")]);
    assert_says(&home.artishim(&["pull", "--quiet", &reference]).failure(), &["evil"]);
    assert_eq!(home.artishim(&["ls", "-q"]).success(), "");
}

#[test]
fn acceleration_without_a_podman_to_accelerate() {
    let registry = Registry::start();
    let reference = modelpack(&registry, "acme/tiny", &[("tiny.gguf", b"GGUF")]);
    let home = Home::new();
    let error = home.artishim(&["--accelerate", "pull", &reference]).failure();
    assert_eq!(error, "cannot accelerate: no Podman 5.7 or newer was found (leave --accelerate out)");
    let pull = |value: &str, flag: &[&str]| {
        let mut command = home.command(&[flag, &["pull", "--quiet", &reference]].concat());
        outcome(command.env("ARTISHIM_ACCELERATE", value).output().unwrap())
    };
    assert_eq!(pull("true", &[]), pull("true", &["--accelerate=false"]));
    pull("true", &[]).success();
    assert_eq!(pull("maybe", &[]).failure(), "ARTISHIM_ACCELERATE is maybe: expected true or false");
}
