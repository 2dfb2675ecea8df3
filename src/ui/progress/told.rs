//! The lines about a pull that stay: on a terminal above what moves, elsewhere all there is.

use std::time::{Duration, Instant};

use super::Way;
use super::tally::{Sum, Tally};
use super::text::{self, percent, resumed};
use crate::digest::Digest;
use crate::manifest::Descriptor;
use crate::ui::{NAME, human, shortened};

/// Of a pull with more files than this, the small ones are counted and not named.
const MANY: usize = 32;
const SMALL: u64 = 64 * 1024 * 1024;

/// A tally that words come out of.
#[derive(Debug, Default)]
pub(super) struct Told {
    pub tally: Tally,
    /// The age of the pull when a line said last where it stands.
    pub stood: Duration,
    way: Way,
    fetched: Sum,
    present: Sum,
}

impl Told {
    pub(super) fn new(way: Way) -> Self {
        Self { way, ..Self::default() }
    }

    /// Where everything stands.
    pub(super) fn sentence(&self) -> String {
        text::sentence(&self.tally.total(), self.way)
    }

    pub(super) fn started(&mut self, now: Instant, blob: &Descriptor, name: &str, present: u64) -> Option<String> {
        let before = self.tally.started(now, blob, name, present);
        let percent = percent(present, blob.size);
        match before {
            _ if self.is_counted(blob.size) => None,
            _ if present > 0 && percent > 0 => Some(format!("{}: {}", shortened(name, NAME), resumed(percent))),
            Some(1..) => Some(format!("{}: from the start again", shortened(name, NAME))),
            _ => None,
        }
    }

    pub(super) fn finished(&mut self, blob: &Digest) -> Vec<String> {
        let Some(blob) = self.tally.finished(blob) else { return Vec::new() };
        if self.is_counted(blob.size) {
            self.fetched.add(1, blob.size);
            return self.end(None);
        }
        self.end(Some(format!("{} {} ({})", self.way.done(), shortened(&blob.name, NAME), human::size(blob.size))))
    }

    pub(super) fn skipped(&mut self, blob: &Descriptor, name: &str) -> Vec<String> {
        self.tally.skipped(blob);
        if self.is_counted(blob.size) {
            self.present.add(1, blob.size);
            return self.end(None);
        }
        self.end(Some(format!("{}: already present", shortened(name, NAME))))
    }

    /// What was only counted, when nothing more will come; then everything is forgotten.
    pub(super) fn close(&mut self) -> Vec<String> {
        let sum = |sum: Sum| match sum.blobs {
            1 => format!("1 small file ({})", human::size(sum.bytes)),
            many => format!("{many} small files ({})", human::size(sum.bytes)),
        };
        let lines = [
            (self.fetched.blobs > 0).then(|| format!("{} {}", self.way.done(), sum(self.fetched))),
            (self.present.blobs > 0).then(|| format!("{}: already present", sum(self.present))),
        ];
        self.tally.forget();
        (self.stood, self.fetched, self.present) = Default::default();
        lines.into_iter().flatten().collect()
    }

    const fn is_counted(&self, size: u64) -> bool {
        self.tally.planned_blobs() > MANY && size < SMALL
    }

    fn end(&mut self, line: Option<String>) -> Vec<String> {
        let mut lines: Vec<String> = line.into_iter().collect();
        if self.tally.is_over() {
            lines.extend(self.close());
        }
        lines
    }
}
