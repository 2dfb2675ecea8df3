use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use tempfile::TempDir;

use super::*;

/// As podman 4.3.1 printed it on Debian 12.
const LOCAL_4_3: &str = r#"{"Client":{"APIVersion":"4.3.1","Version":"4.3.1","GoVersion":"go1.19.8","GitCommit":"",
    "BuiltTime":"Thu Jan  1 00:00:00 1970","Built":0,"OsArch":"linux/amd64","Os":"linux"}}"#;
const LOCAL_3_4: &str = r#"{"Client":{"APIVersion":"3.4.4","Version":"3.4.4","Built":0,"OsArch":"linux/amd64"}}"#;

/// A directory for PATH with a fake program in it, called `name`.
fn fake(name: &str, answers: &[(&str, &str)]) -> TempDir {
    let directory = tempfile::tempdir().expect("temporary directory");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/engine/testdata/podman");
    symlink(script, directory.path().join(name)).expect("links");
    for (command, answer) in answers {
        fs::write(directory.path().join(format!("{command}.json")), answer).expect("writes");
    }
    directory
}

/// Nothing but this PATH, and a DOCKER_HOST where nothing is.
fn environment(path: &Path) -> Environment {
    Environment {
        path: Some(path.into()),
        docker_host: Some("unix:///nonexistent/docker.sock".to_owned()),
        container_host: Some("unix:///nonexistent/podman.sock".to_owned()),
        ..Environment::default()
    }
}

async fn detect_in(path: &Path, choice: Choice) -> Result<Engine> {
    detect(&choice, &environment(path), &DockerEndpointFlags::default()).await
}

#[test]
fn choices_are_words_paths_or_addresses() {
    let cases = [
        ("auto", Choice::Auto),
        ("podman", Choice::Podman),
        ("docker", Choice::Docker),
        ("none", Choice::None),
        ("/opt/bin/podman", Choice::Path("/opt/bin/podman".into())),
        ("tcp://far:2375", Choice::Url("tcp://far:2375".to_owned())),
    ];
    for (text, expected) in cases {
        assert_eq!(text.parse::<Choice>().expect("is a choice"), expected);
    }
    let error = "nerdctl".parse::<Choice>().expect_err("is none").to_string();
    assert_eq!(error, "engine \"nerdctl\" is not auto, podman, docker, none, a path or a URL");
}

#[tokio::test]
async fn a_local_podman_is_found_by_its_command_line_alone() {
    let bin = fake("podman", &[("version", LOCAL_4_3)]);
    let engine = detect_in(bin.path(), Choice::Auto).await.expect("is found");
    assert_eq!((engine.kind, engine.server_version.to_string()), (Kind::Podman, "4.3.1".to_owned()));
    assert!(!engine.mounts_artifacts() && !engine.has_api());
    assert_eq!(engine.cli().expect("has one").program(), bin.path().join("podman"));
}

#[tokio::test]
async fn a_docker_that_is_podman_is_recognised() {
    let bin = fake("docker", &[("version", LOCAL_4_3)]);
    let engine = detect_in(bin.path(), Choice::Docker).await.expect("is found");
    assert_eq!(engine.kind, Kind::Podman);
    let by_path = detect_in(Path::new("/"), Choice::Path(bin.path().join("docker"))).await.expect("is found");
    assert_eq!(by_path.kind, Kind::Podman);
}

#[tokio::test]
async fn links_to_ourselves_are_passed_over() {
    let bin = fake("podman", &[("version", LOCAL_4_3)]);
    let own_program = Some(bin.path().join("podman"));
    let environment = Environment { own_program, ..environment(bin.path()) };
    let error = detect(&Choice::Podman, &environment, &DockerEndpointFlags::default()).await.expect_err("is our own");
    assert_eq!(error.to_string(), "podman is not in PATH");
}

#[tokio::test]
async fn nothing_at_all_says_what_was_looked_for() {
    let empty = tempfile::tempdir().expect("temporary directory");
    let error = detect_in(empty.path(), Choice::Auto).await.expect_err("there is none");
    let expected = "no container engine found: podman is not in PATH; no socket at unix:///nonexistent/docker.sock";
    assert_eq!(error.to_string(), expected);
    assert!(matches!(detect_in(empty.path(), Choice::None).await, Err(Error::Unwanted)));
}

