//! What the tests share: a hermetic home, a registry of our own, and artifacts in it.

pub mod gguf;
pub mod outcome;
pub mod registry;
pub mod signing;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use artishim::digest::Digest;
use serde_json::{Value, json};
use tempfile::TempDir;

pub use outcome::Outcome;
use registry::Registry;

pub const MODELPACK: &str = "application/vnd.cncf.model.manifest.v1+json";
pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// A home with nothing in it and a store of its own.
pub struct Home {
    directory: TempDir,
}

impl Outcome {
    /// Asserts our own failure in one line and gives it without its end.
    #[track_caller]
    pub fn failure(self) -> String {
        assert_eq!(self.status, 125, "{self:?}");
        assert_eq!(self.stdout, "", "{self:?}");
        let line = self.stderr.trim_end().to_owned();
        assert_eq!(line.lines().count(), 1, "{line}");
        line.strip_prefix("Error: ").expect("an error starts with Error").to_owned()
    }
}

impl Home {
    pub fn new() -> Self {
        Self { directory: TempDir::new().unwrap() }
    }

    /// The same inside a directory that is watched.
    pub fn new_in(parent: &Path) -> Self {
        Self { directory: TempDir::new_in(parent).unwrap() }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn store(&self) -> PathBuf {
        self.path("store")
    }

    /// artishim without any engine.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_artishim"));
        command
            .env_clear()
            .env("HOME", self.directory.path())
            // This machine may have a file for all users.
            .env("ARTISHIM_CONFIG", "/dev/null")
            .env("ARTISHIM_CACHE", self.path("cache"))
            .env("XDG_CONFIG_HOME", self.path("config"))
            .env("XDG_RUNTIME_DIR", self.path("run"))
            .env("ARTISHIM_STORE", self.store())
            .env("ARTISHIM_ENGINE", "none")
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    pub fn spawn(&self, arguments: &[&str]) -> Child {
        self.command(arguments).spawn().unwrap()
    }

    pub fn artishim(&self, arguments: &[&str]) -> Outcome {
        outcome(self.spawn(arguments).wait_with_output().unwrap())
    }
}

pub fn outcome(output: Output) -> Outcome {
    Outcome::from(output)
}

/// Bytes that differ everywhere, so that a part in the wrong place is seen.
pub fn bytes(seed: u32, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(1);
    let next = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..length).map(next).collect()
}

/// Pushes a ModelPack artifact of raw files and returns its reference.
pub fn modelpack(registry: &Registry, name: &str, files: &[(&str, &[u8])]) -> String {
    let layers = files.iter().map(|(path, content)| {
        let annotations = json!({"org.cncf.model.filepath": path, "org.opencontainers.image.title": path});
        layer(registry, "application/vnd.cncf.model.weight.v1.raw", content, &annotations)
    });
    let config = layer(registry, "application/vnd.cncf.model.config.v1+json", b"{}", &json!({}));
    let manifest = json!({
        "schemaVersion": 2, "mediaType": MANIFEST, "artifactType": MODELPACK,
        "config": config, "layers": layers.collect::<Vec<_>>(),
    });
    push(registry, name, &manifest)
}

/// Pushes a blob and describes it.
pub fn layer(registry: &Registry, media_type: &str, content: &[u8], annotations: &Value) -> Value {
    let blob = registry.push_blob(content);
    json!({"mediaType": media_type, "digest": blob.digest, "size": blob.size, "annotations": annotations})
}

/// Pushes a manifest as `name:1`.
pub fn push(registry: &Registry, name: &str, manifest: &Value) -> String {
    registry.push_manifest(name, "1", manifest.to_string());
    format!("{}/{name}:1", registry.host())
}

/// What a pull that died may leave: the index readable, every blob under its final name right.
#[track_caller]
pub fn assert_sound(store: &Path) {
    let Ok(index) = fs::read(store.join("index.json")) else { return };
    serde_json::from_slice::<Value>(&index).expect("the index is JSON");
    let Ok(blobs) = fs::read_dir(store.join("blobs/sha256")) else { return };
    for blob in blobs {
        let path = blob.unwrap().path();
        let hex = path.file_name().unwrap().to_str().unwrap().to_owned();
        assert_eq!(Digest::sha256(&fs::read(&path).unwrap()).hex(), hex, "a blob with wrong bytes is visible");
    }
}
