//! The blobs of a pull as they arrive, for whoever unpacks them meanwhile.
//!
//! A follower reads what is staged up to the first byte that is still missing, and waits there. It does not verify: a
//! blob whose first bytes it has read may turn out to be wrong and come a second time.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use crate::digest::Digest;
use crate::manifest::Descriptor;
use crate::store::Store;

/// What is known of the blobs of one pull; the default knows nothing yet.
#[derive(Default)]
pub struct Arrivals {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    blobs: HashMap<Digest, Arrival>,
    /// Nothing comes any more.
    is_over: bool,
    /// What came is not needed any more.
    is_failed: bool,
}

#[derive(Clone)]
enum Arrival {
    /// Staged in this file, without a gap up to this byte.
    Coming(Arc<File>, u64),
    /// In the store.
    Here,
    /// Begun again from zero: what was read of it is worth nothing.
    Mixed,
}

impl Arrivals {
    /// A blob begins to be staged in `file`; once more, if what came first was of no use.
    pub(crate) fn begin(&self, blob: &Digest, file: Arc<File>, end: u64) {
        self.change(|state| {
            let arrival = if state.blobs.contains_key(blob) { Arrival::Mixed } else { Arrival::Coming(file, end) };
            state.blobs.insert(blob.clone(), arrival);
        });
    }

    /// A blob is staged without a gap up to `end`.
    pub(super) fn reached(&self, blob: &Digest, reached: u64) {
        self.change(|state| {
            if let Some(Arrival::Coming(_, end)) = state.blobs.get_mut(blob) {
                *end = reached.max(*end);
            }
        });
    }

    /// A blob that began to be staged is in the store.
    pub(super) fn committed(&self, blob: &Digest) {
        self.change(|state| {
            if let Some(arrival @ Arrival::Coming(..)) = state.blobs.get_mut(blob) {
                *arrival = Arrival::Here;
            }
        });
    }

    /// A blob is in the store by somebody else's doing: what was staged of it before are other bytes.
    pub(super) fn here(&self, blob: &Digest) {
        self.change(|state| {
            let arrival = if state.blobs.contains_key(blob) { Arrival::Mixed } else { Arrival::Here };
            state.blobs.insert(blob.clone(), arrival);
        });
    }

    /// Nothing comes any more; who waits is told so.
    pub fn end(&self) {
        self.change(|state| state.is_over = true);
    }

    /// The pull has failed; who reads is told so.
    pub fn fail(&self) {
        self.change(|state| state.is_failed = true);
    }

    /// Reads `blob` from its first byte as it arrives; blocks.
    pub fn follow(self: &Arc<Self>, store: &Store, blob: &Descriptor) -> impl Read + Send + use<> {
        Follower { arrivals: Arc::clone(self), store: store.clone(), blob: blob.clone(), position: 0, whole: None }
    }

    /// Waits until `blob` is in the store; blocks.
    pub fn wait(&self, blob: &Digest) -> io::Result<()> {
        self.find(blob, |arrival| matches!(arrival, Arrival::Here)).map(drop)
    }

