//! One volume: what is kept of it, and what its pull is doing.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::task::AbortHandle;

use super::options::Options;
use super::tally::Tally;
use crate::digest::Digest;
use crate::store::Snapshot;

/// What is kept on disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    pub options: Options,
    /// When it was created, as RFC 3339.
    pub created: String,
    /// The manifest that the reference meant when the volume was made; it never changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
    /// The manifest that the tag meant when it was last looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latest: Option<Digest>,
    /// The part of it that is shown, as in a listing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selection: Option<String>,
}

/// What a volume's pull is doing.
#[derive(Clone, Debug)]
pub(super) enum State {
    /// Nothing yet.
    Waiting,
    /// It is under way.
    Pulling,
    /// The snapshot is here.
    Ready(Arc<Snapshot>),
    /// It ended without it.
    Failed(String),
}

/// One volume.
pub(super) struct Volume {
    pub name: String,
    record: Mutex<Record>,
    pub state: watch::Sender<State>,
    pub tally: Arc<Tally>,
    pull: Mutex<Option<AbortHandle>>,
    /// When the registry was last asked what the tag means.
    pub looked: Mutex<Option<Instant>>,
    /// Held by who shows or hides the volume, which may take a while.
    pub shown: Mutex<()>,
    /// Held by who changes the record on disk; true when the volume is removed.
    pub removed: Mutex<bool>,
}

impl Record {
    pub fn new(options: Options) -> Self {
        let created = Timestamp::now().to_string();
        Self { options, created, digest: None, latest: None, selection: None }
    }
}

impl State {
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Pulling => "pulling",
            Self::Ready(_) => "ready",
            Self::Failed(_) => "failed",
        }
    }

    pub const fn is_over(&self) -> bool {
        matches!(self, Self::Ready(_) | Self::Failed(_))
    }
}

impl Volume {
    pub fn new(name: &str, record: Record) -> Self {
        Self {
            name: name.to_owned(),
            record: Mutex::new(record),
            state: watch::Sender::new(State::Waiting),
            tally: Arc::default(),
            pull: Mutex::default(),
            looked: Mutex::default(),
            shown: Mutex::default(),
            removed: Mutex::default(),
        }
    }

    pub fn record(&self) -> Record {
        lock(&self.record).clone()
    }

    /// Changes the record, here only.
    pub fn update(&self, change: impl FnOnce(&mut Record)) -> Record {
        let mut record = lock(&self.record);
        change(&mut record);
        record.clone()
    }

    pub fn is_removed(&self) -> bool {
        *lock(&self.removed)
    }

    /// Starts a pull by `spawn`, unless one is under way or the volume is gone.
    pub fn start(&self, spawn: impl FnOnce() -> AbortHandle) {
        let mut pull = lock(&self.pull);
        if self.is_removed() {
            return;
        }
        if pull.as_ref().is_none_or(AbortHandle::is_finished) {
            self.state.send_replace(State::Pulling);
            *pull = Some(spawn());
        }
    }

    /// Ends a pull that is under way, for good.
    pub fn stop(&self) {
        *lock(&self.removed) = true;
        if let Some(task) = lock(&self.pull).take() {
            task.abort();
        }
        self.state.send_replace(State::Failed(String::from("the volume was removed")));
    }
}

/// Who panicked with a lock has changed nothing that others rely on.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
