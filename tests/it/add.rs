//! `artishim add`, `tag`, `untag`, `rm` and `prune`.

use std::fs;
use std::io::Write as _;
use std::process::Stdio;

use serde_json::Value;

use crate::common::{Home, outcome};

fn file(home: &Home, name: &str, content: &[u8]) -> String {
    let path = home.path(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, content).unwrap();
    path.display().to_string()
}

fn inspect(home: &Home, name: &str) -> Value {
    serde_json::from_str(&home.artishim(&["inspect", name]).success()).unwrap()
}

fn titles(home: &Home, name: &str) -> Vec<String> {
    let inspected = inspect(home, name);
    let layers = inspected["Manifest"]["layers"].as_array().unwrap();
    let title = |layer: &Value| layer["annotations"]["org.opencontainers.image.title"].as_str().unwrap().to_owned();
    layers.iter().map(title).collect()
}

#[test]
fn files_become_an_artifact_as_podman_makes_it() {
    let home = Home::new();
    let (model, text) = (file(&home, "m.gguf", b"GGUF\x03\0\0\0"), file(&home, "a.txt", b"text"));
    let line = ["add", "--annotation", "a=b=c", "--type", "application/x-mine", "acme/m:1", &model, &text];
    let digest = home.artishim(&line).success();
    let inspected = inspect(&home, "acme/m:1");
    assert_eq!(inspected["Digest"], format!("sha256:{}", digest.trim()));
    assert_eq!(inspected["Name"], "docker.io/acme/m:1");
    let manifest = &inspected["Manifest"];
    assert_eq!(
        (manifest["artifactType"].as_str(), manifest["annotations"]["a"].as_str()),
        (Some("application/x-mine"), Some("b=c"))
    );
    assert!(manifest["annotations"]["org.opencontainers.image.created"].is_string());
    assert_eq!(manifest["config"]["data"], "e30=");
    let layers: Vec<_> =
        manifest["layers"].as_array().unwrap().iter().map(|layer| layer["mediaType"].as_str().unwrap()).collect();
    assert_eq!(layers, ["application/octet-stream", "text/plain; charset=utf-8"]);
    assert_eq!(titles(&home, "acme/m:1"), ["m.gguf", "a.txt"]);
    home.artishim(&["add", "--file-type", "text/mine", "acme/t:1", &text]).success();
    assert_eq!(inspect(&home, "acme/t:1")["Manifest"]["layers"][0]["mediaType"], "text/mine");
}

#[test]
fn artifact_that_is_there_stays_is_added_to_or_is_replaced() {
    let home = Home::new();
    let files = ["a", "b", "c"].map(|name| file(&home, name, name.as_bytes()));
    let [a, b, c] = files.each_ref().map(String::as_str);
    home.artishim(&["add", "x:1", a]).success();
    let created = inspect(&home, "x:1")["Manifest"]["annotations"].clone();
    let error = |line: &[&str]| home.artishim(line).failure();
    assert!(error(&["add", "x:1", b]).contains("docker.io/library/x:1: artifact already exists"));
    assert!(error(&["add", "--append", "y:1", b]).contains("y:1: artifact does not exist"));
    assert!(error(&["add", "--append", "x:1", a]).contains("a: file already exists in artifact"));
    assert!(error(&["add", "--append", "x:1", b, b]).contains("b: file already exists in artifact"));
    assert_eq!(titles(&home, "x:1"), ["a"]);
    home.artishim(&["add", "--append", "--annotation", "k=v", "x:1", b, c]).success();
    assert_eq!(titles(&home, "x:1"), ["a", "b", "c"]);
    let inspected = inspect(&home, "x:1");
    assert_eq!(inspected["Manifest"]["annotations"], created);
    assert!(inspected["Manifest"]["layers"][0]["annotations"]["k"].is_null());
    assert_eq!(inspected["Manifest"]["layers"][2]["annotations"]["k"], "v");
    assert_eq!(home.artishim(&["ls", "--quiet"]).success().lines().count(), 1);
    home.artishim(&["add", "--replace", "x:1", c]).success();
    assert_eq!(titles(&home, "x:1"), ["c"]);
    home.artishim(&["add", "--replace", "new:1", c]).success();
}

#[test]
fn what_cannot_be_added_is_refused_in_podmans_words_and_leaves_nothing() {
    let home = Home::new();
    let a = file(&home, "a", b"a");
    let title = "org.opencontainers.image.title";
    let (named, gone) = (format!("{title}=same"), home.path("gone").display().to_string());
    let cases: [(&[&str], &str); 8] = [
        (&["add", "x", &a, &a], "a: file already exists in artifact"),
        (&["add", "--annotation", &named, "x", &a, "-"], "duplicate layers org.opencontainers.image.title labels"),
        (&["add", "--annotation", "bad", "x", &a], "no value given for annotation \"bad\""),
        (&["add", "--append", "--replace", "x", &a], "--append and --replace options cannot be used together"),
        (&["add", "--append", "--type", "t", "x", &a], "append option is not compatible with type option"),
        (&["add", "x", &gone], "gone: No such file or directory"),
        (
            &["add", "x", "-"],
            "standard input has no file name (name it: --annotation org.opencontainers.image.title=NAME)",
        ),
        (&["add", "UPPER/x:1", &a], "is not a reference"),
    ];
    for (line, expected) in cases {
        let said = home.artishim(line).failure();
        assert!(said.contains(expected), "{line:?}: {said}");
    }
    assert_eq!(home.artishim(&["ls", "--quiet"]).success(), "");
    assert_eq!(home.artishim(&["prune"]).success(), "Total reclaimed space: 0B\n");
}

