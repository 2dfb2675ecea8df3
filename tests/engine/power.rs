//! The power is cut in mid-pull: the disk has what was flushed, and of the rest whatever it chose to write.

use std::fs::{self, File};
use std::hash::{BuildHasher as _, RandomState};
use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::{Duration, Instant};

use artishim::digest::Digest;
use rustix::process::{Pid, Signal, kill_process};

use crate::disk::{Image, artishim, spawn};
use crate::scenarios::{model, served_model};

const MIB: usize = 1 << 20;

/// A pull that can be held still.
struct Pull(Child);

impl Pull {
    fn tell(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.0), signal).unwrap();
    }

    /// Returns when every thread stands still, and nothing is being flushed.
    fn hold(&self) {
        self.tell(Signal::STOP);
        let start = Instant::now();
        while !self.states().iter().all(|state| matches!(state, 'T' | 'Z' | 'X')) {
            assert!(start.elapsed() < Duration::from_secs(30), "it does not stand still: {:?}", self.states());
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// What its threads do (proc_pid_stat(5)).
    fn states(&self) -> Vec<char> {
        let Ok(tasks) = fs::read_dir(format!("/proc/{}/task", self.0.id())) else { return Vec::new() };
        let stats = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("stat")).ok());
        stats.filter_map(|stat| stat.rsplit_once(") ")?.1.chars().next()).collect()
    }

    fn is_over(&mut self) -> bool {
        let Some(status) = self.0.try_wait().unwrap() else { return false };
        assert!(status.success(), "{status}");
        true
    }
}

impl Drop for Pull {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Where a store has its one blob.
struct Places {
    staged: PathBuf,
    record: PathBuf,
    blob: PathBuf,
}

impl Places {
    fn new(store: &Path, digest: &Digest) -> Self {
        let staged = store.join("ingest").join(digest.file_name());
        let record = staged.with_extension("ranges");
        Self { staged, record, blob: store.join("blobs/sha256").join(digest.hex()) }
    }

    /// How many bytes the record claims, all of which must be there.
    fn check(&self, model: &[u8]) -> usize {
        if let Ok(bytes) = fs::read(&self.blob) {
            assert!(bytes == model, "the blob is visible and wrong");
        }
        let record = fs::read_to_string(&self.record).unwrap_or_default();
        let (whole, _torn) = record.rsplit_once('\n').unwrap_or_default();
        let staged = fs::read(&self.staged).unwrap_or_default();
        let lines = whole.lines().skip(1).map(|line| line.split_once(' ').unwrap());
        let claimed = lines.map(|(start, end)| {
            let claimed = start.parse::<usize>().unwrap()..end.parse().unwrap();
            let is_there = staged.get(claimed.clone()) == Some(&model[claimed.clone()]);
            assert!(is_there, "the record claims {claimed:?}, and they are not among the {} staged", staged.len());
            claimed.len()
        });
        claimed.sum()
    }
}

#[test]
#[ignore = "needs root and a loop device"]
fn record_on_a_disk_without_power_claims_only_bytes_that_are_there() {
    let image = Image::new("ext4", 80 * MIB as u64);
    // The kernel writes nothing by itself in that time: the disk has what was flushed, and nothing else.
    let disk = image.mount(",commit=600");
    let model = model(24 * MIB);
    let digest = Digest::sha256(&model);
    let (reference, slow) = served_model(model.len());
    let (same, quick) = served_model(model.len());
    slow.limit_rate(4 * MIB);
    let ours = Places::new(&disk.store(), &digest);
    let mut pull = Pull(spawn(&disk.store(), &["pull", "--quiet", "--connections", "4", &reference]));
    let seed = RandomState::new();
    let mut partial = 0;
    for moment in 0_u64.. {
        std::thread::sleep(Duration::from_millis(100 + seed.hash_one(moment) % 500));
        if pull.is_over() {
            break;
        }
        pull.hold();
        // The worst order: of all that was not flushed, the record alone gets to the disk.
        if let Ok(record) = File::open(&ours.record) {
            record.sync_all().unwrap();
        }
        let copy = image.copy();
        let cut = copy.mount("");
        let claimed = Places::new(&cut.store(), &digest).check(&model);
        partial += usize::from((1..model.len()).contains(&claimed));
        let before = quick.sent(digest.hex());
        artishim(&cut.store(), &["pull", "--quiet", &same]).success();
        let sent = quick.sent(digest.hex()) - before;
        assert!(sent <= (model.len() - claimed) as u64, "{sent} bytes were fetched, {claimed} were there");
        Places::new(&cut.store(), &digest).check(&model);
        assert!(Places::new(&cut.store(), &digest).blob.exists());
        pull.tell(Signal::CONT);
    }
    assert!(partial >= 3, "the power was cut {partial} times while the record claimed something");
    assert_eq!(ours.check(&model), 0);
    assert!(ours.blob.exists());
}
