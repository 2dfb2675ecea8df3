//! Processes that pull, killed at any moment. None lives long enough for the whole pull, so that it ends only if each goes
//! on where the record says the last one was.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use artishim::digest::Digest;
use artishim::manifest::Descriptor;
use artishim::progress::{Progress, Silent};
use artishim::pull::Settings;
use artishim::store::Store;

use super::rig::session;
use super::schedule::{Dice, seed};
use crate::common::registry::Registry;
use crate::common::{Home, assert_sound, bytes, modelpack};

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;
const CONNECTIONS: usize = 4;
/// What one request brings, and what is noted at once.
const CHUNK: usize = 32 * KIB;
/// What all connections bring together in a second.
const RATE: usize = 4 * MIB;
/// What is not noted yet because the disk is busy with the last note: what comes in a twentieth of a second.
const NOTING: usize = RATE / 20;
/// What every child is given: where to pull from and to.
const TASK: &str = "ARTISHIM_TEST_KILL";

/// How long one process lives.
#[derive(Clone, Debug)]
enum Life {
    /// So long after its start; then it has claimed, or is about to.
    Time(Range<Duration>),
    /// Until the registry has sent it so many bytes, and a little longer.
    Bytes(Range<usize>),
}

/// One pull, by processes that are killed.
struct Killing<'a> {
    registry: &'a Registry,
    blob: Digest,
    model: &'a [u8],
    store: PathBuf,
}

/// What became of a pull.
#[derive(Debug, Default)]
struct End {
    kills: u64,
    /// The most bytes sent to one process.
    most: u64,
}

impl Killing<'_> {
    fn new<'a>(registry: &'a Registry, model: &'a [u8], store: PathBuf) -> Killing<'a> {
        Killing { registry, blob: Digest::sha256(model), model, store }
    }

    /// Starts processes and kills them until one ends by itself.
    fn run(&self, dice: &mut Dice, lives: &[Life], most_kills: u64, spawn: impl Fn() -> Child) -> End {
        let mut end = End::default();
        loop {
            let (before, noted) = (self.sent(), self.noted());
            let is_over = !self.lives(spawn(), &dice.pick(lives), dice);
            let sent = self.sent() - before;
            end.most = end.most.max(sent);
            assert_sound(&self.store);
            if is_over {
                return end;
            }
            end.kills += 1;
            let now = self.noted();
            assert!(now >= noted, "kill {}: {noted} bytes were noted, {sent} sent, now {now}", end.kills);
            assert!(end.kills < most_kills, "no end after {end:?}, {now} bytes noted");
        }
    }

    /// Kills the process at the end of its life; false if it had ended.
    fn lives(&self, mut pull: Child, life: &Life, dice: &mut Dice) -> bool {
        let (start, before) = (Instant::now(), self.sent());
        let (time, bytes) = match life {
            Life::Time(time) => (dice.time(time), 0),
            Life::Bytes(bytes) => (dice.time(&(Duration::ZERO..Duration::from_millis(10))), dice.within(bytes) as u64),
        };
        let mut reached = (bytes == 0).then_some(start);
        while reached.is_none_or(|at| at.elapsed() < time) {
            if let Some(status) = pull.try_wait().unwrap() {
                assert!(status.success(), "a pull ended badly: {status}");
                return false;
            }
            reached = reached.or_else(|| (self.sent() - before >= bytes).then(Instant::now));
            assert!(start.elapsed() < Duration::from_secs(60), "a pull hangs");
            std::thread::sleep(Duration::from_micros(500).min(time));
        }
        pull.kill().unwrap();
        let status = pull.wait().unwrap();
        // It may have ended between the two.
        assert!(status.success() || status.code().is_none(), "{status}");
        true
    }

    /// The bytes sent of the blob.
    fn sent(&self) -> u64 {
        self.registry.sent(self.blob.hex())
    }

    /// The bytes that the record says are here.
    fn noted(&self) -> u64 {
        let store = Store::open(&self.store).unwrap();
        let size = self.model.len() as u64;
        if store.has_blob(&Descriptor::new("", self.blob.clone(), size)).unwrap() {
            return size;
        }
        let staged = self.store.join("ingest").join(self.blob.file_name());
        // A commit has begun, which takes the record away.
        if std::fs::metadata(&staged).is_ok_and(|data| data.permissions().readonly() && data.len() == size) {
            return size;
        }
        let record = std::fs::read_to_string(staged.with_extension("ranges")).unwrap_or_default();
        let (whole, _torn) = record.rsplit_once('\n').unwrap_or_default();
        let lines = whole.lines().skip(1).map(|line| line.split_once(' ').unwrap());
        // A process notes no byte twice.
        lines.map(|(start, end)| end.parse::<u64>().unwrap() - start.parse::<u64>().unwrap()).sum()
    }

    fn assert_right(&self) {
        let stored = std::fs::read(Store::open(&self.store).unwrap().blob_path(&self.blob)).unwrap();
        assert!(stored == self.model, "the bytes are wrong");
    }
}

