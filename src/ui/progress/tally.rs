//! What is known of the pulls under way: the blobs in flight, and the sums over all blobs.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::rate::{Rate, eta};
use crate::digest::Digest;
use crate::manifest::Descriptor;

/// A number of blobs with their bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Sum {
    pub blobs: usize,
    pub bytes: u64,
}

impl Sum {
    /// A manifest may claim any size.
    pub(super) const fn add(&mut self, blobs: usize, bytes: u64) {
        self.blobs = self.blobs.saturating_add(blobs);
        self.bytes = self.bytes.saturating_add(bytes);
    }
}

/// A blob in flight.
#[derive(Debug)]
pub(super) struct Blob {
    pub name: String,
    pub size: u64,
    /// What was here when it started.
    pub present: u64,
    /// All that is here.
    pub bytes: u64,
    /// What came since it started, also what turned out to be of no use.
    pub arrived: u64,
    pub since: Instant,
    /// Its place among all that were started.
    pub order: usize,
    pub is_verifying: bool,
    pub rate: Rate,
    /// When its advance was told last.
    pub told: Instant,
}

/// Where the pulls under way stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Total {
    pub blobs: usize,
    pub blobs_done: usize,
    pub size: u64,
    /// All that is here, also from earlier.
    pub bytes: u64,
    pub speed: u64,
    pub eta: Option<u64>,
    #[serde(skip)]
    pub connections: usize,
}

/// Counts; whoever shows the numbers asks for them.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub blobs: HashMap<Digest, Blob>,
    pub connections: usize,
    planned: Sum,
    /// Those that were started or skipped; a blob that nobody planned is among them.
    met: Sum,
    done: usize,
    bytes: u64,
    arrived: u64,
    began: Option<Instant>,
    rate: Option<Rate>,
}

impl Tally {
    pub(super) const fn planned(&mut self, blobs: usize, bytes: u64) {
        self.planned.add(blobs, bytes);
    }

    /// Tells how much of the blob was here a moment ago when it starts again.
    pub(super) fn started(&mut self, now: Instant, blob: &Descriptor, name: &str, present: u64) -> Option<u64> {
        let present = present.min(blob.size);
        self.began.get_or_insert(now);
        self.rate.get_or_insert(Rate::new(now));
        self.bytes = self.bytes.saturating_add(present);
        if let Some(again) = self.blobs.get_mut(&blob.digest) {
            let before = again.bytes;
            self.bytes = self.bytes.saturating_sub(before);
            (again.present, again.bytes, again.is_verifying) = (present, present, false);
            return Some(before);
        }
        let started = Blob {
            name: name.to_owned(),
            size: blob.size,
            present,
            bytes: present,
            arrived: 0,
            since: now,
            order: self.met.blobs,
            is_verifying: false,
            rate: Rate::new(now),
            told: now,
        };
        self.met.add(1, blob.size);
        self.blobs.insert(blob.digest.clone(), started);
        None
    }

    pub(super) fn advanced(&mut self, blob: &Digest, bytes: u64) -> Option<&mut Blob> {
        let blob = self.blobs.get_mut(blob)?;
        let fits = bytes.min(blob.size - blob.bytes);
        blob.bytes += fits;
        blob.arrived += bytes;
        self.bytes = self.bytes.saturating_add(fits);
        self.arrived += bytes;
        Some(blob)
    }

    pub(super) fn verifying(&mut self, blob: &Digest) -> Option<&Blob> {
        let blob = self.blobs.get_mut(blob)?;
        self.bytes = self.bytes.saturating_add(blob.size - blob.bytes);
        (blob.bytes, blob.is_verifying) = (blob.size, true);
        Some(blob)
    }

    pub(super) fn finished(&mut self, blob: &Digest) -> Option<Blob> {
        self.verifying(blob)?;
        self.done += 1;
        self.blobs.remove(blob)
    }

    /// Another pull may have brought a blob that was started here.
    pub(super) fn skipped(&mut self, blob: &Descriptor) {
        if self.finished(&blob.digest).is_none() {
            self.met.add(1, blob.size);
            self.done += 1;
            self.bytes = self.bytes.saturating_add(blob.size);
        }
    }

    /// Has to be called now and then for [`Self::total`] to know the speed.
    pub(super) fn sample(&mut self, now: Instant) {
        if let Some(rate) = &mut self.rate {
            rate.sample(now, self.arrived);
        }
    }

    pub(super) fn total(&self) -> Total {
        let size = self.planned.bytes.max(self.met.bytes);
        let speed = self.rate.map_or(0, |rate| rate.per_second());
        Total {
            blobs: self.planned.blobs.max(self.met.blobs),
            blobs_done: self.done,
            size,
            bytes: self.bytes,
            speed,
            eta: eta(size.saturating_sub(self.bytes), speed),
            connections: self.connections,
        }
    }

