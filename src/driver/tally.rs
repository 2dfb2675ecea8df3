//! How far a volume's pull is.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::digest::Digest;
use crate::manifest::Descriptor;
use crate::progress::Progress;

/// Counts the bytes of one pull.
#[derive(Debug, Default)]
pub(super) struct Tally(Mutex<Counts>);

#[derive(Debug, Default)]
struct Counts {
    total: u64,
    done: u64,
    /// What came since somebody asked for it last, also what was of no use.
    arrived: u64,
    blobs: HashMap<Digest, (u64, u64)>,
}

impl Tally {
    /// The bytes that are here, and all there are to come.
    pub(super) fn bytes(&self) -> (u64, u64) {
        let counts = self.lock();
        let coming: u64 = counts.blobs.values().map(|(bytes, _)| bytes).sum();
        (counts.done.saturating_add(coming).min(counts.total), counts.total)
    }

    /// The bytes that came since this was asked last.
    pub(super) fn take_arrived(&self) -> u64 {
        std::mem::take(&mut self.lock().arrived)
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Progress for Tally {
    fn planned(&self, _: usize, bytes: u64) {
        let mut counts = self.lock();
        *counts = Counts { total: bytes, arrived: counts.arrived, ..Counts::default() };
    }

    fn connections(&self, _: usize) {}

    fn started(&self, blob: &Descriptor, _: &str, present: u64) {
        self.lock().blobs.insert(blob.digest.clone(), (present, blob.size));
    }

    fn advanced(&self, blob: &Digest, bytes: u64) {
        let mut counts = self.lock();
        counts.arrived = counts.arrived.saturating_add(bytes);
        if let Some((there, size)) = counts.blobs.get_mut(blob) {
            *there = there.saturating_add(bytes).min(*size);
        }
    }

    fn verifying(&self, _: &Digest) {}

    fn finished(&self, blob: &Digest) {
        let mut counts = self.lock();
        if let Some((_, size)) = counts.blobs.remove(blob) {
            counts.done = counts.done.saturating_add(size);
        }
    }

    fn skipped(&self, blob: &Descriptor, _: &str) {
        let mut counts = self.lock();
        counts.done = counts.done.saturating_add(blob.size);
    }

    fn note(&self, text: &str) {
        tracing::info!("{text}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pull_is_as_far_as_its_blobs() {
        let blob = |name: &str, size| Descriptor::new("", Digest::sha256(name.as_bytes()), size);
        let (a, b, c) = (blob("a", 100), blob("b", 50), blob("c", 7));
        let tally = Tally::default();
        assert_eq!(tally.bytes(), (0, 0));
        tally.planned(3, 157);
        tally.started(&a, "a", 40);
        tally.advanced(&a.digest, 30);
        tally.skipped(&c, "c");
        assert_eq!(tally.bytes(), (77, 157));
        tally.finished(&a.digest);
        tally.started(&b, "b", 0);
        assert_eq!(tally.bytes(), (107, 157));
        assert_eq!((tally.take_arrived(), tally.take_arrived()), (30, 0));
    }
}