/// Kills the pulls of children of this program, which have small chunks and notes, until `size` bytes are here.
fn kill_children(size: usize) -> End {
    let seed = seed();
    println!("kills of ARTISHIM_FAULT_SEED={seed}");
    let (home, registry, model) = (Home::new(), Registry::start(), model(size));
    let reference = modelpack(&registry, "acme/killed", &[("killed.gguf", &model)]);
    registry.limit_rate(RATE);
    // An unfinished chunk of each connection, and less than a note.
    let loss = ((CONNECTIONS + 1) * CHUNK + NOTING) as u64;
    let killing = Killing::new(&registry, &model, home.store());
    let task = format!("{reference} {}", home.store().display());
    let bytes = Life::Bytes(1..2 * PER_LIFE);
    let lives = [Life::Time(Duration::ZERO..Duration::from_millis(40)), bytes.clone(), bytes.clone(), bytes];
    let end = killing.run(&mut Dice::new(seed, 0), &lives, 1000, || spawn(&task));
    killing.assert_right();
    let sent = killing.sent();
    println!("{end:?}, {sent} bytes sent for {size}");
    assert!(sent <= size as u64 + end.kills * loss, "{sent} bytes sent for {size}, {end:?}");
    assert!(end.most <= size as u64 / 2, "one process fetched nearly all: {end:?}");
    end
}

/// How many bytes are sent to one child that lives by bytes, on an average.
const PER_LIFE: usize = 20 * CHUNK;

#[test]
fn a_pull_killed_again_and_again_ends_only_by_what_was_noted() {
    let end = kill_children(10 * PER_LIFE);
    assert!(end.kills >= 5, "{end:?}");
}

#[test]
#[ignore = "takes a minute; tests/run runs it"]
fn two_hundred_kills_of_one_pull_end_right() {
    let end = kill_children(230 * PER_LIFE);
    assert!(end.kills >= 200, "{end:?}");
}

#[test]
#[ignore = "takes some twenty seconds; tests/run runs it"]
fn the_program_killed_again_and_again_ends_only_by_what_was_noted() {
    let (home, registry, model) = (Home::new(), Registry::start(), model(160 * MIB));
    let reference = modelpack(&registry, "acme/killed", &[("killed.gguf", &model)]);
    registry.limit_rate(24 * MIB);
    let arguments = ["pull", "--quiet", "--connections", &CONNECTIONS.to_string(), &reference];
    // A note, or what comes in the second after which one is made; what a connection gathers, writes and has in sockets.
    let loss = Settings::default().note + (CONNECTIONS * 2 * MIB) as u64;
    let killing = Killing::new(&registry, &model, home.store());
    let lives = [Life::Bytes(16 * MIB..64 * MIB)];
    let seed = seed();
    println!("kills of ARTISHIM_FAULT_SEED={seed}");
    let end = killing.run(&mut Dice::new(seed, 0), &lives, 100, || home.spawn(&arguments));
    killing.assert_right();
    let (sent, most) = (killing.sent(), model.len() as u64 + end.kills * loss);
    assert!(end.kills >= 3 && sent <= most, "{sent} bytes sent, {most} at most, {end:?}");
    let entry = home.artishim(&["path", &reference]).success();
    assert!(std::fs::read(entry.trim_end()).unwrap() == model, "the bytes are wrong");
}

/// Not a test: what a child runs.
#[test]
#[ignore = "run by the tests above as a process of its own"]
fn child() {
    let Ok(task) = std::env::var(TASK) else { return };
    let (reference, store) = task.split_once(' ').unwrap();
    let settings =
        Settings { connections: CONNECTIONS, chunk: CHUNK as u64, note: CHUNK as u64, ..Settings::default() };
    let session = session(Path::new(store), std::sync::Arc::new(Silent) as std::sync::Arc<dyn Progress>, settings);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let pulled = runtime.block_on(session.pull(&reference.parse().unwrap(), artishim::pull::Policy::Always));
    pulled.unwrap();
}

fn spawn(task: &str) -> Child {
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "faults::kill::child", "--ignored", "--nocapture"]).env(TASK, task);
    child.stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap()
}

/// Bytes no two blocks of which are alike.
fn model(size: usize) -> Vec<u8> {
    let block = bytes(7, 4096);
    let mut model: Vec<u8> = block.iter().copied().cycle().take(size).collect();
    for (number, block) in model.chunks_exact_mut(4096).enumerate() {
        block[..8].copy_from_slice(&number.to_le_bytes());
    }
    model
}