    /// How many blobs are known to belong to the pulls under way.
    pub(super) const fn planned_blobs(&self) -> usize {
        self.planned.blobs
    }

    /// Since the first blob started.
    pub(super) fn age(&self, now: Instant) -> Duration {
        self.began.map_or(Duration::ZERO, |began| now.saturating_duration_since(began))
    }

    /// Whether all that was announced is here; the numbers may be forgotten then.
    pub(super) fn is_over(&self) -> bool {
        self.blobs.is_empty() && self.done >= self.planned.blobs
    }

    /// Starts anew with the next pull.
    pub(super) fn forget(&mut self) {
        *self = Self { connections: self.connections, ..Self::default() };
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{digest, sized};
    use super::*;

    /// Blobs done of all, and bytes here of all.
    fn numbers(tally: &Tally) -> (usize, usize, u64, u64) {
        let total = tally.total();
        (total.blobs_done, total.blobs, total.bytes, total.size)
    }

    #[test]
    fn sums_go_over_all_blobs() {
        let (now, mut tally) = (Instant::now(), Tally::default());
        tally.planned(3, 350);
        assert_eq!(numbers(&tally), (0, 3, 0, 350));
        tally.started(now, &sized("a", 100), "a", 43);
        tally.started(now, &sized("b", 200), "b", 0);
        assert_eq!(numbers(&tally), (0, 3, 43, 350));
        tally.skipped(&sized("c", 50));
        assert_eq!(numbers(&tally), (1, 3, 93, 350));
        tally.advanced(&digest("a"), 7).unwrap();
        assert_eq!(numbers(&tally), (1, 3, 100, 350));
        tally.advanced(&digest("b"), 150).unwrap();
        tally.verifying(&digest("a"));
        assert_eq!(numbers(&tally), (1, 3, 300, 350));
        assert!(tally.finished(&digest("a")).is_some() && tally.finished(&digest("a")).is_none());
        assert!(!tally.is_over());
        tally.finished(&digest("b"));
        assert_eq!((numbers(&tally), tally.is_over()), ((3, 3, 350, 350), true));
        tally.forget();
        assert_eq!(numbers(&tally), (0, 0, 0, 0));
    }

    #[test]
    fn a_blob_that_starts_again_takes_back_what_was_here() {
        let (now, mut tally) = (Instant::now(), Tally::default());
        tally.planned(2, 300);
        assert_eq!(tally.started(now, &sized("a", 100), "a", 43), None);
        tally.started(now, &sized("b", 200), "b", 20);
        tally.advanced(&digest("a"), 30);
        assert_eq!(tally.started(now, &sized("a", 100), "a", 10), Some(73));
        assert_eq!(numbers(&tally), (0, 2, 30, 300));
        assert_eq!(tally.blobs[&digest("a")].arrived, 30);
        assert_eq!(tally.started(now, &sized("a", 100), "a", 0), Some(10));
        assert_eq!(numbers(&tally), (0, 2, 20, 300));
    }

    #[test]
    fn more_than_was_announced_is_counted_but_never_too_much() {
        let (now, mut tally) = (Instant::now(), Tally::default());
        tally.started(now, &sized("a", 100), "a", 1000);
        tally.advanced(&digest("a"), 1000);
        tally.advanced(&digest("unknown"), 1000);
        assert_eq!(numbers(&tally), (0, 1, 100, 100));
        tally.skipped(&sized("a", 100));
        assert_eq!((numbers(&tally), tally.is_over()), ((1, 1, 100, 100), true));
        tally.skipped(&sized("huge", u64::MAX));
        tally.started(now, &sized("huge too", u64::MAX), "huge too", 1);
        tally.verifying(&digest("huge too"));
        assert_eq!(numbers(&tally), (2, 3, u64::MAX, u64::MAX));
    }

    #[test]
    fn what_was_here_before_is_no_speed() {
        let (now, mut tally) = (Instant::now(), Tally::default());
        tally.planned(2, 2_000_001_000);
        tally.started(now, &sized("a", 2_000_000_000), "a", 1_000_000_000);
        tally.skipped(&sized("b", 1000));
        tally.advanced(&digest("a"), 1_000_000);
        tally.sample(now + Duration::from_secs(1));
        let total = tally.total();
        assert_eq!((total.speed, total.eta), (1_000_000, Some(999)));
        tally.started(now, &sized("a", 2_000_000_000), "a", 0);
        tally.sample(now + Duration::from_secs(1));
        let total = tally.total();
        assert_eq!((total.speed, total.eta), (1_000_000, Some(2000)));
    }
}
