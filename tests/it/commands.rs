//! What each command prints.

use std::fs;

use artishim::digest::Digest;
use serde_json::Value;

use crate::common::registry::Registry;
use crate::common::{Home, MANIFEST, MODELPACK, layer, modelpack, push};

const TINY: &[u8] = b"GGUF tiny";
const README: &[u8] = b"read me\n";

/// A home that has pulled an artifact of two files.
fn pulled() -> (Home, Registry, String) {
    let (home, registry) = (Home::new(), Registry::start());
    let reference = modelpack(&registry, "acme/tiny", &[("tiny.gguf", TINY), ("doc/README.md", README)]);
    home.artishim(&["pull", "--quiet", &reference]).success();
    (home, registry, reference)
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn manifest_digest(home: &Home, reference: &str) -> String {
    json(&home.artishim(&["inspect", reference]).success())["Digest"].as_str().unwrap().to_owned()
}

#[test]
fn ls_prints_podmans_columns() {
    let (home, registry, reference) = pulled();
    let digest = manifest_digest(&home, &reference).replace("sha256:", "");
    let name = format!("{}/acme/tiny", registry.host());
    let width = name.len();
    let expected = format!(
        "{:width$}  TAG         DIGEST        CREATED     SIZE        KIND\n{name}  1           {}              17B         ModelPack\n",
        "REPOSITORY",
        &digest[..12]
    );
    assert_eq!(home.artishim(&["ls"]).success(), expected);
    assert_eq!(home.artishim(&["ls", "-q", "--no-trunc"]).success(), format!("{digest}\n"));
}

#[test]
fn ls_as_json_is_json() {
    let (home, registry, reference) = pulled();
    let listed = json(&home.artishim(&["ls", "--format", "json"]).success());
    let digest = manifest_digest(&home, &reference).replace("sha256:", "");
    let expected = serde_json::json!([{
        "Repository": format!("{}/acme/tiny", registry.host()),
        "Tag": "1", "Digest": digest[..12], "CreatedAt": "", "Size": 17, "Kind": "ModelPack",
    }]);
    assert_eq!(listed, expected);
    assert_eq!(json(&Home::new().artishim(&["ls", "--format", "json"]).success()), serde_json::json!([]));
}

#[test]
fn ls_says_what_kind_each_artifact_is() {
    let (home, registry) = (Home::new(), Registry::start());
    let empty = serde_json::json!({"mediaType": "application/vnd.oci.empty.v1+json", "digest": registry.push_blob(b"{}").digest, "size": 2});
    let titled = |kind: &str| {
        let title = serde_json::json!({"org.opencontainers.image.title": "m.gguf"});
        let model = layer(&registry, kind, b"GGUF", &title);
        serde_json::json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": empty, "layers": [model]})
    };
    let references = [
        modelpack(&registry, "acme/a", &[("m.gguf", b"GGUF")]),
        push(&registry, "acme/b", &titled("application/octet-stream")),
        push(&registry, "acme/c", &titled("application/vnd.docker.ai.gguf.v3")),
        push(&registry, "acme/d", &titled("application/vnd.ollama.image.model")),
    ];
    for reference in &references {
        home.artishim(&["pull", "--quiet", reference]).success();
    }
    let kinds = || -> Vec<Value> {
        let listed: Value = json(&home.artishim(&["ls", "--format", "json"]).success());
        listed.as_array().unwrap().iter().map(|line| line["Kind"].clone()).collect()
    };
    assert_eq!(kinds(), ["ModelPack", "ORAS", "Docker AI", "Ollama"]);
    let digest = manifest_digest(&home, &references[0]).replace("sha256:", "");
    fs::remove_file(home.store().join("blobs/sha256").join(digest)).unwrap();
    assert_eq!(kinds(), ["", "ORAS", "Docker AI", "Ollama"], "one that is damaged does not hide the others");
}

#[test]
fn inspect_shows_the_manifest_and_the_digest_of_its_bytes() {
    let (home, registry, reference) = pulled();
    let inspected = json(&home.artishim(&["inspect", &reference]).success());
    assert_eq!(inspected["Name"], reference);
    assert_eq!(inspected["Manifest"]["artifactType"], MODELPACK);
    assert_eq!(inspected["Manifest"]["layers"].as_array().unwrap().len(), 2);
    let request = registry.requests().into_iter().find(|request| request.path.contains("/manifests/")).unwrap();
    let (name, tag) = (request.path.replace("/v2/", "").replace("/manifests/1", ""), "1");
    assert_eq!(reference, format!("{}/{name}:{tag}", registry.host()));
    let digest: Digest = inspected["Digest"].as_str().unwrap().parse().unwrap();
    let blob = fs::read(home.store().join("blobs/sha256").join(digest.hex())).unwrap();
    assert_eq!(Digest::sha256(&blob), digest);
}

#[test]
fn an_artifact_is_found_by_name_and_by_digest() {
    let (home, _registry, reference) = pulled();
    let digest = manifest_digest(&home, &reference);
    let hex = digest.trim_start_matches("sha256:");
    for name in [digest.as_str(), hex, &hex[..12], &format!("{reference}@{digest}"), &format!("oci://{reference}")] {
        assert_eq!(manifest_digest(&home, name), digest, "{name}");
    }
}

#[test]
fn rm_prints_digests_and_frees_the_blobs() {
    let (home, _registry, reference) = pulled();
    let digest = manifest_digest(&home, &reference);
    home.artishim(&["path", &reference]).success();
    let removed = home.artishim(&["rm", &reference]).success();
    assert_eq!(removed, format!("{}\n", digest.trim_start_matches("sha256:")));
    assert_eq!(fs::read_dir(home.store().join("blobs/sha256")).unwrap().count(), 0);
    assert_eq!(fs::read_dir(home.store().join("snapshots")).unwrap().count(), 0);
    assert_eq!(home.artishim(&["rm", "--ignore", &reference]).success(), "");
    assert_eq!(home.artishim(&["rm", "--all"]).success(), "");
}

#[test]
fn rm_of_a_mistyped_name_removes_nothing() {
    let (home, _registry, reference) = pulled();
    home.artishim(&["rm", &reference, "acme/none:1"]).failure();
    manifest_digest(&home, &reference);
}

#[test]
fn extract_writes_all_files_or_the_one_wanted() {
    let (home, _registry, reference) = pulled();
    let directory = home.path("out");
    fs::create_dir(&directory).unwrap();
    let out = directory.to_str().unwrap();
    home.artishim(&["extract", &reference, out]).success();
    assert_eq!(fs::read(directory.join("tiny.gguf")).unwrap(), TINY);
    assert_eq!(fs::read(directory.join("doc/README.md")).unwrap(), README);
    let file = home.path("one");
    home.artishim(&["extract", "--title", "README.md", &reference, file.to_str().unwrap()]).success();
    assert_eq!(fs::read(&file).unwrap(), README);
    home.artishim(&["extract", "--digest", &Digest::sha256(TINY).to_string(), &reference, file.to_str().unwrap()])
        .success();
    assert_eq!(fs::read(&file).unwrap(), TINY);
    let several = home.artishim(&["extract", &reference, file.to_str().unwrap()]).failure();
    assert!(several.contains("several blobs"), "{several}");
}

#[test]
fn path_as_json_names_all_parts() {
    let (home, registry) = (Home::new(), Registry::start());
    let files: [(&str, &[u8]); 3] =
        [("q4/m.gguf", TINY), ("mmproj-m.gguf", b"GGUF p"), ("chat_template.jinja", b"{{ messages }}")];
    let reference = modelpack(&registry, "acme/vision", &files);
    let answer = json(&home.artishim(&["path", "--json", &reference]).success());
    let digest = manifest_digest(&home, &reference);
    let snapshot = home.store().join("snapshots").join(digest.replace(':', "-"));
    let expected = serde_json::json!({
        "reference": reference, "digest": digest, "packaging": "ModelPack", "snapshot": snapshot,
        "entry": "q4/m.gguf", "mmproj": "mmproj-m.gguf", "chat_template": "chat_template.jinja",
    });
    assert_eq!(answer, expected);
}

#[test]
fn progress_as_json_is_a_line_for_each_event() {
    // A blob this small is done before the first of the few lines about its advance.
    let (home, registry) = (Home::new(), Registry::start());
    let reference = modelpack(&registry, "acme/tiny", &[("tiny.gguf", TINY)]);
    let pulled = home.artishim(&["pull", "--progress", "json", &reference]);
    assert_eq!(pulled.status, 0, "{pulled:?}");
    let events: Vec<Value> = pulled.stderr.lines().map(json).collect();
    let of_model = |event: &&Value| event["digest"] == Digest::sha256(TINY).to_string();
    let names: Vec<&str> = events.iter().filter(of_model).map(|event| event["event"].as_str().unwrap()).collect();
    assert_eq!(names, ["started", "verifying", "finished"]);
}

#[test]
fn a_wrong_command_line_is_our_error() {
    let wrong = Home::new().artishim(&["pull", "--no-such-flag"]);
    assert_eq!((wrong.status, wrong.stdout.as_str()), (125, ""));
    assert!(wrong.stderr.contains("--no-such-flag"), "{wrong:?}");
}
