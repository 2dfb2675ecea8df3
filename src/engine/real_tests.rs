//! Every method on real engines: `cargo test --lib engine -- --ignored`, with the engines of the test bed running.

use std::path::Path;
use std::time::{Duration, Instant};

use futures_util::stream;

use super::*;

const ENGINES: &str = "/run/artishim-testbed/engines";
const SHARED: &str = "/var/lib/artishim-testbed/work";
const IMAGE: &str = "localhost/artishim-test/base:1";

struct Case {
    name: &'static str,
    how: &'static str,
    engine: Engine,
}

async fn cases() -> Vec<Case> {
    let names = ["docker20", "docker28", "podman4", "podman5"];
    let remote = ["docker20-remote", "docker28-remote", "podman4-remote", "podman5-remote"];
    let mut cases = Vec::new();
    for name in names.into_iter().chain(remote) {
        let directory = Path::new(ENGINES).join(name);
        let program = if name.starts_with("docker") { "docker" } else { "podman" };
        let url = std::fs::read_to_string(directory.join("socket")).expect("the test bed runs").trim().to_owned();
        for (how, choice) in [("path", Choice::Path(directory.join("bin").join(program))), ("url", Choice::Url(url))] {
            let start = Instant::now();
            let environment = Environment { path: Some("/usr/bin:/usr/local/bin".into()), ..Environment::default() };
            let engine = detect(&choice, &environment, &DockerEndpointFlags::default()).await;
            let engine = engine.unwrap_or_else(|error| panic!("{name} by {how}: {error:?}"));
            report(&format!("{name} {how}: {engine}, id {}, {:?}", engine.id, start.elapsed()));
            cases.push(Case { name, how, engine });
        }
    }
    cases
}

/// For the one who runs these by hand.
fn report(text: &str) {
    tracing::info!("{text}");
    std::io::Write::write_all(&mut std::io::stderr(), format!("{text}\n").as_bytes()).expect("stderr");
}

fn archive(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (path, content) in entries {
        let mut header = tar::Header::new_ustar();
        header.set_size(content.len() as u64);
        header.set_mode(0o444);
        builder.append_data(&mut header, path, *content).expect("in memory");
    }
    builder.into_inner().expect("in memory")
}

/// An image's files: a model and symbolic links.
fn linked_files() -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_ustar();
    header.set_size(4);
    header.set_mode(0o644);
    builder.append_data(&mut header, "sub/model.gguf", &b"GGUF"[..]).expect("in memory");
    let targets = [
        ("to-directory", "sub"),
        ("to-file", "/sub/model.gguf"),
        ("to-link", "../to-file"),
        ("to-nothing", "nothing"),
        ("to-itself", "to-itself"),
    ];
    for (name, target) in targets {
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(tar::EntryType::Symlink);
        header.set_size(0);
        header.set_mode(0o777);
        builder.append_link(&mut header, name, target).expect("in memory");
    }
    builder.into_inner().expect("in memory")
}

