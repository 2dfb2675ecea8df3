//! Our program with a model of some MiB: it sends it, brings it back, and brings it back once more after a kill.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use artishim::digest::Digest;
use tempfile::TempDir;

use super::link::Link;
use crate::program::Outcome;
use crate::testbed::outcome;

const MIB: u64 = 1024 * 1024;
const SIZE: u64 = 16 * MIB;
/// What a line brings in a second where a pull is to be killed: what is here is noted once a second.
const RATE: u64 = 6 * MIB;
/// What must be noted before the kill.
const NOTED: u64 = 3 * MIB;
/// What a pull gets beside the model's bytes: manifests, heads, certificates.
const BESIDE: u64 = MIB / 2;

/// Someone with a model, in a directory of their own.
pub struct Client {
    directory: TempDir,
    pub model: Vec<u8>,
    options: Vec<String>,
    environment: Vec<(&'static str, String)>,
}

impl Client {
    pub fn new() -> Self {
        let directory = TempDir::with_prefix("matrix-").unwrap();
        let mut state = u64::from(std::process::id()) ^ directory.path().as_os_str().len() as u64;
        let words = (0..SIZE / 8).flat_map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state ^ (state >> 29)).to_le_bytes()
        });
        let model: Vec<u8> = b"GGUF".iter().copied().chain(words.skip(4)).collect();
        fs::write(directory.path().join("model.gguf"), &model).unwrap();
        Self { directory, model, options: Vec::new(), environment: Vec::new() }
    }

    /// With an option before each command.
    pub fn option(mut self, words: &[&str]) -> Self {
        self.options.extend(words.iter().map(|word| (*word).to_owned()));
        self
    }

    pub fn variable(mut self, name: &'static str, value: &str) -> Self {
        self.environment.push((name, value.to_owned()));
        self
    }

    /// A path in the directory, for servers too.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn home(&self) -> PathBuf {
        self.path("home")
    }

    /// The digest of the model, which is the artifact's only layer.
    pub fn blob(&self) -> Digest {
        Digest::sha256(&self.model)
    }

    fn spawn(&self, store: &str, line: &[&str]) -> Child {
        let mut command = Command::new(env!("CARGO_BIN_EXE_artishim"));
        command
            .env_clear()
            .env("HOME", self.home())
            .env("ARTISHIM_CONFIG", "/dev/null")
            .env("ARTISHIM_CACHE", self.path("cache"))
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .args(["--engine", "none", "--retry", "3", "--store"])
            .arg(self.path(store))
            .args(&self.options)
            .args(line)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command.spawn().unwrap()
    }

    pub fn artishim(&self, store: &str, line: &[&str]) -> Outcome {
        outcome(self.spawn(store, line))
    }

    /// A command fails with one line that has all of `words`.
    #[track_caller]
    pub fn assert_refused(&self, line: &[&str], words: &[&str]) {
        let refused = self.artishim("refused", line);
        assert_eq!((refused.status, refused.stderr.lines().count()), (125, 1), "{refused:?}");
        assert!(words.iter().all(|word| refused.stderr.contains(word)), "{words:?} in {refused:?}");
    }

    /// Sends the model as `name`.
    #[track_caller]
    pub fn push(&self, name: &str) {
        let file = self.path("model.gguf");
        self.artishim("sender", &["add", name, file.to_str().unwrap()]).success();
        self.artishim("sender", &["push", "--quiet", name]).success();
    }

    /// Brings the model into a store.
    #[track_caller]
    pub fn pull(&self, store: &str, name: &str) {
        self.artishim(store, &["pull", "--quiet", name]).success();
        self.assert_has(store, name);
    }

    #[track_caller]
    fn assert_has(&self, store: &str, name: &str) {
        let target = self.path("out");
        self.artishim(store, &["extract", name, target.to_str().unwrap()]).success();
        assert!(fs::read(&target).unwrap() == self.model, "{name} has other bytes");
        fs::remove_file(target).unwrap();
        let left: Vec<_> = fs::read_dir(self.path(store).join("ingest")).unwrap().collect();
        assert!(left.is_empty(), "{left:?}");
    }

    /// Brings the model over `links` in two pulls, the first of which is killed half-way: what it noted is not sent again.
    #[track_caller]
    pub fn pull_in_two(&self, store: &str, name: &str, links: &[&Link]) {
        links.iter().for_each(|link| link.limit(Some(RATE)));
        let sent = || links.iter().map(|link| link.sent()).sum::<u64>();
        let mut pull = self.spawn(store, &["pull", "--quiet", name]);
        let start = Instant::now();
        while noted(&self.path(store)) < NOTED {
            let ended = pull.try_wait().unwrap();
            if ended.is_some() || start.elapsed() > Duration::from_secs(30) {
                pull.kill().ok();
                panic!("{ended:?} with {} bytes sent: {:?}", sent(), outcome(pull));
            }
            thread::sleep(Duration::from_millis(5));
        }
        pull.kill().unwrap();
        assert_eq!(pull.wait().unwrap().code(), None, "it was to be killed before its end");
        // The lines see the end of their connections.
        thread::sleep(Duration::from_millis(100));
        let (before, rest) = (sent(), SIZE - noted(&self.path(store)));
        self.artishim(store, &["pull", "--quiet", name]).success();
        let again = sent() - before;
        assert!(again >= rest / 2 && again <= rest + BESIDE, "{again} bytes sent, {rest} were missing");
        links.iter().for_each(|link| link.limit(None));
        self.assert_has(store, name);
    }

    /// The model goes to the registry, and comes back over `links` in one pull and in two.
    #[track_caller]
    pub fn round_trip(&self, name: &str, links: &[&Link]) {
        self.push(name);
        self.pull("one", name);
        self.pull_in_two("two", name, links);
    }
}

/// The bytes that the records of a store say are here.
fn noted(store: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(store.join("ingest")) else { return 0 };
    let records =
        entries.map(|entry| entry.unwrap().path()).filter(|path| path.extension().is_some_and(|e| e == "ranges"));
    let of = |path: PathBuf| {
        let text = fs::read_to_string(path).unwrap_or_default();
        let (whole, _torn) = text.rsplit_once('\n').unwrap_or_default();
        let ranges = whole.lines().skip(1).filter_map(|line| line.split_once(' '));
        ranges.map(|(start, end)| end.parse::<u64>().unwrap() - start.parse::<u64>().unwrap()).sum::<u64>()
    };
    records.map(of).sum()
}
