//! One JSON object per line, for programs. `--help` names the fields; they stay.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::rate::eta;
use super::tally::{Blob, Sum, Tally, Total};
use super::{Ui, lock};
use crate::digest::Digest;
use crate::manifest::Descriptor;
use crate::progress::Progress;
use crate::ui::in_json;

/// Of one blob it is told that it advanced at most this often.
pub(super) const ADVANCED_EVERY: Duration = Duration::from_millis(200);
/// Of all blobs together.
const TOLD_EVERY: Duration = Duration::from_millis(50);

/// One JSON object per line.
pub(super) struct Events {
    ui: Ui,
    state: Mutex<State>,
}

struct State {
    tally: Tally,
    /// When an advance was told last.
    told: Instant,
}

#[derive(Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
enum Event<'a> {
    Planned(Sum),
    Started(File<'a>),
    Advanced {
        #[serde(flatten)]
        file: File<'a>,
        speed: u64,
        eta: Option<u64>,
        connections: usize,
        total: Total,
    },
    Verifying(File<'a>),
    Finished {
        #[serde(flatten)]
        file: File<'a>,
        total: Total,
    },
    Skipped(File<'a>),
    Note {
        text: &'a str,
    },
}

/// `bytes` are all that are here, also those of an earlier try.
#[derive(Serialize)]
struct File<'a> {
    digest: &'a Digest,
    name: &'a str,
    size: u64,
    bytes: u64,
}

impl Events {
    pub(super) fn new(ui: Ui) -> Self {
        Self { ui, state: Mutex::new(State { tally: Tally::default(), told: Instant::now() }) }
    }

    /// To be called with the state locked, so that events stand in the order they happened.
    fn tell(&self, event: &Event<'_>) {
        if let Ok(line) = serde_json::to_string(event) {
            self.ui.say(&in_json(&line));
        }
    }
}

impl Progress for Events {
    fn planned(&self, blobs: usize, bytes: u64) {
        let mut state = lock(&self.state);
        state.tally.planned(blobs, bytes);
        self.tell(&Event::Planned(Sum { blobs, bytes }));
    }

    fn connections(&self, open: usize) {
        lock(&self.state).tally.connections = open;
    }

    fn started(&self, blob: &Descriptor, name: &str, present: u64) {
        let mut state = lock(&self.state);
        state.tally.started(Instant::now(), blob, name, present);
        self.tell(&Event::Started(File { digest: &blob.digest, name, size: blob.size, bytes: present }));
    }

    fn advanced(&self, digest: &Digest, bytes: u64) {
        let now = Instant::now();
        let mut state = lock(&self.state);
        let Some(blob) = state.tally.advanced(digest, bytes) else { return };
        if now.saturating_duration_since(blob.told) < ADVANCED_EVERY {
            return;
        }
        if now.saturating_duration_since(state.told) < TOLD_EVERY {
            return;
        }
        state.told = now;
        state.tally.sample(now);
        let total = state.tally.total();
        let Some(blob) = state.tally.blobs.get_mut(digest) else { return };
        blob.told = now;
        blob.rate.sample(now, blob.arrived);
        let speed = blob.rate.per_second();
        let eta = eta(blob.size - blob.bytes, speed);
        let (file, connections) = (File::new(digest, blob), total.connections);
        self.tell(&Event::Advanced { file, speed, eta, connections, total });
    }

    fn verifying(&self, blob: &Digest) {
        if let Some(found) = lock(&self.state).tally.verifying(blob) {
            self.tell(&Event::Verifying(File::new(blob, found)));
        }
    }

    fn finished(&self, blob: &Digest) {
        let mut state = lock(&self.state);
        let Some(done) = state.tally.finished(blob) else { return };
        state.tally.sample(Instant::now());
        self.tell(&Event::Finished { file: File::new(blob, &done), total: state.tally.total() });
        state.forget();
    }

    fn skipped(&self, blob: &Descriptor, name: &str) {
        let mut state = lock(&self.state);
        state.tally.skipped(blob);
        self.tell(&Event::Skipped(File { digest: &blob.digest, name, size: blob.size, bytes: blob.size }));
        state.forget();
    }

    fn note(&self, text: &str) {
        self.tell(&Event::Note { text });
    }
}

impl State {
    fn forget(&mut self) {
        if self.tally.is_over() {
            self.tally.forget();
        }
    }
}

impl<'a> File<'a> {
    fn new(digest: &'a Digest, blob: &'a Blob) -> Self {
        Self { digest, name: &blob.name, size: blob.size, bytes: blob.bytes }
    }
}