#[tokio::test]
#[ignore = "needs the test bed"]
async fn links_in_images_are_followed() {
    let shared = tempfile::tempdir_in(SHARED).expect("the test bed's directory");
    let file = shared.path().join("linked.tar");
    std::fs::write(&file, linked_files()).expect("writes");
    let paths = [
        ("/sub", PathState::Directory),
        ("/to-directory", PathState::Directory),
        ("/to-directory/", PathState::Directory),
        ("/to-directory/model.gguf", PathState::File),
        ("/to-file", PathState::File),
        ("/to-link", PathState::File),
        ("/to-nothing", PathState::Missing),
        ("/to-itself", PathState::Missing),
    ];
    let mut wrong = Vec::new();
    for Case { name, how, engine } in cases().await {
        let image = format!("localhost/{}:1", scratch::unique_name("artishim-test"));
        let cli = engine.cli().expect("has one");
        cli.call().arg("import").arg(&file).arg(&image).capture().expect("imports");
        for (path, expected) in paths {
            let state = engine.path_in_image(&image, path, &Cache::none()).await;
            if !matches!(state, Ok(state) if state == expected) {
                wrong.push(format!("{name} {how} {path}: {state:?}"));
            }
        }
        cli.call().args(["rmi", &image]).capture().expect("removes");
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[tokio::test]
#[ignore = "needs the test bed"]
async fn engines_are_recognised() {
    for Case { name, how, engine } in cases().await {
        let kind = if name.starts_with("docker") { Kind::Docker } else { Kind::Podman };
        assert_eq!(engine.kind, kind, "{name} by {how}");
        let version = std::fs::read_to_string(Path::new(ENGINES).join(name).join("version")).expect("is there");
        assert_eq!(engine.server_version, version.parse().expect("is a version"), "{name} by {how}");
        assert_eq!(engine.has_api(), !(name.starts_with("podman") && how == "path" && !name.contains("remote")));
        let subpaths = engine.mounts_volume_subpaths().await.expect("answers");
        report(&format!("{name} {how}: subpaths {subpaths}, artifacts {}", engine.mounts_artifacts()));
        if how == "path" {
            assert_eq!(subpaths, name.starts_with("docker28") || name.starts_with("podman5"), "{name}");
            assert_eq!(engine.mounts_artifacts(), name.starts_with("podman5"), "{name}");
        }
    }
}

#[tokio::test]
#[ignore = "needs the test bed"]
async fn paths_in_images_are_told_apart() {
    let paths = [
        ("/data", PathState::Directory),
        ("/data/", PathState::Directory),
        ("/", PathState::Directory),
        ("/etc/model.gguf", PathState::File),
        ("/mnt/none/deeper", PathState::Missing),
        ("/etc/model.gguf/below", PathState::Missing),
        ("/none", PathState::Missing),
    ];
    for Case { name, how, engine } in cases().await {
        let start = Instant::now();
        let id = engine.image_id(IMAGE).await.expect("answers").unwrap_or_else(|| panic!("{name} has no {IMAGE}"));
        report(&format!("{name} {how}: {id} {:?}", start.elapsed()));
        assert!(is_image_id(&id), "{name}: {id}");
        assert!(!engine.image_exists("localhost/none:1").await.expect("answers"), "{name} by {how}");
        for (path, expected) in paths {
            let start = Instant::now();
            let state = engine.path_in_image(&id, path, &Cache::none()).await;
            let state = state.unwrap_or_else(|error| panic!("{name} by {how}: {path}: {error:?}"));
            report(&format!("{name} {how}: {path} {state:?} {:?}", start.elapsed()));
            assert_eq!(state, expected, "{name} by {how}: {path}");
        }
    }
}

#[tokio::test]
#[ignore = "needs the test bed"]
async fn a_look_that_is_given_up_leaves_no_container() {
    for Case { name, how, engine } in cases().await.into_iter().filter(|case| case.engine.has_api()) {
        for patience in [5, 15, 30, 60] {
            let cache = Cache::none();
            let look = engine.path_in_image(IMAGE, "/data", &cache);
            let _ = tokio::time::timeout(Duration::from_millis(patience), look).await;
        }
        let start = Instant::now();
        loop {
            let listed = engine.cli().expect("has one").call().args(["ps", "-a", "--format", "{{.Names}}"]).capture();
            let listed = String::from_utf8(listed.expect("lists")).expect("is text");
            if start.elapsed() > Duration::from_secs(1) && !listed.contains("artishim-look") {
                break;
            }
            assert!(start.elapsed() < Duration::from_secs(20), "{name} by {how}: {listed}");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
}

#[tokio::test]
#[ignore = "needs the test bed"]
async fn only_engines_of_this_machine_see_our_files() {
    let shared = tempfile::tempdir_in(SHARED).expect("the test bed's directory");
    for Case { name, how, engine } in cases().await {
        let start = Instant::now();
        let sees = engine.sees_path(shared.path(), shared.path(), &Cache::none()).await;
        let sees = sees.unwrap_or_else(|error| panic!("{name} by {how}: {error:?}"));
        report(&format!("{name} {how}: sees {sees} {:?}", start.elapsed()));
        assert_eq!(sees, !name.contains("remote"), "{name} by {how}");
        assert_eq!(std::fs::read_dir(shared.path()).expect("is there").count(), 0);
    }
}

#[tokio::test]
#[ignore = "needs the test bed"]
async fn only_engines_of_this_machine_see_a_store_that_cannot_be_written() {
    let shared = tempfile::tempdir_in(SHARED).expect("the test bed's directory");
    std::fs::set_permissions(shared.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("is ours");
    std::fs::write(shared.path().join("index.json"), r#"{"manifests":[{}]}"#).expect("writes");
    for Case { name, how, engine } in cases().await {
        let sees = engine.sees_path(shared.path(), Path::new("/sys"), &Cache::none()).await;
        let sees = sees.unwrap_or_else(|error| panic!("{name} by {how}: {error:?}"));
        assert_eq!(sees, !name.contains("remote"), "{name} by {how}");
    }
}

#[tokio::test]
#[ignore = "needs the test bed"]
async fn a_volume_is_filled_read_and_removed() {
    for Case { name, how, engine } in cases().await.into_iter().filter(|case| case.engine.has_api()) {
        let run = async {
            let volume = scratch::unique_name("artishim-test");
            let labels = Labels::from([("org.artishim.test".to_owned(), volume.clone())]);
            assert_eq!(engine.find_volume(&volume).await?, None);
            engine.create_volume(&Volume::new(&volume, labels.clone())).await?;
            assert_eq!(engine.find_volume(&volume).await?.expect("was made").labels, labels);
            let listed = engine.list_volumes(&format!("org.artishim.test={volume}")).await?;
            assert_eq!(listed.len(), 1, "{name}");
            let loader = engine.create_loader(&volume, &Volume::new(&volume, labels.clone()), labels.clone()).await?;
            let again = engine
                .create_loader(&volume, &Volume::new(&volume, labels.clone()), labels.clone())
                .await
                .expect_err("the name is taken");
            assert!(again.is_conflict(), "{name}: {again:?}");
            let found = engine.find_container(&volume).await?.expect("was made");
            assert_eq!((found.id.as_str(), found.state.as_str()), (loader.as_str(), "created"), "{name}");
            assert_eq!(found.labels.get("org.artishim.test"), Some(&volume));
            assert!(engine.remove_volume(&volume).await.expect_err("is in use").is_conflict(), "{name}");
            assert!(engine.is_empty(&loader, LOADER_PATH).await?, "{name}");
            let tar = archive(&[("sub/model.gguf", b"GGUF"), (".marker", b"sha256:0")]);
            let chunks: Vec<_> = tar.chunks(700).map(|chunk| Ok(Bytes::copy_from_slice(chunk))).collect();
            engine.put_archive(&loader, LOADER_PATH, stream::iter(chunks)).await?;
            assert!(!engine.is_empty(&loader, LOADER_PATH).await?, "{name}");
            assert_eq!(engine.read_file(&loader, "/v/.marker").await?.as_deref(), Some(&b"sha256:0"[..]));
            assert_eq!(engine.read_file(&loader, "/v/sub/model.gguf").await?.as_deref(), Some(&b"GGUF"[..]));
            assert_eq!(engine.read_file(&loader, "/v/none").await?, None);
            assert_eq!(engine.path_in_container(&loader, "/v/sub").await?, PathState::Directory);
            let broken = [Ok(Bytes::copy_from_slice(&tar[..700])), Err(io::Error::other("digest mismatch"))];
            let error = engine.put_archive(&loader, LOADER_PATH, stream::iter(broken)).await.expect_err("breaks off");
            report(&format!("{name} {how}: broken off: {error}: {:?}", std::error::Error::source(&error)));
            engine.remove_container(&loader).await?;
            engine.remove_container(&loader).await?;
            assert_eq!(engine.find_container(&volume).await?, None);
            engine.remove_volume(&volume).await?;
            engine.remove_volume(&volume).await?;
            Ok::<(), Error>(())
        };
        run.await.unwrap_or_else(|error| panic!("{name} by {how}: {error:?}"));
    }
}

#[tokio::test]
#[ignore = "needs the test bed"]
async fn a_volume_made_by_its_loader_has_labels_on_docker() {
    for Case { name, how, engine } in cases().await.into_iter().filter(|case| case.engine.has_api()) {
        let volume = scratch::unique_name("artishim-test");
        let labels = Labels::from([("org.artishim.test".to_owned(), volume.clone())]);
        let loader = engine
            .create_loader(&volume, &Volume::new(&volume, labels.clone()), labels.clone())
            .await
            .expect("is made");
        let found = engine.find_volume(&volume).await.expect("answers").expect("was made with the loader");
        report(&format!("{name} {how}: {found:?}"));
        engine.remove_container(&loader).await.expect("is removed");
        engine.remove_volume(&volume).await.expect("is removed");
        assert!(engine.kind == Kind::Podman || found.labels == labels, "{name} by {how}: {found:?}");
    }
}

#[tokio::test]
#[ignore = "needs the test bed"]
async fn containers_of_a_killed_process_are_swept() {
    for Case { name, how, engine } in cases().await.into_iter().filter(|case| case.engine.has_api()) {
        let volume = scratch::unique_name("artishim-test");
        let (look, other) = (format!("{volume}-look-1"), format!("{volume}-loader"));
        let labels = || Labels::from([("org.artishim.test".to_owned(), volume.clone())]);
        engine.create_loader(&look, &Volume::new(&volume, Labels::new()), labels()).await.expect("is made");
        engine.create_loader(&other, &Volume::new(&volume, Labels::new()), labels()).await.expect("is made");
        engine.remove_created_containers(&format!("{volume}-"), "org.artishim.none").await.expect("spares others");
        let swept = engine.remove_created_containers(&format!("{volume}-look-"), "org.artishim.test").await;
        let [look, kept] = [engine.find_container(&look).await, engine.find_container(&other).await];
        engine.remove_container(&other).await.expect("is removed");
        engine.remove_volume(&volume).await.expect("is removed");
        swept.unwrap_or_else(|error| panic!("{name} by {how}: {error:?}"));
        assert!(look.expect("answers").is_none() && kept.expect("answers").is_some(), "{name} by {how}");
    }
}
