//! The hash of a blob being written, which one thread at a time takes along as far as the bytes are there.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crate::digest::Verifier;

/// Who has the hash, and how far it is.
#[derive(Default)]
pub(super) struct Hashing {
    state: Mutex<State>,
    given_back: Condvar,
}

#[derive(Default)]
struct State {
    /// Absent while a thread has it, or before the first one does.
    verifier: Option<Verifier>,
    /// How many bytes it had seen when it was last here.
    seen: u64,
    is_taken: bool,
    /// Only the commit hashes then, from the start.
    is_lost: bool,
}

impl Hashing {
    /// The hash, unless another thread has it; `begin` makes it for the first one.
    pub fn take(&self, begin: impl FnOnce() -> Verifier) -> Option<Verifier> {
        let mut state = self.state();
        if state.is_taken {
            return None;
        }
        state.is_taken = true;
        Some(state.verifier.take().unwrap_or_else(begin))
    }

    /// For the next thread; `None` where this one could not go on, and nobody can.
    pub fn give_back(&self, verifier: Option<Verifier>) {
        let mut state = self.state();
        state.seen = verifier.as_ref().map_or(0, Verifier::seen);
        (state.is_lost, state.is_taken) = (verifier.is_none(), verifier.is_none());
        state.verifier = verifier;
        self.given_back.notify_all();
    }

    /// How many bytes it has seen; of those that a thread is about to add it knows nothing.
    pub fn seen(&self) -> u64 {
        self.state().seen
    }

    pub fn is_taken(&self) -> bool {
        self.state().is_taken
    }

    /// Waits until no thread has it; false if that will never be.
    pub fn wait(&self) -> bool {
        let state = self.given_back.wait_while(self.state(), |state| state.is_taken && !state.is_lost);
        !state.unwrap_or_else(PoisonError::into_inner).is_lost
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Hashing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hashing").field("seen", &self.seen()).finish_non_exhaustive()
    }
}
