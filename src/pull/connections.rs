//! The connections of a pull: one budget over all blobs, which finds its own size and shares with other pulls.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;
use tokio::time::MissedTickBehavior;

use super::ramp::{Ramp, TICK};
use super::shares::Shares;
use super::{Session, Settings};
use crate::progress::Progress;
use crate::reference::Reference;

/// The smallest range worth a request of its own, unless the settings ask for less.
const MIN_CHUNK: u64 = 4 * 1024 * 1024;
/// The largest where there are blobs enough for all connections, each of which then brings its own in order.
const MAX_CHUNK: u64 = 256 * 1024 * 1024;

/// How many connections are open, how many may be, and what they bring.
pub(super) struct Connections {
    settings: Settings,
    progress: Arc<dyn Progress>,
    free: Semaphore,
    shares: Shares,
    level: Mutex<Level>,
    open: AtomicUsize,
    /// Bytes that came.
    received: AtomicU64,
    /// Bytes that did not come yet, of all blobs.
    left: AtomicU64,
    /// Blobs that are not complete yet.
    blobs: AtomicUsize,
    /// Bytes and seconds of the requests that ended.
    ended: Mutex<(u64, Duration)>,
    /// Whether the registry has answered a range with that range, or has said that it would.
    serves_ranges: AtomicBool,
    /// When bytes last waited for who takes them.
    held_up: Mutex<Option<Instant>>,
    /// Held by who looks for a faster place.
    scouting: tokio::sync::Mutex<()>,
}

/// How many slots there are and how many there should be.
struct Level {
    ramp: Ramp,
    granted: usize,
    wanted: usize,
    /// Bytes that had come at the last look.
    seen: u64,
}

/// The right to one connection, until it is dropped.
pub(super) struct Slot(Arc<Connections>);

impl Connections {
    /// A budget for so many blobs of `bytes` in all; to be called within a runtime.
    pub fn new(session: &Session, reference: &Reference, blobs: usize, bytes: u64) -> Arc<Self> {
        let known = session.client.known(reference);
        let ramp = Ramp::new(session.settings.connections, known.latency);
        let granted = ramp.level();
        let connections = Arc::new(Self {
            settings: session.settings,
            progress: Arc::clone(&session.progress),
            free: Semaphore::new(granted),
            shares: Shares::new(&session.store, session.settings.connections),
            level: Mutex::new(Level { ramp, granted, wanted: granted, seen: 0 }),
            open: AtomicUsize::new(0),
            received: AtomicU64::new(0),
            left: AtomicU64::new(bytes),
            blobs: AtomicUsize::new(blobs),
            ended: Mutex::default(),
            serves_ranges: AtomicBool::new(known.accepts_ranges),
            held_up: Mutex::default(),
            scouting: tokio::sync::Mutex::default(),
        });
        tokio::spawn(adapt(Arc::downgrade(&connections)));
        connections
    }

    /// Waits for a free connection, first come first served.
    pub async fn slot(self: &Arc<Self>) -> Slot {
        let permit = self.free.acquire().await.expect("it is never closed");
        self.shares.take().await;
        permit.forget();
        self.progress.connections(self.open.fetch_add(1, Ordering::Relaxed) + 1);
        Slot(Arc::clone(self))
    }

    /// Notes bytes that came.
    pub fn received(&self, bytes: u64) {
        self.received.fetch_add(bytes, Ordering::Relaxed);
        self.settle(bytes);
    }

