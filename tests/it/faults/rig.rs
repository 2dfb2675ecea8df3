//! A registry, a store, and pulls from the one to the other within this process.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use artishim::cause::one_line;
use artishim::digest::Digest;
use artishim::manifest::Descriptor;
use artishim::progress::Progress;
use artishim::pull::{Interrupter, Part, Policy, Session, Settings};
use artishim::reference::Reference;
use artishim::registry::{self, Client, Credentials, Patience};
use artishim::store::Store;
use tempfile::TempDir;

use super::CHUNK;
use crate::common::registry::{Registry, Request};
use crate::common::{assert_sound, bytes, modelpack};

pub const USER: (&str, &str) = ("ann", "secret");

/// A registry with one artifact, and an empty store.
pub struct Rig {
    pub registry: Registry,
    pub files: Vec<File>,
    pub watcher: Arc<Watcher>,
    pub reference: Reference,
    store: TempDir,
}

/// A file of the artifact.
pub struct File {
    pub digest: String,
    pub content: Vec<u8>,
}

/// Counts what a pull tells.
#[derive(Default)]
pub struct Watcher {
    /// Bytes that arrived in started blobs.
    pub advanced: AtomicU64,
    pub most_connections: AtomicUsize,
    /// Bytes that had arrived and were not read yet, where somebody reads.
    pub most_waiting: AtomicU64,
}

impl Progress for Watcher {
    fn planned(&self, _: usize, _: u64) {}
    fn connections(&self, open: usize) {
        self.most_connections.fetch_max(open, Ordering::Relaxed);
    }
    fn started(&self, _: &Descriptor, _: &str, _: u64) {}
    fn advanced(&self, _: &Digest, bytes: u64) {
        self.advanced.fetch_add(bytes, Ordering::Relaxed);
    }
    fn verifying(&self, _: &Digest) {}
    fn finished(&self, _: &Digest) {}
    fn skipped(&self, _: &Descriptor, _: &str) {}
    fn note(&self, _: &str) {}
}

/// Four connections, and patience for tests.
pub fn settings() -> Settings {
    Settings {
        connections: 4,
        chunk: CHUNK as u64,
        stall: Duration::from_millis(250),
        pause: Duration::from_millis(2),
        failures: 6,
        ..Settings::default()
    }
}

/// A session of [`USER`], who has as much patience with manifests as with blobs.
pub fn session(store: &Path, progress: Arc<dyn Progress>, settings: Settings) -> Session {
    let explicit = Some((USER.0.to_owned(), USER.1.to_owned()));
    let credentials = Credentials { explicit, ..Credentials::default() };
    let patience = Patience { pause: settings.pause, failures: settings.failures };
    let user_agent = String::from("artishim/test");
    let client = registry::Settings { credentials, user_agent, patience, ..registry::Settings::default() };
    Session {
        client: Client::new(client).unwrap(),
        store: Store::open(store).unwrap(),
        progress,
        settings,
        platform: None,
        part: Part::default(),
        names: true,
        short_names: Default::default(),
        gate: Arc::default(),
        typed: None,
        interrupt: Interrupter::new().1,
    }
}

impl Rig {
    /// An artifact of one file of so many bytes.
    pub fn one(size: usize) -> Self {
        Self::new(&[size], 1)
    }

    /// An artifact of files of these sizes, whose content depends on `seed`.
    pub fn new(sizes: &[usize], seed: u32) -> Self {
        let registry = Registry::start();
        let numbered = (0_u32..).zip(sizes);
        let contents: Vec<Vec<u8>> = numbered.map(|(number, size)| bytes(seed.wrapping_add(number), *size)).collect();
        let names: Vec<String> = (0..sizes.len()).map(|number| format!("part-{number}.gguf")).collect();
        let files = names.iter().zip(&contents).map(|(name, content)| (name.as_str(), content.as_slice()));
        let reference = modelpack(&registry, "acme/model", &files.collect::<Vec<_>>()).parse().unwrap();
        let file = |content: Vec<u8>| File { digest: Digest::sha256(&content).to_string(), content };
        let files = contents.into_iter().map(file).collect();
        Self { registry, files, watcher: Arc::default(), reference, store: TempDir::new().unwrap() }
    }

    /// The path of the first file's blob, at the registry and where that leads.
    pub fn blob(&self) -> &str {
        &self.files[0].digest
    }

