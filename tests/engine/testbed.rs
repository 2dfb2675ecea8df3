//! One engine of the testbed, and a run of artishim on it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

use tempfile::TempDir;

use crate::program::Outcome;

pub const STATE: &str = "/run/artishim-testbed";
pub const WORK: &str = "/var/lib/artishim-testbed/work";
pub const IMAGE: &str = "localhost/artishim-test/base:1";

const ARTISHIM: &str = env!("CARGO_BIN_EXE_artishim");

/// Held by every test; a test that stops a daemon waits until it has them for itself.
static DAEMONS: RwLock<()> = RwLock::new(());

/// An engine with a fresh store of its own.
pub struct Engine {
    pub name: &'static str,
    pub store: TempDir,
}

/// Keeps the daemons running while a test uses them.
pub fn use_daemons() -> RwLockReadGuard<'static, ()> {
    DAEMONS.read().unwrap_or_else(PoisonError::into_inner)
}

/// Keeps other tests from the daemons while one of them is stopped.
pub fn own_daemons() -> std::sync::RwLockWriteGuard<'static, ()> {
    DAEMONS.write().unwrap_or_else(PoisonError::into_inner)
}

impl Engine {
    pub fn named(name: &'static str) -> Self {
        let directory = Path::new(STATE).join("engines").join(name);
        assert!(directory.exists(), "{name} is not running: contrib/testbed up");
        let store = TempDir::with_prefix_in("store-", WORK).unwrap();
        // Engines that map users must be able to read it, as they can the default store.
        std::fs::set_permissions(store.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let engine = Self { name, store };
        if let Some(id) = engine.user() {
            std::os::unix::fs::chown(engine.store.path(), Some(id), Some(id)).unwrap();
            std::fs::copy(ARTISHIM, engine.copied_artishim()).unwrap();
        }
        engine
    }

    /// The user and group that it belongs to, unless that is root.
    pub fn user(&self) -> Option<u32> {
        self.name.ends_with("-rootless").then_some(5000)
    }

    /// The program where its user may read it.
    fn copied_artishim(&self) -> PathBuf {
        self.store.path().join("artishim")
    }

    pub fn is_remote(&self) -> bool {
        self.name.ends_with("-remote")
    }

    /// Whether it is far away and cannot mount one file of a volume.
    pub fn copies_single_files(&self) -> bool {
        matches!(self.name, "docker20-remote" | "podman4-remote")
    }

    pub fn is_docker(&self) -> bool {
        self.name.starts_with("docker")
    }

    fn directory(&self) -> PathBuf {
        Path::new(STATE).join("engines").join(self.name)
    }

    /// The engine's own client.
    pub fn program(&self) -> PathBuf {
        self.directory().join("bin").join(if self.is_docker() { "docker" } else { "podman" })
    }

    /// The address of its API.
    pub fn socket(&self) -> String {
        std::fs::read_to_string(self.directory().join("socket")).unwrap().trim().to_owned()
    }

    /// What `--engine` says: the program where it is on this machine, the socket where it is far away.
    pub fn choice(&self) -> String {
        if self.is_remote() { self.socket() } else { self.program().display().to_string() }
    }

    /// An artishim command on this engine and store.
    pub fn command(&self, arguments: &[&str]) -> Command {
        self.command_at(&self.choice(), arguments)
    }

    /// The same with the engine's API where its program would be used.
    pub fn artishim_at(&self, choice: &str, arguments: &[&str]) -> Outcome {
        outcome(self.command_at(choice, arguments).spawn().unwrap())
    }

    /// The same, not yet run.
    pub fn command_at(&self, choice: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(ARTISHIM);
        if let Some(id) = self.user() {
            command = Command::new(self.copied_artishim());
            command.uid(id).gid(id);
        }
        let path = std::env::var("PATH").unwrap();
        command
            .env_clear()
            .env("PATH", format!("{}:{path}", self.directory().join("bin").display()))
            .env("HOME", self.store.path())
            .env("ARTISHIM_CONFIG", "/dev/null")
            .env("ARTISHIM_CACHE", self.store.path().join("cache"))
            .args(["--engine", choice, "--store"])
            .arg(self.store.path().join("store"))
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    pub fn artishim(&self, arguments: &[&str]) -> Outcome {
        outcome(self.spawn(arguments))
    }

    /// The same from a home of its own, which the engine's client does not share.
    pub fn artishim_from(&self, home: &Path, arguments: &[&str]) -> Outcome {
        let program = home.join("podman");
        let (own, client) = (self.store.path().display(), self.program().display().to_string());
        fs::write(&program, format!("#!/bin/sh\nHOME={own} exec {client} \"$@\"\n")).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        let choice = if self.is_remote() { self.socket() } else { program.display().to_string() };
        outcome(self.command_at(&choice, arguments).env("HOME", home).spawn().unwrap())
    }

    pub fn spawn(&self, arguments: &[&str]) -> Child {
        self.command(arguments).spawn().unwrap()
    }

    /// `artishim run --rm` of the test image with one artifact mount.
    pub fn run(&self, mount: &str, script: &str) -> Outcome {
        self.artishim(&["run", "--rm", "--mount", mount, IMAGE, "sh", "-c", script])
    }

    /// The engine's client itself.
    pub fn own(&self, arguments: &[&str]) -> Outcome {
        let child = Command::new(self.program())
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        outcome(child.unwrap())
    }

    /// Makes an image of a tar of the testbed's.
    pub fn import(&self, tar: &str, image: &str) {
        let mut command = Command::new(self.program());
        command.args(["import", "-", image]).stdin(std::fs::File::open(Path::new(STATE).join(tar)).unwrap());
        outcome(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()).success();
    }

    /// Stops or starts its daemon.
    pub fn testbed(&self, arguments: &[&str]) {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("contrib/testbed");
        let status = Command::new(script).args(arguments).arg(self.name).status().unwrap();
        assert!(status.success(), "contrib/testbed {arguments:?} {}", self.name);
    }
}

pub fn outcome(child: Child) -> Outcome {
    child.wait_with_output().unwrap().into()
}

/// The host and port of the testbed's registry.
pub fn registry() -> String {
    address("registry")
}

/// The same registry by HTTPS.
pub fn registry_by_tls() -> String {
    address("registry-tls")
}

fn address(file: &str) -> String {
    std::fs::read_to_string(Path::new(STATE).join(file)).unwrap().trim().to_owned()
}
