//! Lines for a log: one per file when it is done, and now and then where a long pull stands.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::told::Told;
use super::{Ui, Way, lock};
use crate::digest::Digest;
use crate::manifest::Descriptor;
use crate::progress::Progress;

/// One line per file, when it is done.
pub(super) struct Lines {
    ui: Ui,
    /// The shortest and the longest time between two lines about where a pull stands.
    pause: (Duration, Duration),
    told: Mutex<Told>,
}

impl Lines {
    pub(super) fn new(ui: Ui, pause: (Duration, Duration), way: Way) -> Self {
        Self { ui, pause, told: Mutex::new(Told::new(way)) }
    }

    fn say(&self, lines: impl IntoIterator<Item = String>) {
        lines.into_iter().for_each(|line| self.ui.status(&line));
    }

    fn advanced_at(&self, now: Instant, blob: &Digest, bytes: u64) {
        let mut told = lock(&self.told);
        if told.tally.advanced(blob, bytes).is_none() {
            return;
        }
        told.tally.sample(now);
        let age = told.tally.age(now);
        if is_due(age, told.stood, self.pause) {
            told.stood = age;
            self.say([told.sentence()]);
        }
    }
}

impl Progress for Lines {
    fn planned(&self, blobs: usize, bytes: u64) {
        lock(&self.told).tally.planned(blobs, bytes);
    }

    fn connections(&self, open: usize) {
        lock(&self.told).tally.connections = open;
    }

    fn started(&self, blob: &Descriptor, name: &str, present: u64) {
        self.say(lock(&self.told).started(Instant::now(), blob, name, present));
    }

    fn advanced(&self, blob: &Digest, bytes: u64) {
        self.advanced_at(Instant::now(), blob, bytes);
    }

    fn verifying(&self, blob: &Digest) {
        lock(&self.told).tally.verifying(blob);
    }

    fn finished(&self, blob: &Digest) {
        self.say(lock(&self.told).finished(blob));
    }

    fn skipped(&self, blob: &Descriptor, name: &str) {
        self.say(lock(&self.told).skipped(blob, name));
    }

    fn note(&self, text: &str) {
        self.ui.note(text);
    }
}

impl Drop for Lines {
    /// A pull that failed has counted what nobody heard of yet.
    fn drop(&mut self) {
        self.say(lock(&self.told).close());
    }
}

/// Whether a pull of this age says where it stands, after it did so last at the age `stood`: the longer it takes, the
/// more rarely.
fn is_due(age: Duration, stood: Duration, (shortest, longest): (Duration, Duration)) -> bool {
    age.saturating_sub(stood) >= (age / 10).clamp(shortest, longest)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{digest, sized};
    use super::*;

    #[test]
    fn a_long_pull_says_now_and_then_where_it_stands() {
        let (ui, captured) = Ui::captured();
        let lines = Lines::new(ui.clone(), ui.pause(), Way::Here);
        lines.planned(2, 2_000_000_000);
        lines.connections(8);
        let start = Instant::now();
        lock(&lines.told).started(start, &sized("a", 1_000_000_000), "a", 0);
        for second in 1..=25 {
            lines.advanced_at(start + Duration::from_secs(second), &digest("a"), 10_000_000);
        }
        let said = captured.stderr();
        let (first, second) = said.split_once('\n').unwrap();
        assert_eq!(first, "Fetching: 100MB of 2GB (5 %), 10MB/s, ETA 3m10s, 0 of 2 files, 8 connections");
        assert_eq!(second, "Fetching: 200MB of 2GB (10 %), 10MB/s, ETA 3m00s, 0 of 2 files, 8 connections\n");
    }

    #[test]
    fn the_longer_a_pull_takes_the_more_rarely() {
        let cases = [(0, 0, false), (9, 0, false), (10, 0, true), (19, 10, false), (20, 10, true), (60, 50, true)];
        let later = [(200, 181, false), (200, 180, true), (600, 541, false), (9000, 8940, true)];
        for (age, stood, expected) in cases.into_iter().chain(later) {
            let (age, stood) = (Duration::from_secs(age), Duration::from_secs(stood));
            assert_eq!(is_due(age, stood, Ui::null().pause()), expected, "{age:?} after {stood:?}");
        }
    }
}
