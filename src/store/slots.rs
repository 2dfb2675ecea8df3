//! The connections that all pulls of a store share: fifty pulls at once are not to be twelve hundred connections.
//!
//! Each is a file that is locked while the connection is in use. A process that dies gives its connections back.

use std::fs::{File, TryLockError};
use std::io;
use std::process;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::error::{At, Result};
use super::{Store, durable};

/// The right to one of the connections that pulls share, until it is dropped.
#[derive(Debug)]
pub struct SharedConnection {
    // None where nothing can be shared: each pull is for itself then.
    _file: Option<File>,
}

impl Store {
    /// Takes one of the connections that all pulls of the store share, so many as this one counts; nothing if all are
    /// in use. Never waits.
    ///
    /// In a store that cannot be written, and where files cannot be locked, there is always another one.
    pub fn try_connection(&self, among: usize) -> Option<SharedConnection> {
        // From another one on each time: the first that is tried is mostly free.
        static TURN: AtomicUsize = AtomicUsize::new(0);
        if self.is_read_only() {
            return Some(SharedConnection { _file: None });
        }
        let turn = TURN.fetch_add(1, Ordering::Relaxed).wrapping_add(process::id() as usize);
        for number in 0..among {
            match self.lock_slot(turn.wrapping_add(number) % among) {
                Ok(None) => {}
                Ok(file) => return Some(SharedConnection { _file: file }),
                Err(error) => {
                    tracing::debug!(%error, "connections are not shared with other pulls");
                    return Some(SharedConnection { _file: None });
                }
            }
        }
        None
    }

    fn lock_slot(&self, number: usize) -> Result<Option<File>> {
        let directory = self.root().join("slots");
        let path = directory.join(number.to_string());
        // For writing, which NFS wants of who locks.
        let file = match File::options().read(true).write(true).open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                durable::create_dir(&directory)?;
                durable::open_or_create(&path)?
            }
            opened => opened.at(&path)?,
        };
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error).at(&path),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_connection_is_given_to_one_at_a_time() {
        let directory = tempfile::tempdir().unwrap();
        let [one, other] = [(); 2].map(|()| Store::open(&directory.path().join("store")).unwrap());
        let taken: Vec<_> = [&one, &other, &one].map(|store| store.try_connection(3).unwrap()).into();
        assert!(one.try_connection(3).is_none() && other.try_connection(3).is_none());
        assert!(other.try_connection(4).is_some(), "who wants more of them counts more");
        drop(taken);
        assert!(one.try_connection(3).is_some());
    }

    #[test]
    fn where_nothing_can_be_locked_there_is_always_another_one() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(&directory.path().join("store")).unwrap();
        std::fs::write(store.root().join("slots"), "no directory").unwrap();
        let taken = [(); 3].map(|()| store.try_connection(1));
        assert!(taken.iter().all(Option::is_some));
    }
}
