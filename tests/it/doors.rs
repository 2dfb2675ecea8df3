//! The names the program is called by, without any engine: what is ours is told from what is the engine's.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::common::registry::{Fault, Registry, What};
use crate::common::{Home, Outcome, bytes, modelpack, outcome};

/// A home with our links in `links`, and an engine that tells how it was called in `real`.
struct Doors(Home);

impl Doors {
    fn new() -> Self {
        let doors = Self(Home::new());
        for directory in ["links", "real"] {
            fs::create_dir(doors.0.path(directory)).unwrap();
        }
        for name in ["docker", "podman", "docker-artifact"] {
            symlink(env!("CARGO_BIN_EXE_artishim"), doors.link(name)).unwrap();
        }
        doors
    }

    /// Puts a program called `name` behind our links.
    fn with_engine(self, name: &str) -> Self {
        let path = self.0.path("real").join(name);
        let script = "#!/bin/sh\nprintf '%s|' \"$0\" \"$@\" && /bin/cat && exit 7\n";
        fs::write(&path, script).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        self
    }

    fn link(&self, name: &str) -> PathBuf {
        self.0.path("links").join(name)
    }

    fn command(&self, name: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.link(name));
        let plain = self.0.command(&[]);
        let path = format!("{}:{}", self.0.path("links").display(), self.0.path("real").display());
        let variables = plain.get_envs().filter_map(|(name, value)| Some((name, value?)));
        command.env_clear().envs(variables).env_remove("ARTISHIM_ENGINE").env("PATH", path).args(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// A shell in which artishim is found in `own`, and the engine in `real`.
    fn shell(&self, script: &str) -> Command {
        let mut command = Command::new("/bin/bash");
        let plain = self.command("docker", &[]);
        let path = format!("{}:{}", self.0.path("own").display(), self.0.path("real").display());
        command.env_clear().envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command.env("PATH", path).args(["-c", script]);
        command
    }

    fn run(&self, name: &str, arguments: &[&str]) -> Outcome {
        let mut child = self.command(name, arguments).spawn().unwrap();
        // Who has ended before has read nothing.
        let _ = child.stdin.take().unwrap().write_all(b"stdin");
        outcome(child.wait_with_output().unwrap())
    }
}

#[test]
fn a_line_without_artifacts_is_the_engines_own_with_its_stdin_and_status() {
    let lines: [&[&str]; 7] = [
        &["ps", "--all"],
        &["login", "-u", "me", "--password-stdin", "quay.io"],
        &["logout", "quay.io"],
        &["-H", "unix:///nowhere", "run", "--rm", "-it", "image", "echo", "a b"],
        &["run", "--mount", "type=bind,src=/a,dst=/b", "image"],
        &["artifact", "ls"],
        &[],
    ];
    for name in ["docker", "podman"] {
        let doors = Doors::new().with_engine(name);
        for line in lines {
            let expected = [&[doors.0.path("real").join(name).to_str().unwrap()], line, &["stdin"]].concat().join("|");
            let ran = doors.run(name, line);
            assert_eq!((ran.stdout.as_str(), ran.stderr.as_str(), ran.status), (expected.as_str(), "", 7), "{line:?}");
        }
    }
}

#[test]
fn the_alias_is_the_same_as_the_link() {
    let doors = Doors::new().with_engine("docker");
    let mut command = doors.command("docker", &[]);
    let mut alias = Command::new(env!("CARGO_BIN_EXE_artishim"));
    alias.env_clear().envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    alias.args(["docker", "version", "--format", "x"]).stdin(Stdio::null());
    let ran = outcome(alias.output().unwrap());
    let linked = outcome(command.args(["version", "--format", "x"]).stdin(Stdio::null()).output().unwrap());
    assert_eq!((&ran.stdout, ran.status), (&linked.stdout, 7));
}

#[test]
fn logins_by_podmans_name_are_dockers_where_there_is_only_docker() {
    let doors = Doors::new().with_engine("docker");
    for line in [["login", "quay.io"], ["logout", "quay.io"]] {
        let ran = doors.run("podman", &line);
        let expected = [&[doors.0.path("real/docker").to_str().unwrap()], &line[..], &["stdin"]].concat().join("|");
        assert_eq!((ran.stdout.as_str(), ran.status), (expected.as_str(), 7), "{ran:?}");
    }
}

#[test]
fn a_link_without_the_engine_behind_it_says_so_and_never_calls_itself() {
    let doors = Doors::new();
    // A second way to us is no engine either.
    symlink(doors.link("docker"), doors.0.path("real").join("docker")).unwrap();
    let error = doors.run("docker", &["ps"]).failure();
    assert!(error.starts_with("docker") && error.contains("install"), "{error}");
}

#[test]
fn docker_is_told_what_the_plugin_is() {
    let told = Doors::new().run("docker-artifact", &["docker-cli-plugin-metadata"]).success();
    let metadata: serde_json::Value = serde_json::from_str(&told).unwrap();
    assert_eq!((&metadata["SchemaVersion"], &metadata["Vendor"]), (&"0.1.0".into(), &"artishim".into()));
}

#[test]
fn the_plugin_speaks_of_itself_as_docker_artifact() {
    let doors = Doors::new();
    for line in [["artifact", "pull", "--help"], ["help", "artifact", "pull"]] {
        let help = doors.run("docker-artifact", &line).success();
        assert!(help.contains("Usage: docker artifact pull"), "{help}");
    }
    let other = doors.run("docker-artifact", &["artifact", "--engine", "podman", "ls"]).failure();
    assert!(other.starts_with("--engine: under docker the engine is docker's"), "{other}");
}

#[test]
fn the_plugin_stops_when_docker_closes_its_socket() {
    let (doors, registry) = (Doors::new(), Registry::start());
    let reference = modelpack(&registry, "acme/slow", &[("m.gguf", &bytes(1, 3_000_000))]);
    registry.fault(Fault::always("/blobs/", What::Slow(10_000)));
    let path = doors.0.path("socket");
    let docker = UnixListener::bind(&path).unwrap();
    let mut command = doors.command("docker-artifact", &["artifact", "path", "--progress", "quiet", &reference]);
    let child = command.env("DOCKER_CLI_PLUGIN_SOCKET", &path).spawn().unwrap();
    let parent = docker.accept().unwrap().0;
    while !registry.requests().iter().any(|request| request.path.contains("/blobs/")) {
        std::thread::sleep(Duration::from_millis(5));
    }
    drop(parent);
    let ended = outcome(child.wait_with_output().unwrap());
    assert_eq!(ended.status, 130, "{ended:?}");
}

#[test]
fn the_alias_for_bash_carries_out_artifact_mounts_and_nothing_else() {
    let doors = Doors::new().with_engine("docker");
    fs::create_dir(doors.0.path("own")).unwrap();
    symlink(env!("CARGO_BIN_EXE_artishim"), doors.0.path("own/artishim")).unwrap();
    let snippet = concat!(env!("CARGO_MANIFEST_DIR"), "/contrib/shell/artishim.bash");
    let mut shell = doors.shell(&format!("shopt -s expand_aliases\nsource {snippet}\nalias\ndocker ps </dev/null"));
    let ran = outcome(shell.output().unwrap());
    let real = doors.0.path("real/docker");
    let expected = format!("alias docker='artishim docker'\n{}|ps|", real.display());
    assert_eq!((ran.stdout, ran.status), (expected, 7), "{}", ran.stderr);
}

#[test]
fn links_are_made_once_more_without_harm_and_taken_away_again() {
    let doors = Doors::new();
    fs::create_dir(doors.0.path("own")).unwrap();
    symlink(env!("CARGO_BIN_EXE_artishim"), doors.0.path("own/artishim")).unwrap();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/contrib/shell/link");
    let run = |words: &str| {
        let mut shell = doors.shell(&format!("PATH=$PATH:/usr/bin:/bin {script} {words}"));
        outcome(shell.output().unwrap())
    };
    let (bin, plugin) = (doors.0.path("bin"), doors.0.path(".docker/cli-plugins/docker-artifact"));
    for _ in 0..2 {
        assert_eq!(run(bin.to_str().unwrap()).success(), format!("export PATH={}:$PATH\n", bin.display()));
        assert!(bin.join("docker").is_symlink() && bin.join("podman").is_symlink() && plugin.is_symlink());
    }
    run(&format!("--remove {}", bin.display())).success();
    assert!(!bin.join("docker").is_symlink() && !plugin.is_symlink());
    fs::write(bin.join("docker"), "somebody else's").unwrap();
    let refused = run(bin.to_str().unwrap());
    assert!(refused.status == 1 && refused.stderr.contains("not made by artishim"), "{refused:?}");
    assert_eq!(fs::read(bin.join("docker")).unwrap(), b"somebody else's");
}

#[test]
fn a_docker_that_is_podman_in_the_end_is_found() {
    let doors = Doors::new().with_engine("docker");
    fs::remove_file(doors.link("docker")).unwrap();
    let script = doors.0.path("real/docker");
    fs::write(&script, format!("#!/bin/sh\nexec {} \"$@\"\n", doors.link("podman").display())).unwrap();
    for line in [&["ps"][..], &["images"], &["rmi", "x"], &["run", "--replace", "--name", "a", "x"]] {
        let told = doors.run("podman", line);
        assert!(told.status != 0 && told.stderr.contains("leads back to artishim"), "{line:?}: {told:?}");
    }
}

#[test]
fn a_script_that_leads_back_to_the_link_is_found() {
    let doors = Doors::new().with_engine("podman");
    let script = doors.0.path("real/podman");
    fs::write(&script, format!("#!/bin/sh\nexec {} \"$@\"\n", doors.link("podman").display())).unwrap();
    let error = doors.run("podman", &["ps"]).failure();
    assert_eq!(
        error,
        format!(
            "{} leads back to artishim: take one of the two out of PATH, or call the real one in it",
            script.display()
        )
    );
}
