//! The real Docker Compose with an artifact as a service of a project.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU16, Ordering};

use crate::artifacts;
use crate::doors::Links;
use crate::program::Outcome;
use crate::testbed::{Engine, IMAGE, registry, use_daemons};

/// A project of one artifact and one service that depends on it.
struct Project<'a> {
    engine: &'a Engine,
    links: Links,
    name: String,
}

impl<'a> Project<'a> {
    fn new(engine: &'a Engine) -> Self {
        static COUNT: AtomicU16 = AtomicU16::new(0);
        let (process, count) = (std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        Self { engine, links: Links::new(engine), name: format!("compose-{}-{process}-{count}", engine.name) }
    }

    fn file(&self) -> PathBuf {
        self.engine.store.path().join("compose.yml")
    }

    /// Writes the project: `options` of the provider, what the service mounts, and the shell line that it runs.
    fn write(&self, options: &[&str], mount: &str, script: &str) {
        let yaml = format!(
            "services:
  model:
    provider:
      type: artifact
      options: {{{}}}
  server:
    image: {IMAGE}
    depends_on: [model]
    network_mode: none
    stop_signal: SIGKILL
    volumes: [{mount:?}]
    command: [sh, -c, {script:?}]
volumes:
  models:
",
            options.join(", ")
        );
        fs::write(self.file(), yaml).unwrap();
    }

    fn compose(&self, arguments: &[&str]) -> Outcome {
        let file = self.file();
        let options = ["--project-name", &self.name, "--file", file.to_str().unwrap(), "--ansi", "never"];
        self.links.compose(self.engine, &[&options, arguments].concat())
    }

    /// What the service said in its last run.
    fn said(&self) -> String {
        self.compose(&["logs", "--no-log-prefix", "server"]).success()
    }

    /// Whether the volume is a view of the store, in which nobody can write.
    fn shows_store(&self) -> bool {
        self.engine.is_docker() && !self.engine.is_remote()
    }

    fn volume(&self, format: &str) -> Outcome {
        self.engine.own(&["volume", "inspect", "--format", format, &format!("{}_models", self.name)])
    }
}

impl Drop for Project<'_> {
    fn drop(&mut self) {
        self.compose(&["down", "--volumes"]);
    }
}

fn service_finds_the_artifact_in_the_projects_volume(engine: &Engine) {
    let _running = use_daemons();
    let project = Project::new(engine);
    let first = artifacts::modelpack(&registry(), &[("q4/tiny.gguf", b"GGUF first\n"), ("mmproj.gguf", b"GGUF p\n")]);
    let second = artifacts::modelpack(&registry(), &[("tiny.gguf", b"GGUF second\n")]);
    let read = "cat $$MODEL_MODEL; echo $$MODEL_DIRECTORY $$MODEL_MMPROJ";
    let options = |reference: &str| [format!("ref: {reference:?}"), String::from("volume: models")];
    let write = |reference: &str| {
        let options = options(reference);
        project.write(&[&options[0], &options[1]], "models:/models:ro", read);
    };
    write(&first);
    for _ in 0..2 {
        project.compose(&["up", "--attach", "server", "--abort-on-container-exit"]).success();
        assert!(project.said().starts_with("GGUF first\n/models /models/mmproj.gguf\n"), "{}", project.said());
    }
    let labels = project.volume("{{json .Labels}}").success();
    assert!(labels.contains("com.docker.compose.project") && labels.contains("io.artishim.digest"), "{labels}");
    write(&second);
    let refused = project.compose(&["up", "--detach"]);
    assert_ne!(refused.status, 0, "{refused:?}");
    let words = if project.shows_store() { "a container uses it" } else { "holds" };
    assert!(refused.stderr.contains(words), "{refused:?}");
    // A view goes when nobody uses it; what may have been written to does not.
    project.compose(if project.shows_store() { &["down"] } else { &["down", "--volumes"] }).success();
    project.compose(&["up", "--attach", "server", "--abort-on-container-exit"]).success();
    assert_eq!(project.said(), "GGUF second\n/models\n");
    project.compose(&["down", "--volumes"]).success();
    assert_ne!(project.volume("{{.Name}}").status, 0);
}

