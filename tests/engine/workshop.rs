//! A directory in which other people's programs make artifacts out of small models, and what we make of those.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::RwLockReadGuard;

use artishim::digest::Digest;
use serde_json::Value;
use tempfile::TempDir;

use crate::artifacts;
use crate::program::Outcome;
use crate::testbed::{STATE, WORK, outcome, registry, use_daemons};

/// The folder of safetensors that every workshop has, with a file one folder deeper.
pub const FOLDER: [&str; 5] = [
    "model/README.md",
    "model/config.json",
    "model/model.safetensors",
    "model/onnx/weights.onnx_data",
    "model/tokenizer.json",
];

/// Held by who adds artifacts to podman: of adds side by side some get lost (podman#27569).
pub fn adds_to_podman() -> std::sync::MutexGuard<'static, ()> {
    static ADDS: std::sync::Mutex<()> = std::sync::Mutex::new(());
    ADDS.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// The directory holds `tiny.gguf`, `sub/mmproj.gguf` and [`FOLDER`]; all engines near us see it.
pub struct Workshop {
    directory: TempDir,
    host: String,
    repository: String,
    _daemons: RwLockReadGuard<'static, ()>,
}

impl Workshop {
    pub fn new(name: &str) -> Self {
        let daemons = use_daemons();
        let directory = TempDir::with_prefix_in("workshop-", WORK).unwrap();
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let (host, repository) = (registry(), artifacts::repository(name));
        let shop = Self { directory, host, repository, _daemons: daemons };
        shop.write("tiny.gguf", &gguf("llama", 300_000));
        shop.write("sub/mmproj.gguf", &gguf("clip", 1_000));
        shop.write("model/README.md", b"# A model too small to say anything\n");
        shop.write("model/config.json", br#"{"architectures": ["LlamaForCausalLM"], "model_type": "llama"}"#);
        shop.write("model/model.safetensors", &safetensors());
        shop.write("model/onnx/weights.onnx_data", &[7; 70_000]);
        shop.write(
            "model/tokenizer.json",
            br#"{"version": "1.0", "model": {"type": "BPE", "vocab": {}, "merges": []}}"#,
        );
        fs::create_dir(shop.path("tmp")).unwrap();
        shop
    }

    /// What `$REF` is in [`Self::run`].
    pub fn reference(&self) -> String {
        format!("{}/{}:1", self.host, self.repository)
    }

    pub fn path(&self, path: &str) -> PathBuf {
        self.directory.path().join(path)
    }

    pub fn read(&self, path: &str) -> Vec<u8> {
        let path = self.path(path);
        fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    pub fn write(&self, path: &str, bytes: &[u8]) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    /// Runs shell lines in the directory, with the testbed's tools and its podman 5 in PATH.
    ///
    /// `$REF` and `$COPY` are references nobody else uses, `$REPO` is that of the first, `$STORE` our store,
    /// `$ENGINES` the testbed's engines.
    #[track_caller]
    pub fn run(&self, script: &str) -> String {
        self.try_run(script).success()
    }

    pub fn try_run(&self, script: &str) -> Outcome {
        let here = self.directory.path();
        let mut command = Command::new("sh");
        command
            .args(["-euc", script])
            .current_dir(here)
            .env_clear()
            .env("PATH", format!("{STATE}/tools:{STATE}/engines/podman5/bin:/usr/sbin:/usr/bin:/sbin:/bin"))
            .env("HOME", here)
            .env("TMPDIR", here.join("tmp"))
            .env("LC_ALL", "C.UTF-8")
            .env("REF", self.reference())
            .env("COPY", format!("{}/{}-copy:1", self.host, self.repository))
            .env("REPO", format!("{}/{}", self.host, self.repository))
            .env("REGISTRY", &self.host)
            .env("STORE", self.path("store"))
            .env("ENGINES", format!("{STATE}/engines"));
        outcome(command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap())
    }

    /// Our program without an engine, on the store of the workshop.
    pub fn artishim(&self, arguments: &[&str]) -> Outcome {
        let mut command = Command::new(env!("CARGO_BIN_EXE_artishim"));
        command.env_clear().env("HOME", self.path("home")).args(["--engine", "none", "--store"]);
        command.arg(self.path("store")).args(arguments);
        outcome(command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap())
    }

    /// Pulls `$REF`. Its files must be those of `files`, each with the name it has here; what `path` and `inspect` say
    /// must be so too. Gives the answer of `path --json`.
    #[track_caller]
    pub fn assert_pulled(&self, packaging: &str, entry: Option<&str>, files: &[(&str, &str)]) -> Value {
        let answer = self.artishim(&["path", "--json", &self.reference()]).success();
        let answer: Value = serde_json::from_str(&answer).unwrap();
        let snapshot = PathBuf::from(answer["snapshot"].as_str().unwrap());
        let laid_out = files_below(&snapshot);
        let names: Vec<&str> = laid_out.keys().map(String::as_str).collect();
        let mut expected: Vec<&str> = files.iter().map(|(path, _)| *path).collect();
        expected.sort_unstable();
        assert_eq!((answer["packaging"].as_str(), names), (Some(packaging), expected), "{answer}");
        for (path, source) in files {
            assert!(laid_out[*path] == self.read(source), "{path} is not {source}");
        }
        assert_eq!(answer["entry"].as_str(), entry, "{answer}");
        if let Some(entry) = entry {
            let printed = self.artishim(&["path", &self.reference()]).success();
            assert_eq!(Path::new(printed.trim()), snapshot.join(entry));
        }
        self.assert_inspected();
        answer
    }

    /// `inspect` shows what the registry has: `$REF` itself, or a child of it where that is an index.
    fn assert_inspected(&self) {
        let told: Value = serde_json::from_str(&self.artishim(&["inspect", &self.reference()]).success()).unwrap();
        let digest = told["Digest"].as_str().unwrap();
        let manifest = self.run(&format!("skopeo inspect --raw --tls-verify=false docker://$REPO@{digest}"));
        assert_eq!(Digest::sha256(manifest.as_bytes()).to_string(), digest);
        assert_eq!(told["Manifest"], serde_json::from_str::<Value>(&manifest).unwrap());
        let named = self.run("skopeo inspect --raw --tls-verify=false docker://$REF");
        assert!(named == manifest || named.contains(digest), "{digest} is not in {named}");
    }

    /// A pull ends with one line that has all of `words`, and leaves nothing to see.
    #[track_caller]
    pub fn assert_refused(&self, reference: &str, words: &[&str]) {
        let refused = self.artishim(&["pull", "--quiet", reference]);
        assert_eq!((refused.status, refused.stderr.lines().count()), (125, 1), "{refused:?}");
        assert!(words.iter().all(|word| refused.stderr.contains(word)), "{words:?} in {refused:?}");
        assert_eq!(self.artishim(&["ls", "--quiet"]).success(), "");
    }
}

/// Each file with the name it has here already.
pub fn same<'a>(paths: &[&'a str]) -> Vec<(&'a str, &'a str)> {
    paths.iter().map(|path| (*path, *path)).collect()
}

