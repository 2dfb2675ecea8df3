//! The doors on real engines: docker's plugin, and links in an engine's place.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::Command;

use crate::artifacts;
use crate::program::Outcome;
use crate::scenarios::mount;
use crate::testbed::{Engine, IMAGE, STATE, outcome, registry, use_daemons};

const MODEL: &[u8] = b"GGUF a tiny model\n";

/// A directory with links to us, one of which docker finds as its plugin.
pub struct Links(PathBuf);

impl Links {
    pub fn new(engine: &Engine) -> Self {
        let root = engine.store.path().join("links");
        fs::create_dir_all(root.join("docker/cli-plugins")).unwrap();
        for link in ["docker/cli-plugins/docker-artifact", "docker-link", "podman-link"] {
            symlink(env!("CARGO_BIN_EXE_artishim"), root.join(link)).unwrap();
        }
        for name in ["docker", "podman"] {
            fs::create_dir(root.join(format!("as-{name}"))).unwrap();
            symlink(env!("CARGO_BIN_EXE_artishim"), root.join(format!("as-{name}/{name}"))).unwrap();
        }
        Self(root)
    }

    /// The real docker with our plugin.
    fn plugin(&self, engine: &Engine, arguments: &[&str]) -> Outcome {
        let mut command = self.environment(engine, engine.program());
        command.arg("--config").arg(self.0.join("docker")).args(arguments);
        outcome(command.spawn().unwrap())
    }

    /// Our link before the real one in PATH.
    fn link(&self, engine: &Engine, name: &str, arguments: &[&str]) -> Outcome {
        let directory = self.0.join(format!("as-{name}"));
        let mut command = self.environment(engine, directory.join(name));
        let behind = command.get_envs().find(|(name, _)| *name == "PATH").unwrap().1.unwrap().to_owned();
        command.env("PATH", format!("{}:{}", directory.display(), behind.to_str().unwrap())).args(arguments);
        outcome(command.spawn().unwrap())
    }

    /// A program on a machine where our link is the first podman, and with a Docker the only one.
    pub fn as_podman(&self, engine: &Engine, program: &str, arguments: &[&str]) -> Outcome {
        let podman = self.0.join("as-podman");
        let program = if program == "podman" { podman.join(program) } else { PathBuf::from(program) };
        let mut command = self.environment(engine, program);
        let rest = if engine.is_docker() { "" } else { ":/usr/bin:/bin" };
        let path = format!("{}:{}{rest}", podman.display(), engine.program().parent().unwrap().display());
        outcome(command.env("PATH", path).args(arguments).spawn().unwrap())
    }

    /// The real docker-compose, which finds our plugin.
    pub fn compose(&self, engine: &Engine, arguments: &[&str]) -> Outcome {
        let mut command = self.environment(engine, PathBuf::from(STATE).join("tools/docker-compose"));
        command.env("DOCKER_CONFIG", self.0.join("docker")).env("DOCKER_HOST", engine.socket());
        outcome(command.args(arguments).spawn().unwrap())
    }

    /// A program in the environment of the engine's tests, without a word about which engine.
    fn environment(&self, engine: &Engine, program: PathBuf) -> Command {
        let usual = engine.command_at("auto", &[]);
        let mut command = Command::new(program);
        command.env_clear().envs(usual.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command.env("SSL_CERT_FILE", PathBuf::from(STATE).join("registries/ca.pem"));
        command.env("ARTISHIM_STORE", engine.store.path().join("store"));
        command.stdin(std::process::Stdio::null());
        command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
        command
    }
}

fn plugin_runs_on_dockers_own_endpoint(engine: &Engine) {
    let _running = use_daemons();
    let links = Links::new(engine);
    let reference = artifacts::modelpack(&registry(), &[("tiny.gguf", MODEL)]);
    let help = links.plugin(engine, &["--help"]).success();
    assert!(help.lines().any(|line| line.trim_start().starts_with("artifact")), "{help}");
    let value = mount(&reference, "/m");
    let ran = links.plugin(engine, &["artifact", "run", "--rm", "--mount", &value, IMAGE, "cat", "/m"]);
    assert_eq!(ran.success().as_bytes(), MODEL);
    let nowhere = links.plugin(engine, &["-H", "unix:///nowhere.sock", "artifact", "engines"]);
    assert_eq!(nowhere.status, 125, "{nowhere:?}");
    assert!(nowhere.stderr.contains("/nowhere.sock"), "{nowhere:?}");
}

fn link_carries_out_artifact_mounts_and_nothing_else(engine: &Engine, name: &str) {
    let _running = use_daemons();
    let links = Links::new(engine);
    let reference = artifacts::modelpack(&registry(), &[("tiny.gguf", MODEL)]);
    let value = mount(&reference, "/m");
    for verb in [&["run"][..], &["container", "run"]] {
        let line = [verb, &["--rm", "--mount", &value, IMAGE, "sh", "-c", "cat /m; exit 3"]].concat();
        let ran = links.link(engine, name, &line);
        assert_eq!((ran.stdout.as_bytes(), ran.status), (MODEL, 3), "{ran:?}");
    }
    let line = ["run", "--rm", IMAGE, "sh", "-c", "echo type=artifact; exit 4"];
    let (linked, own) = (links.link(engine, name, &line), engine.own(&line));
    assert_eq!((linked.stdout, linked.status), (own.stdout, 4));
    let linked = links.link(engine, name, &["version"]);
    assert_eq!(linked.stdout, engine.own(&["version"]).stdout);
}

on_engines! {
    plugin_runs_on_docker20: plugin_runs_on_dockers_own_endpoint("docker20"),
    plugin_runs_on_docker28: plugin_runs_on_dockers_own_endpoint("docker28"),
    plugin_runs_on_docker28_far_away: plugin_runs_on_dockers_own_endpoint("docker28-remote"),
    link_stands_for_docker20: link_carries_out_artifact_mounts_and_nothing_else("docker20", "docker"),
    link_stands_for_docker28: link_carries_out_artifact_mounts_and_nothing_else("docker28", "docker"),
    link_stands_for_docker28_far_away: link_carries_out_artifact_mounts_and_nothing_else("docker28-remote", "docker"),
    link_stands_for_podman4: link_carries_out_artifact_mounts_and_nothing_else("podman4", "podman"),
    link_stands_for_podman5: link_carries_out_artifact_mounts_and_nothing_else("podman5", "podman"),
}
