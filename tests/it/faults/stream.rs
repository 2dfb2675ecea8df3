//! Blobs read in order with nothing staged, as a volume of another machine is filled.

use std::collections::HashMap;
use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use artishim::cause::one_line;
use artishim::pull::{Policy, Settings};

use super::CHUNK;
use super::rig::{Rig, Watcher, assert_names, settings};
use super::schedule::Dice;
use crate::common::registry::{Fault, Tags, What};

/// What is taken at once: half a MiB, and the rest of the piece that fills it, of which hyper reads 408 KiB at most.
const BATCH: u64 = (512 + 408) * 1024;

/// Somebody who reads, and how.
#[derive(Clone, Copy, Debug)]
pub struct Reader {
    /// The most bytes of one read.
    buffer: usize,
    /// Rests so long after each so many bytes.
    rest: (u64, Duration),
    /// Goes away after so many bytes of a blob.
    leaves: Option<u64>,
}

impl Reader {
    const EAGER: Self = Self { buffer: 64 * 1024, rest: (u64::MAX, Duration::ZERO), leaves: None };

    /// One that is never far behind, or is always, or rests longer than a connection may bring nothing.
    pub fn throw(dice: &mut Dice) -> Self {
        let bytes = (CHUNK / 2 + dice.below(8 * CHUNK)) as u64;
        let rest = match dice.below(4) {
            0 => (bytes, dice.time(&(Duration::ZERO..Duration::from_millis(30)))),
            1 => (8 * bytes, Duration::from_millis(400)),
            _ => Self::EAGER.rest,
        };
        Self { buffer: dice.pick(&[1000, 8 * 1024, 256 * 1024]), rest, leaves: None }
    }

    /// Reads all; what comes may be wrong, but then its end is an error.
    fn read(self, mut blob: impl Read, content: &[u8], pace: &mut Pace) -> Result<(), String> {
        let (mut buffer, mut seen, mut is_right) = (vec![0; self.buffer], 0, true);
        while self.leaves.is_none_or(|bytes| (seen as u64) < bytes) {
            let length = blob.read(&mut buffer).map_err(|error| one_line(&error))?;
            if length == 0 {
                assert!(is_right && seen == content.len(), "{seen} bytes of {}, right: {is_right}", content.len());
                return Ok(());
            }
            is_right &= content.get(seen..seen + length) == Some(&buffer[..length]);
            seen += length;
            pace.advance(length as u64, self.rest);
        }
        Ok(())
    }
}

/// What was read over all blobs, and how much waited to be.
struct Pace {
    watcher: Arc<Watcher>,
    read: u64,
    rested: u64,
}

impl Pace {
    fn advance(&mut self, bytes: u64, (after, rest): (u64, Duration)) {
        self.read += bytes;
        if self.read - self.rested >= after {
            self.rested = self.read;
            std::thread::sleep(rest);
        }
        let waiting = self.watcher.advanced.load(Ordering::Relaxed).saturating_sub(self.read);
        self.watcher.most_waiting.fetch_max(waiting, Ordering::Relaxed);
    }
}

/// A window of a few chunks.
pub fn window(dice: &mut Dice) -> u64 {
    (CHUNK * (4 + dice.below(5))) as u64
}

/// The most bytes that may wait for a reader.
pub const fn most_waiting(settings: &Settings, has_ranges: bool) -> u64 {
    if has_ranges { settings.window } else { settings.window + BATCH }
}

impl Rig {
    /// Reads all files one after the other, and tells an error as the terminal shows it.
    pub async fn read(&self, settings: Settings, reader: Reader) -> Result<(), String> {
        self.watcher.advanced.store(0, Ordering::Relaxed);
        let session = self.session(settings);
        let artifact = session.find(&self.reference, Policy::Always).await.map_err(|error| one_line(&error))?;
        let mut open = session.opener(&self.reference, &artifact);
        let contents = self.files.iter().map(|file| (file.digest.clone(), file.content.clone()));
        let contents: HashMap<String, Vec<u8>> = contents.collect();
        let mut pace = Pace { watcher: Arc::clone(&self.watcher), read: 0, rested: 0 };
        let reading = tokio::task::spawn_blocking(move || {
            for blob in artifact.plan.blobs() {
                let opened = open(blob).map_err(|error| one_line(&error))?;
                reader.read(opened, &contents[&blob.digest.to_string()], &mut pace)?;
            }
            Ok(())
        });
        reading.await.unwrap_or_else(|panicked| std::panic::resume_unwind(panicked.into_panic()))
    }