    /// The bytes of all files.
    pub fn size(&self) -> u64 {
        self.files.iter().map(|file| file.content.len() as u64).sum()
    }

    pub fn store_path(&self) -> PathBuf {
        self.store.path().join("store")
    }

    /// What a new process would pull with.
    pub fn session(&self, settings: Settings) -> Session {
        session(&self.store_path(), Arc::clone(&self.watcher) as Arc<dyn Progress>, settings)
    }

    /// Pulls as a new process would, and tells an error as the terminal shows it.
    pub async fn pull(&self, settings: Settings) -> Result<(), String> {
        let pulled = self.session(settings).pull(&self.reference, Policy::Always).await;
        pulled.map(drop).map_err(|error| one_line(&error))
    }

    /// The same, waited for.
    pub fn pull_now(&self, settings: Settings) -> Result<(), String> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let pulled = runtime.block_on(self.pull(settings));
        runtime.shutdown_background();
        pulled
    }

    /// Pulls and checks that all is right.
    #[track_caller]
    pub fn pull_well(&self, settings: Settings) {
        self.pull_now(settings).unwrap_or_else(|error| panic!("{error}\n{}", self.story()));
        self.assert_complete();
    }

    /// Pulls, checks that nothing is visible but right bytes, and gives the error.
    #[track_caller]
    pub fn pull_badly(&self, settings: Settings) -> String {
        let error = self.pull_now(settings).expect_err("a pull that cannot go well");
        self.assert_invisible();
        error
    }

    /// What must hold after any failure: once the registry behaves, a pull succeeds.
    #[track_caller]
    pub fn recover(&self) {
        self.registry.clear_faults();
        self.registry.clear_requests();
        self.pull_well(settings());
    }

    /// Every file is in the store and right.
    #[track_caller]
    pub fn assert_complete(&self) {
        assert_sound(&self.store_path());
        let store = Store::open(&self.store_path()).unwrap();
        assert_eq!(store.list().unwrap().len(), 1, "the artifact has its name");
        for file in &self.files {
            let stored = fs::read(store.blob_path(&file.digest.parse().unwrap())).unwrap();
            assert!(stored == file.content, "the bytes of {} are wrong", file.digest);
        }
        assert_eq!(fs::read_dir(self.store_path().join("ingest")).unwrap().count(), 0, "nothing is staged any more");
    }

    /// The artifact is not there, and what is there is right.
    #[track_caller]
    pub fn assert_invisible(&self) {
        assert_sound(&self.store_path());
        assert!(Store::open(&self.store_path()).unwrap().list().unwrap().is_empty(), "a broken pull has no name");
    }

    /// The requests for bytes of files: not those for the config, nor those that were led elsewhere.
    pub fn requests(&self) -> Vec<Request> {
        let is_file = |request: &Request| self.files.iter().any(|file| request.path.contains(&file.digest));
        self.registry.requests().into_iter().filter(|request| is_file(request) && request.status != 307).collect()
    }

    /// The bytes of files that left the registry; what it says of its errors is none of them.
    pub fn sent(&self) -> u64 {
        self.requests().iter().filter(|request| request.status < 300).map(|request| request.sent).sum()
    }

    /// At most so many bytes were sent beyond those of the files.
    #[track_caller]
    pub fn assert_wasted(&self, most: u64) {
        let (sent, size) = (self.sent(), self.size());
        assert!(sent <= size + most, "{sent} bytes were sent for {size}, {most} more were due\n{}", self.story());
    }

    /// The requests, one a line.
    pub fn story(&self) -> String {
        let requests = self.registry.requests();
        let Some(start) = requests.first().map(|request| request.at) else { return String::from("no request") };
        let tell = |request: &Request| {
            let since = request.at.duration_since(start).as_millis();
            let Request { method, path, range, status, sent, spoiled, broken, .. } = request;
            format!(
                "{since:>5} ms {method} {path} {range:?}: {status}, {sent} sent, spoiled {spoiled}, broken {broken}"
            )
        };
        requests.iter().map(tell).collect::<Vec<_>>().join("\n")
    }
}

/// The error says at least one of the words.
#[track_caller]
pub fn assert_names(error: &str, words: &[&str]) {
    assert!(words.iter().any(|word| error.contains(word)), "{error:?} names none of {words:?}");
}
