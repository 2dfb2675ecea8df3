//! What one pull has of the connections that all pulls of a store share: one in any case, further ones for a while.
//!
//! The one lets every pull go on however many there are, so that none waits for another one's end. A further one goes
//! back to the others when it is not in use, and now and then anyway.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;

use crate::store::{SharedConnection, Store};

/// How many connections all pulls share.
const SHARED: usize = 32;
/// How long one is kept that another pull may be waiting for.
const KEEP: Duration = Duration::from_secs(1);
/// How often who waits for one looks.
const LOOK: Duration = Duration::from_millis(50);

/// The connections that one pull may have.
pub(super) struct Shares {
    store: Store,
    among: usize,
    /// Those of ours that are not in use.
    free: Semaphore,
    /// Those that others wait for, the oldest first.
    taken: Mutex<Vec<Taken>>,
    /// Held by the one who looks for another.
    turn: tokio::sync::Mutex<()>,
}

struct Taken {
    _shared: SharedConnection,
    since: Instant,
}

impl Shares {
    /// One connection, and the chance of others; a pull that may have more than there are counts more.
    pub fn new(store: &Store, connections: usize) -> Self {
        let (free, turn) = (Semaphore::new(1), tokio::sync::Mutex::default());
        Self { store: store.clone(), among: SHARED.max(connections), free, taken: Mutex::default(), turn }
    }

    /// Waits for a connection, to be given back.
    pub async fn take(&self) {
        tokio::select! {
            biased;
            free = self.free.acquire() => free.expect("it is never closed").forget(),
            taken = self.look() => self.taken().push(taken),
        }
    }

    /// Gives a connection back: to the next one here, or to other pulls if it was kept for long.
    pub fn give_back(&self) {
        let mut taken = self.taken();
        if taken.first().is_some_and(|oldest| oldest.since.elapsed() >= KEEP) {
            taken.remove(0);
        } else {
            self.free.add_permits(1);
        }
    }

    /// Gives to other pulls what is of no use here now.
    pub fn release_idle(&self) {
        let mut taken = self.taken();
        while !taken.is_empty() && self.free.forget_permits(1) == 1 {
            taken.remove(0);
        }
    }

    async fn look(&self) -> Taken {
        let _turn = self.turn.lock().await;
        loop {
            let (store, among) = (self.store.clone(), self.among);
            let found = tokio::task::spawn_blocking(move || store.try_connection(among)).await;
            if let Ok(Some(shared)) = found {
                return Taken { _shared: shared, since: Instant::now() };
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    fn taken(&self) -> MutexGuard<'_, Vec<Taken>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::timeout;

    use super::*;

    /// Longer than a look.
    const QUIET: Duration = Duration::from_millis(200);

    async fn is_given(shares: &Shares) -> bool {
        timeout(QUIET, shares.take()).await.is_ok()
    }

    #[tokio::test]
    async fn every_pull_has_one_and_what_one_gives_back_another_gets() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(&directory.path().join("store")).unwrap();
        let [greedy, late] = [(); 2].map(|()| Shares::new(&store, 24));
        for _ in 0..=SHARED {
            assert!(is_given(&greedy).await);
        }
        assert!(!is_given(&greedy).await, "there are no more");
        assert!(is_given(&late).await && !is_given(&late).await);
        greedy.give_back();
        assert!(!is_given(&late).await, "it is kept for the next one there");
        greedy.release_idle();
        assert!(is_given(&late).await);
        late.give_back();
        assert!(is_given(&late).await, "the one of its own, and the other one");
    }

    #[tokio::test]
    async fn what_was_kept_for_long_goes_to_the_others() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(&directory.path().join("store")).unwrap();
        let [greedy, late] = [(); 2].map(|()| Shares { among: 1, ..Shares::new(&store, 1) });
        for shares in [&greedy, &greedy, &late] {
            assert!(is_given(shares).await);
        }
        tokio::time::sleep(KEEP).await;
        greedy.give_back();
        assert!(is_given(&late).await && !is_given(&greedy).await);
    }

    #[tokio::test]
    async fn a_store_that_cannot_be_written_holds_nobody_up() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(&directory.path().join("store")).unwrap();
        std::fs::write(store.root().join("slots"), "no directory").unwrap();
        let shares = Shares::new(&store, 4);
        for _ in 0..100 {
            assert!(is_given(&shares).await);
        }
    }
}