/// The project of README.md, with a server that says where it was told the model is.
fn project_of_the_readme_comes_up(engine: &Engine) {
    let _running = use_daemons();
    let project = Project::new(engine);
    let readme = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    let yaml = readme.split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let reference = artifacts::modelpack(&registry(), &[("tiny.gguf", b"GGUF tiny\n")]);
    let server = format!("image: {IMAGE}\n    network_mode: none\n    command: [sh, -c, 'cat $$LLAMA_ARG_MODEL']");
    let yaml = yaml.replace("registry.example.com/models/gemma3:270m", &reference);
    let yaml = yaml.replace("image: ghcr.io/ggml-org/llama.cpp:server", &server);
    fs::write(project.file(), yaml).unwrap();
    project.compose(&["up", "--attach", "server", "--abort-on-container-exit"]).success();
    assert_eq!(project.said(), "GGUF tiny\n");
}

/// Whatever the service is allowed, the store does not change.
fn service_cannot_write_to_the_store(engine: &Engine) {
    let _running = use_daemons();
    let project = Project::new(engine);
    let reference = artifacts::modelpack(&registry(), &[("tiny.gguf", b"GGUF tiny\n")]);
    let named = format!("ref: {reference:?}");
    let directory = engine.store.path().join("copy");
    let place = format!("directory: {:?}", directory.display().to_string());
    let bind = format!("{}:/models", directory.display());
    let ways = [("volume: models", "models:/models"), (place.as_str(), bind.as_str())];
    for (way, mount) in ways.into_iter().take(if engine.is_remote() { 1 } else { 2 }) {
        project.write(
            &[&named, way],
            mount,
            "echo changed >/models/tiny.gguf; touch /models/new; cat /models/tiny.gguf",
        );
        project.compose(&["up", "--attach", "server", "--abort-on-container-exit"]);
        let said = project.said();
        assert!(said.contains("GGUF tiny") || said.contains("changed"), "{said}");
        project.compose(&["down", "--volumes"]).success();
        let path = engine.artishim(&["path", &reference]).success();
        let path = PathBuf::from(path.trim_end());
        assert_eq!(fs::read(&path).unwrap(), b"GGUF tiny\n");
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }
}

fn volume_with_other_files_stays_as_it_is(engine: &Engine) {
    let _running = use_daemons();
    let project = Project::new(engine);
    let reference = artifacts::modelpack(&registry(), &[("tiny.gguf", b"GGUF tiny\n")]);
    project.write(&[&format!("ref: {reference:?}"), "volume: models"], "models:/models:ro", "true");
    let (volume, label) = (format!("{}_models", project.name), format!("com.docker.compose.project={}", project.name));
    let labels = ["--label", &label, "--label", "com.docker.compose.volume=models"];
    engine.own(&[&["volume", "create"], &labels[..], &[&volume]].concat()).success();
    let mine = format!("{volume}:/m");
    engine.own(&["run", "--rm", "--volume", &mine, IMAGE, "sh", "-c", "echo mine >/m/mine"]).success();
    let refused = project.compose(&["up", "--detach"]);
    assert!(refused.status != 0 && refused.stderr.contains("is not empty"), "{refused:?}");
    assert_eq!(engine.own(&["run", "--rm", "--volume", &mine, IMAGE, "cat", "/m/mine"]).success(), "mine\n");
    project.write(&[&format!("ref: {reference:?}"), "volume: modles"], "models:/models:ro", "true");
    let refused = project.compose(&["up", "--detach"]);
    assert!(refused.status != 0 && refused.stderr.contains("has no volume modles"), "{refused:?}");
}

on_engines! {
    artifact_is_a_service_on_docker20: service_finds_the_artifact_in_the_projects_volume("docker20"),
    artifact_is_a_service_on_docker28: service_finds_the_artifact_in_the_projects_volume("docker28"),
    artifact_is_a_service_on_docker28_far_away: service_finds_the_artifact_in_the_projects_volume("docker28-remote"),
    artifact_is_a_service_on_podman5: service_finds_the_artifact_in_the_projects_volume("podman5"),
    readme_is_right_on_docker28: project_of_the_readme_comes_up("docker28"),
    readme_is_right_on_docker28_far_away: project_of_the_readme_comes_up("docker28-remote"),
    store_is_read_only_on_docker20: service_cannot_write_to_the_store("docker20"),
    store_is_read_only_on_docker28: service_cannot_write_to_the_store("docker28"),
    store_is_read_only_on_docker28_far_away: service_cannot_write_to_the_store("docker28-remote"),
    store_is_read_only_on_podman5: service_cannot_write_to_the_store("podman5"),
    volume_is_its_owners_on_docker28: volume_with_other_files_stays_as_it_is("docker28"),
    volume_is_its_owners_on_docker28_far_away: volume_with_other_files_stays_as_it_is("docker28-remote"),
}