    fn read_now(&self, settings: Settings, reader: Reader) -> Result<(), String> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let read = runtime.block_on(self.read(settings, reader));
        runtime.shutdown_background();
        read
    }

    /// What waited at most, and that nothing is in the store.
    #[track_caller]
    pub fn assert_streamed(&self, most: u64) {
        let waiting = self.watcher.most_waiting.load(Ordering::Relaxed);
        assert!(waiting <= most, "{waiting} bytes waited, {most} may\n{}", self.story());
        for folder in ["ingest", "blobs/sha256"] {
            let staged = std::fs::read_dir(self.store_path().join(folder)).unwrap().count();
            assert_eq!(staged, 0, "a stream stages nothing");
        }
    }
}

const SIZE: usize = 40 * CHUNK + 1;

fn narrow() -> Settings {
    Settings { window: 4 * CHUNK as u64, ..settings() }
}

#[test]
fn a_reader_that_rests_holds_the_registry_back() {
    let rig = Rig::one(SIZE);
    let rest = (8 * CHUNK as u64, Duration::from_millis(100));
    rig.read_now(narrow(), Reader { rest, ..Reader::EAGER }).unwrap();
    rig.assert_streamed(narrow().window);
    rig.assert_wasted(0);
    let waiting = rig.watcher.most_waiting.load(Ordering::Relaxed);
    assert!(waiting >= narrow().window / 2, "only {waiting} bytes were fetched ahead");
}

#[test]
fn a_reader_that_rests_holds_one_stream_back_too() {
    let rig = Rig::one(SIZE);
    rig.registry.fault(Fault::always(rig.blob(), What::IgnoreRange));
    // Longer than a connection may bring nothing.
    let rest = (16 * CHUNK as u64, Duration::from_millis(400));
    rig.read_now(narrow(), Reader { rest, ..Reader::EAGER }).unwrap();
    rig.assert_streamed(narrow().window + BATCH);
}

#[test]
fn a_reader_that_goes_away_ends_the_fetching() {
    for connections in [1, 4] {
        let rig = Rig::one(SIZE);
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let settings = Settings { connections, ..narrow() };
        let reader = Reader { leaves: Some(CHUNK as u64), ..Reader::EAGER };
        runtime.block_on(rig.read(settings, reader)).unwrap();
        // Its window may be full of bytes that nobody reads.
        let most = rig.sent() + settings.window + (connections * CHUNK) as u64;
        std::thread::sleep(Duration::from_millis(300));
        let sent = rig.sent();
        assert!(sent <= most && sent < SIZE as u64 / 2, "{sent} bytes were sent, {most} may\n{}", rig.story());
        let start = Instant::now();
        while rig.registry.open_now() > 0 {
            assert!(start.elapsed() < Duration::from_secs(5), "it goes on for nobody\n{}", rig.story());
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

#[test]
fn a_stream_of_wrong_bytes_ends_in_an_error() {
    for at in [0, SIZE / 2, SIZE - 1] {
        let rig = Rig::one(SIZE);
        rig.registry.fault(Fault::always(rig.blob(), What::WrongByte(at)));
        assert_names(&rig.read_now(narrow(), Reader::EAGER).unwrap_err(), &["wrong content"]);
    }
    let rig = Rig::one(SIZE);
    rig.registry.tag_blobs(Tags::Strong);
    rig.registry.fault(Fault::always(rig.blob(), What::Changed).after(8));
    assert_names(&rig.read_now(narrow(), Reader::EAGER).unwrap_err(), &["changed"]);
}