#[test]
fn name_with_a_digest_means_what_has_that_digest() {
    let home = Home::new();
    let a = file(&home, "a", b"a");
    let pinned = format!("quay.io/acme/m@sha256:{}", "ab".repeat(32));
    assert!(home.artishim(&["add", &pinned, &a]).failure().contains("a new name has no digest"));
    home.artishim(&["add", "quay.io/acme/m:1", &a]).success();
    // As another program may write it.
    let index = home.store().join("index.json");
    let text = fs::read_to_string(&index).unwrap();
    fs::write(&index, text.replace("quay.io/acme/m:1", &pinned)).unwrap();
    assert!(home.artishim(&["inspect", &pinned]).failure().contains("artifact does not exist"));
}

#[test]
fn digest_of_several_names_does_not_say_which_is_to_go() {
    let home = Home::new();
    let a = file(&home, "a", b"a");
    let digest = home.artishim(&["add", "x:1", &a]).success();
    home.artishim(&["tag", "x:1", "y:1"]).success();
    let said = home.artishim(&["rm", digest.trim()]).failure();
    assert!(said.contains("has several names") && said.contains("x:1, docker.io/library/y:1"), "{said}");
    home.artishim(&["rm", "x:1"]).success();
    home.artishim(&["rm", digest.trim()]).success();
    let odd = file(&home, "odd\nname", b"a");
    assert!(home.artishim(&["add", "z:1", &odd]).failure().contains("is no name of a file in an artifact"));
    let said = home.artishim(&["add", &format!("sha256:{}", digest.trim()), &a]).failure();
    assert!(said.contains("is a digest"), "{said}");
}

#[test]
fn directory_is_whole_and_leads_nowhere_else() {
    let home = Home::new();
    for name in ["m/.hidden", "m/sub/a", "m/w.gguf"] {
        file(&home, name, name.as_bytes());
    }
    fs::create_dir(home.path("m/empty")).unwrap();
    let directory = home.path("m").display().to_string();
    home.artishim(&["add", "d:1", &directory]).success();
    fs::create_dir(home.path("out")).unwrap();
    home.artishim(&["extract", "d:1", home.path("out").to_str().unwrap()]).success();
    assert!(home.path("out/m/.hidden").exists() && home.path("out/m/sub/a").exists());
    std::os::unix::fs::symlink("/etc/passwd", home.path("m/link")).unwrap();
    let said = home.artishim(&["add", "d:2", &directory]).failure();
    assert!(said.contains("m/link leads out of the directory"), "{said}");
    fs::remove_file(home.path("m/link")).unwrap();
}

#[test]
fn add_that_is_stopped_leaves_nothing() {
    let home = Home::new();
    let path = home.path("large");
    fs::File::create(&path).unwrap().set_len(8 << 30).unwrap();
    let child = home.spawn(&["add", "x:1", path.to_str().unwrap()]);
    while fs::read_dir(home.store().join("ingest")).map_or(0, Iterator::count) == 0 {
        std::thread::yield_now();
    }
    rustix::process::kill_process(rustix::process::Pid::from_child(&child), rustix::process::Signal::INT).unwrap();
    let ended = outcome(child.wait_with_output().unwrap());
    assert_eq!(ended.status, 130, "{ended:?}");
    assert_eq!(fs::read_dir(home.store().join("ingest")).unwrap().count(), 0);
}