    /// Waits for an arrival that is `enough`.
    fn find(&self, blob: &Digest, enough: impl Fn(&Arrival) -> bool) -> io::Result<Arrival> {
        let mut state = self.state();
        loop {
            match state.blobs.get(blob) {
                _ if state.is_failed => return Err(io::Error::other("the pull has failed")),
                Some(Arrival::Mixed) => return Err(io::Error::other("the blob is fetched again")),
                Some(arrival) if enough(arrival) => return Ok(arrival.clone()),
                _ if state.is_over => return Err(io::Error::other("the pull has ended without the blob")),
                _ => state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state());
        self.changed.notify_all();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads one blob behind the connections that bring it.
struct Follower {
    arrivals: Arc<Arrivals>,
    store: Store,
    blob: Descriptor,
    position: u64,
    /// The blob in the store, once it is there.
    whole: Option<File>,
}

impl Follower {
    /// The next bytes from the staged file or from the store; none at the end.
    fn read_next(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let position = self.position;
        let is_readable = |arrival: &Arrival| match arrival {
            Arrival::Coming(_, end) => *end > position,
            Arrival::Here | Arrival::Mixed => true,
        };
        match self.arrivals.find(&self.blob.digest, is_readable)? {
            Arrival::Coming(file, end) => {
                let ahead = usize::try_from(end - position).unwrap_or(usize::MAX).min(buffer.len());
                file.read_at(&mut buffer[..ahead], position)
            }
            Arrival::Here | Arrival::Mixed => self.whole()?.read_at(buffer, position),
        }
    }
}

impl Follower {
    fn whole(&mut self) -> io::Result<&File> {
        match &mut self.whole {
            Some(file) => Ok(file),
            whole => Ok(whole.insert(self.store.open_blob(&self.blob).map_err(io::Error::other)?)),
        }
    }
}

impl Read for Follower {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() || self.position >= self.blob.size {
            return Ok(0);
        }
        let count = self.read_next(buffer)?;
        self.position += count as u64;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    const BYTES: &[u8] = b"all of the bytes";

    fn staged(directory: &tempfile::TempDir) -> Arc<File> {
        let path = directory.path().join("staged");
        let mut file = File::options().read(true).write(true).create(true).truncate(true).open(path).unwrap();
        file.write_all(BYTES).unwrap();
        Arc::new(file)
    }

    fn blob() -> Descriptor {
        Descriptor::new("", Digest::sha256(BYTES), BYTES.len() as u64)
    }

    #[test]
    fn a_follower_reads_no_byte_before_it_is_there() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(&directory.path().join("store")).unwrap();
        let (arrivals, blob) = (Arc::new(Arrivals::default()), blob());
        arrivals.begin(&blob.digest, staged(&directory), 4);
        let mut follower = arrivals.follow(&store, &blob);
        let mut buffer = [0; 64];
        assert_eq!(follower.read(&mut buffer).unwrap(), 4);
        let rest = std::thread::spawn(move || {
            let mut rest = Vec::new();
            follower.read_to_end(&mut rest).map(|_| rest)
        });
        arrivals.reached(&blob.digest, 9);
        arrivals.reached(&blob.digest, 7);
        arrivals.reached(&blob.digest, BYTES.len() as u64);
        assert_eq!(rest.join().unwrap().unwrap(), &BYTES[4..]);
    }

    #[test]
    fn what_is_in_the_store_is_read_from_there() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(&directory.path().join("store")).unwrap();
        let (arrivals, blob) = (Arc::new(Arrivals::default()), blob());
        let lease = store.lease(&[]).unwrap();
        store.put_blob(&lease, BYTES, &blob.digest).unwrap();
        arrivals.here(&blob.digest);
        arrivals.wait(&blob.digest).unwrap();
        let mut read = Vec::new();
        arrivals.follow(&store, &blob).read_to_end(&mut read).unwrap();
        assert_eq!(read, BYTES);
    }

    #[test]
    fn whoever_waits_hears_of_the_end_and_of_a_new_beginning() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(&directory.path().join("store")).unwrap();
        let blob = blob();
        type Event<'a> = &'a dyn Fn(&Arrivals);
        let events: [Event<'_>; 4] = [
            &|arrivals| arrivals.begin(&blob.digest, staged(&directory), 0),
            &|arrivals| arrivals.here(&blob.digest),
            &Arrivals::end,
            &Arrivals::fail,
        ];
        for event in events {
            let arrivals = Arc::new(Arrivals::default());
            arrivals.begin(&blob.digest, staged(&directory), 4);
            let mut follower = arrivals.follow(&store, &blob);
            let reader = std::thread::spawn(move || follower.read_to_end(&mut Vec::new()).is_err());
            event(&arrivals);
            arrivals.committed(&blob.digest);
            assert!(reader.join().unwrap());
            if !arrivals.state().is_over {
                assert!(arrivals.wait(&blob.digest).is_err());
            }
        }
    }
}