#[tokio::test]
async fn a_podman_that_is_too_old_or_broken_is_what_the_user_hears_of() {
    let old = fake("podman", &[("version", LOCAL_3_4)]);
    let error = detect_in(old.path(), Choice::Auto).await.expect_err("is too old").to_string();
    assert!(error.starts_with("Podman 3.4.4 at /") && error.ends_with("is too old, 4.0 or newer is needed"), "{error}");
    let silent = fake("podman", &[]);
    let error = detect_in(silent.path(), Choice::Auto).await.expect_err("has no service").to_string();
    assert!(error.contains("Cannot connect to Podman"), "{error}");
}

#[tokio::test]
async fn a_podman_with_a_server_is_a_client() {
    let version =
        r#"{"Client":{"APIVersion":"5.8.6","Version":"5.8.6"},"Server":{"APIVersion":"5.7.1","Version":"5.7.1"}}"#;
    let info = r#"{"host":{"hostname":"far","serviceIsRemote":true,"remoteSocket":{"exists":true,
        "path":"unix:///nonexistent/far.sock"},"security":{"rootless":true}},"store":{"graphRoot":"/far/storage"}}"#;
    let bin = fake("podman", &[("version", version), ("info", info), ("system", "[]")]);
    let engine = detect_in(bin.path(), Choice::Podman).await.expect("is found");
    assert!(engine.mounts_artifacts() && engine.rootless && !engine.has_api());
    assert_eq!(engine.id, "far:/far/storage");
}

#[tokio::test]
async fn a_script_called_podman_is_asked_what_it_sees() {
    let bin = fake("podman", &[("version", LOCAL_4_3)]);
    let store = tempfile::tempdir().expect("temporary directory");
    let cache = Cache::new(store.path().join("cache.json"));
    let engine = detect_in(bin.path(), Choice::Podman).await.expect("is found");
    let sees = async |cache: &Cache| engine.sees_path(store.path(), store.path(), cache).await.expect("is probed");
    assert!(sees(&cache).await);
    assert!(!bin.path().join("container").exists());
    fs::write(bin.path().join("blind"), "").expect("writes");
    assert!(sees(&cache).await, "the answer is remembered");
    assert!(!sees(&Cache::none()).await);
    assert_eq!(fs::read_dir(store.path()).expect("is there").count(), 1, "only the cache stays");
}

#[tokio::test]
async fn a_store_that_cannot_be_written_is_known_by_its_index() {
    let bin = fake("podman", &[("version", LOCAL_4_3)]);
    let store = tempfile::tempdir().expect("temporary directory");
    let engine = detect_in(bin.path(), Choice::Podman).await.expect("is found");
    let cache = Cache::new(bin.path().join("cache.json"));
    // Nobody makes directories there.
    let scratch = Path::new("/sys");
    let sees = async || engine.sees_path(store.path(), scratch, &cache).await.expect("is probed");
    assert!(!sees().await, "there is no index");
    let index = store.path().join("index.json");
    fs::write(&index, r#"{"schemaVersion":2,"manifests":[]}"#).expect("writes");
    assert!(!sees().await, "any store may have this one");
    let manifests = vec![r#"{"mediaType":"application/vnd.oci.image.manifest.v1+json"}"#; 1000].join(",");
    fs::write(&index, format!(r#"{{"schemaVersion":2,"manifests":[{manifests}]}}"#)).expect("writes");
    assert!(sees().await);
    fs::write(bin.path().join("blind"), "").expect("writes");
    assert!(!sees().await, "the answer is not remembered");
    assert_eq!(fs::read_dir(store.path()).expect("is there").count(), 1);
}

#[test]
fn only_images_named_by_their_id_never_change() {
    let hex = "0".repeat(64);
    assert!(is_image_id(&hex) && is_image_id(&format!("sha256:{hex}")));
    assert!(!is_image_id("localhost/x:1") && !is_image_id("cafe"));
}
