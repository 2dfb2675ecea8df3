//! Whether a place that is slow has a faster one behind it.
//!
//! How fast a mirror could be is known only beside another place. So where one brings little for a while and much is left, a
//! scout asks the next place for a few bytes, and keeps none of them: digests make it safe to fetch the rest there.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::{sleep, timeout};

use super::connections::Connections;
use crate::registries_conf::Endpoint;
use crate::registry::Source;

/// How long a place is watched before it is called slow.
const WATCH: Duration = Duration::from_secs(2);
/// What brings so many bytes a second in all is fast enough.
const PLENTY: u64 = 8 * 1024 * 1024;
/// Nothing is worth changing that is over sooner.
const WORTH: u64 = 8;
/// How many bytes a scout reads, and how long at most.
const SAMPLE: u64 = 1024 * 1024;
const PATIENCE: Duration = Duration::from_secs(5);
/// How many times faster than a connection to the slow place the other one must be.
const FASTER: f64 = 4.0;
/// How long the place is borne with after a scout that found nothing better.
const REST: Duration = Duration::from_secs(60);

/// Watches the place that a blob comes from.
pub(super) struct Scout<'a> {
    pub connections: &'a Connections,
    pub source: &'a Source,
}

impl Scout<'_> {
    /// Returns when the mirror that serves has been left, for whatever blob, so that what it is sending is to be asked for
    /// elsewhere; false when there is no mirror any more.
    pub async fn run(&self) -> bool {
        let (mut watched, mut not_before) = (None, Instant::now());
        while watched.is_some() || self.source.has_mirrors() {
            let before = self.connections.total();
            sleep(WATCH).await;
            if watched.as_ref().is_some_and(|mirror: &Arc<Endpoint>| self.source.has_left(mirror)) {
                return true;
            }
            watched = self.source.serving_mirror().filter(|mirror| !self.source.has_left(mirror));
            let Some(mirror) = watched.as_deref().filter(|_| Instant::now() >= not_before) else { continue };
            let pace = (self.connections.total() - before) / WATCH.as_secs();
            let is_slow = pace < PLENTY && self.connections.left() / pace.max(1) > WORTH;
            if !is_slow || !self.connections.wait_for_registry(WATCH) {
                continue;
            }
            let Some(_turn) = self.connections.scouting() else { continue };
            if self.finds_faster(mirror, pace).await {
                return self.source.leave(mirror);
            }
            not_before = Instant::now() + REST;
        }
        false
    }

    async fn finds_faster(&self, mirror: &Endpoint, pace: u64) -> bool {
        let began = Instant::now();
        let bytes = timeout(PATIENCE, self.sample(mirror)).await.ok().flatten();
        let Some(bytes) = bytes.filter(|bytes| *bytes > 0) else { return false };
        let share = as_f64(pace) / as_f64(self.connections.open() as u64).max(1.0);
        let speed = as_f64(bytes) / began.elapsed().as_secs_f64();
        tracing::debug!(speed, share, "another place was asked");
        speed > share * FASTER
    }

    /// Reads some bytes of the end of the blob, which nobody has asked for yet.
    async fn sample(&self, mirror: &Endpoint) -> Option<u64> {
        let size = self.source.blob().size;
        let mut body = self.source.open_behind(mirror, &(size.saturating_sub(SAMPLE)..size)).await.ok()?;
        let mut bytes = 0;
        while bytes < SAMPLE {
            match body.chunk().await.ok()? {
                Some(piece) => bytes += piece.len() as u64,
                None => break,
            }
        }
        Some(bytes)
    }
}

/// Speeds need not be exact.
#[allow(clippy::cast_precision_loss)]
const fn as_f64(bytes: u64) -> f64 {
    bytes as f64
}