    /// How many bytes have come.
    pub fn total(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    /// How many bytes did not come yet.
    pub fn left(&self) -> u64 {
        self.left.load(Ordering::Relaxed)
    }

    /// How many connections are open.
    pub fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// Bytes came faster than they were taken.
    pub fn hold_up(&self) {
        *self.held_up.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// Whether it is the registry that has been waited for of late, and not who takes the bytes.
    pub fn wait_for_registry(&self, period: Duration) -> bool {
        let held_up = *self.held_up.lock().unwrap_or_else(PoisonError::into_inner);
        held_up.is_none_or(|at| at.elapsed() > period)
    }

    /// The right to look for a faster place, which one blob has at a time.
    pub fn scouting(&self) -> Option<impl Drop> {
        self.scouting.try_lock().ok()
    }

    /// Takes bytes that need not come off what is left.
    pub fn settle(&self, bytes: u64) {
        let _ = self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| Some(left.saturating_sub(bytes)));
    }

    /// A blob is complete, or will never be.
    pub fn end_blob(&self) {
        let _ = self.blobs.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |blobs| blobs.checked_sub(1));
    }

    /// How many bytes the next request is to ask for: large ones, and smaller ones towards the end, so that all
    /// connections end at the same time.
    pub fn chunk(&self) -> u64 {
        if self.blobs.load(Ordering::Relaxed) >= self.level().wanted {
            return MAX_CHUNK;
        }
        let share = self.left.load(Ordering::Relaxed) / (2 * self.settings.connections.max(1) as u64);
        share.clamp(MIN_CHUNK.min(self.settings.chunk), self.settings.chunk)
    }

    /// A request has ended that brought so many bytes in so much time.
    pub fn ended(&self, bytes: u64, took: Duration) {
        let mut ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        *ended = (ended.0 + bytes, ended.1 + took);
    }

    /// How many bytes a second one connection brings, once that is known.
    pub fn usual_speed(&self) -> Option<f64> {
        let (bytes, took) = *self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        // A speed need not be exact.
        #[allow(clippy::cast_precision_loss)]
        (bytes > 0 && !took.is_zero()).then(|| bytes as f64 / took.as_secs_f64())
    }

    /// How many connections are of use for so many bytes of one blob: one more than for its chunks does the rest of a
    /// slow one.
    pub fn useful(&self, bytes: u64) -> usize {
        let parts = bytes.div_ceil(MIN_CHUNK.min(self.settings.chunk).max(1));
        self.settings.connections.clamp(1, usize::try_from(parts.max(1)).unwrap_or(usize::MAX))
    }

    /// Whether the registry is known to answer ranges with ranges.
    pub fn serves_ranges(&self) -> bool {
        self.serves_ranges.load(Ordering::Relaxed)
    }

    /// Remembers for further blobs that it does.
    pub fn learn_ranges(&self) {
        self.serves_ranges.store(true, Ordering::Relaxed);
    }

    /// The registry has had enough: half as many connections from now on.
    pub fn back_off(&self) {
        let mut level = self.level();
        let wanted = level.ramp.back_off();
        self.grant(&mut level, wanted);
    }

    fn tick(&self) {
        let received = self.received.load(Ordering::Relaxed);
        self.shares.release_idle();
        let mut level = self.level();
        let new = received - std::mem::replace(&mut level.seen, received);
        let is_full = self.open.load(Ordering::Relaxed) >= level.granted;
        let wanted = level.ramp.tick(new, is_full);
        self.grant(&mut level, wanted);
    }

    fn grant(&self, level: &mut Level, wanted: usize) {
        level.wanted = wanted;
        if wanted > level.granted {
            self.free.add_permits(wanted - level.granted);
            level.granted = wanted;
        } else {
            // Those in use follow when they are given back.
            level.granted -= self.free.forget_permits(level.granted - wanted);
        }
    }

    fn level(&self) -> MutexGuard<'_, Level> {
        self.level.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let connections = &self.0;
        connections.progress.connections(connections.open.fetch_sub(1, Ordering::Relaxed) - 1);
        connections.shares.give_back();
        let mut level = connections.level();
        if level.granted > level.wanted {
            level.granted -= 1;
        } else {
            connections.free.add_permits(1);
        }
    }
}

/// Looks at what the connections bring until nobody uses them any more.
async fn adapt(connections: Weak<Connections>) {
    let mut interval = tokio::time::interval(TICK);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        interval.tick().await;
        let Some(connections) = connections.upgrade() else { return };
        connections.tick();
    }
}