#[test]
fn standard_input_is_added_whole() {
    let home = Home::new();
    let content = vec![b'x'; 300_000];
    let mut command = home.command(&["add", "--annotation", "org.opencontainers.image.title=in.bin", "in:1", "-"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(&content).unwrap();
    outcome(child.wait_with_output().unwrap()).success();
    let target = home.path("out");
    home.artishim(&["extract", "in:1", target.to_str().unwrap()]).success();
    assert!(fs::read(target).unwrap() == content);
}

#[test]
fn directory_is_one_layer_that_is_unpacked_again() {
    let home = Home::new();
    file(&home, "model/config.json", b"{}");
    file(&home, "model/sub/w.bin", b"weights");
    let directory = home.path("model").display().to_string();
    let first = home
        .artishim(&["add", "--annotation", "org.opencontainers.image.created=2026-01-02T03:04:05Z", "d:1", &directory])
        .success();
    let second = home
        .artishim(&["add", "--annotation", "org.opencontainers.image.created=2026-01-02T03:04:05Z", "d:2", &directory])
        .success();
    assert_eq!(first, second, "the same files are the same artifact");
    fs::create_dir(home.path("out")).unwrap();
    home.artishim(&["extract", "d:1", home.path("out").to_str().unwrap()]).success();
    assert_eq!(fs::read(home.path("out/model/sub/w.bin")).unwrap(), b"weights");
}

#[test]
fn model_pack_says_what_model_it_is() {
    let home = Home::new();
    let config = br#"{"model_type": "llama", "torch_dtype": "bfloat16"}"#;
    file(&home, "m/config.json", config);
    file(&home, "m/model.safetensors", &[&2_u64.to_le_bytes()[..], b"{}"].concat());
    file(&home, "m/docs/README.md", b"read");
    let directory = home.path("m").display().to_string();
    home.artishim(&["add", "--packaging", "modelpack", "m:1", &directory]).success();
    assert_eq!(titles(&home, "m:1"), ["config.json", "docs/README.md", "model.safetensors"]);
    let inspected = inspect(&home, "m:1");
    assert_eq!(inspected["Manifest"]["artifactType"], "application/vnd.cncf.model.manifest.v1+json");
    let kinds: Vec<_> = inspected["Manifest"]["layers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|layer| layer["mediaType"].as_str().unwrap())
        .collect();
    let expected = ["weight.config", "doc", "weight"].map(|kind| format!("application/vnd.cncf.model.{kind}.v1.raw"));
    assert_eq!(kinds, expected);
    let model: Value =
        serde_json::from_str(&home.artishim(&["inspect", "--model", "--json", "m:1"]).success()).unwrap();
    assert_eq!((model["packaging"].as_str(), model["architecture"].as_str()), (Some("ModelPack"), Some("llama")));
    assert_eq!((model["precision"].as_str(), model["format"].as_str()), (Some("bfloat16"), Some("safetensors")));
    let digest = inspected["Manifest"]["config"]["digest"].as_str().unwrap().trim_start_matches("sha256:").to_owned();
    let config: Value =
        serde_json::from_slice(&fs::read(home.store().join("blobs/sha256").join(digest)).unwrap()).unwrap();
    assert_eq!(config["config"]["architecture"], "llama");
    assert_eq!(config["modelfs"]["diffIds"].as_array().unwrap().len(), 3);
}

#[test]
fn names_are_given_and_taken_and_what_has_none_stays_until_it_is_pruned() {
    let home = Home::new();
    let a = file(&home, "a", &[b'a'; 5000]);
    let digest = home.artishim(&["add", "x:1", &a]).success();
    home.artishim(&["tag", "x:1", "x:2", "quay.io/acme/y:3"]).success();
    assert_eq!(home.artishim(&["ls", "--format", "{{.Repository}}:{{.Tag}}"]).success().lines().count(), 3);
    assert!(
        home.artishim(&["tag", "x:1", &format!("z@sha256:{}", digest.trim())])
            .failure()
            .contains("a new name has no digest")
    );
    assert!(home.artishim(&["tag", "gone", "z"]).failure().contains("gone: artifact does not exist"));
    assert!(home.artishim(&["untag", "x:1", "gone"]).failure().contains("gone: artifact does not exist"));
    assert!(home.artishim(&["untag", digest.trim()]).failure().contains("is no name"));
    home.artishim(&["untag", "x:1", "x:2"]).success();
    assert_eq!(home.artishim(&["ls", "--format", "{{.Repository}}:{{.Tag}}"]).success(), "quay.io/acme/y:3\n");
    home.artishim(&["untag", "quay.io/acme/y:3"]).success();
    assert_eq!(home.artishim(&["ls", "--format", "{{.Repository}}"]).success(), "<none>\n");
    home.artishim(&["tag", &digest[..8], "again:1"]).success();
    assert_eq!(home.artishim(&["prune"]).success(), "Total reclaimed space: 0B\n");
    home.artishim(&["untag", "again:1"]).success();
    let told = home.artishim(&["prune", "--dry-run"]).success();
    assert!(told.contains(&format!("blob sha256:{}", digest.trim())) && told.contains("space: 5."), "{told}");
    assert_eq!(home.artishim(&["ls", "--quiet"]).success().lines().count(), 1);
    assert_eq!(home.artishim(&["prune"]).success(), told);
    assert_eq!(home.artishim(&["prune"]).success(), "Total reclaimed space: 0B\n");
    assert_eq!(fs::read_dir(home.store().join("blobs/sha256")).unwrap().count(), 0);
}

#[test]
fn artifacts_are_added_at_once_without_one_being_lost() {
    let home = Home::new();
    let files: Vec<String> = (0..8).map(|at| file(&home, &format!("f{at}"), &[at; 1000])).collect();
    let children: Vec<_> =
        files.iter().enumerate().map(|(at, path)| home.spawn(&["add", &format!("x:{at}"), path])).collect();
    for child in children {
        outcome(child.wait_with_output().unwrap()).success();
    }
    assert_eq!(home.artishim(&["ls", "--quiet"]).success().lines().count(), 8);
}