/// Every file below a folder with its bytes; links are what they lead to.
pub fn files_below(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut folders = vec![folder.to_owned()];
    let mut files = BTreeMap::new();
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned();
                files.insert(name, fs::read(path).unwrap());
            }
        }
    }
    files
}

/// A valid GGUF without tensors, of about `length` bytes.
fn gguf(architecture: &str, length: usize) -> Vec<u8> {
    const VERSION: u32 = 3;
    const STRING: u32 = 8;
    let description = ".".repeat(length);
    let fields = [
        ("general.architecture", architecture),
        ("general.name", "A model too small to say anything"),
        ("general.description", &description),
    ];
    let mut bytes = b"GGUF".to_vec();
    bytes.extend(VERSION.to_le_bytes());
    bytes.extend(0_u64.to_le_bytes());
    bytes.extend((fields.len() as u64).to_le_bytes());
    let text = |bytes: &mut Vec<u8>, text: &str| {
        bytes.extend((text.len() as u64).to_le_bytes());
        bytes.extend(text.as_bytes());
    };
    for (key, value) in fields {
        text(&mut bytes, key);
        bytes.extend(STRING.to_le_bytes());
        text(&mut bytes, value);
    }
    bytes
}

/// A valid safetensors file of one tensor of 64 zeros.
fn safetensors() -> Vec<u8> {
    let header = format!("{:<80}", r#"{"weight":{"dtype":"F32","shape":[64],"data_offsets":[0,256]}}"#);
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.extend([0; 256]);
    bytes
}
