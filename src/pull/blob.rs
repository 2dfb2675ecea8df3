//! One blob: claimed in the store, fetched into its staged file, committed.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use super::connections::Connections;
use super::download::{Download, Sink};
use super::{Error, Interrupt, Result, Session};
use crate::manifest::Descriptor;
use crate::reference::Reference;
use crate::store::{Claim, Ingest, Lease};
use crate::{registry, store};

/// How many bytes are written before they are noted as here; noting makes the disk begin with them, too.
const NOTE_BYTES: u64 = 16 * 1024 * 1024;
/// How long bytes wait to be noted.
const NOTE_AFTER: Duration = Duration::from_secs(1);
/// More writes than there will ever be at once.
const WRITES: u32 = 4096;

/// What one blob's fetch works with.
pub(super) struct Fetch {
    pub session: Session,
    pub connections: Arc<Connections>,
    pub reference: Reference,
    pub blob: Descriptor,
    pub name: String,
    pub lease: Arc<Lease>,
    /// Heard when the pull is over before this blob is.
    pub stop: Interrupt,
    /// Whether bytes of an earlier process were used.
    pub was_resumed: AtomicBool,
    /// Bytes that came, those of no use too.
    pub received: Arc<AtomicU64>,
}

impl Fetch {
    pub(super) async fn run(self) -> Result<()> {
        let fetched = self.fetch_again_if_mixed().await;
        self.connections.end_blob();
        fetched
    }

    /// Begins again from zero where what is here turns out to be of no use: once for each reason there may be, and
    /// never for more than the blob's size.
    async fn fetch_again_if_mixed(&self) -> Result<()> {
        let mut has_changed = false;
        loop {
            match self.fetch(has_changed).await {
                // What was staged by an earlier process may have been damaged since; it is gone now, so once from zero.
                Err(Error::Store(store::Error::Mismatch(mismatch))) if self.was_resumed.load(Ordering::Relaxed) => {
                    tracing::warn!(%mismatch, "what an earlier pull left is damaged, fetching all of it again");
                }
                // Bytes of two objects may be mixed by now; one answer is of one object.
                Err(Error::Registry(error @ registry::Error::Changed(_)))
                    if !has_changed && self.received.load(Ordering::Relaxed) <= self.blob.size =>
                {
                    tracing::warn!(%error, "fetching all of it again, in one stream");
                    has_changed = true;
                }
                fetched => return fetched,
            }
        }
    }

    async fn fetch(&self, in_one_stream: bool) -> Result<()> {
        let ingest = match self.claim().await? {
            Claim::Present => {
                self.connections.settle(self.blob.size);
                self.session.progress.skipped(&self.blob, &self.name);
                return Ok(());
            }
            Claim::Fetch(ingest) => ingest,
        };
        let present = ingest.present();
        self.connections.settle(present);
        self.session.progress.started(&self.blob, &self.name, present);
        self.was_resumed.store(present > 0, Ordering::Relaxed);
        let (fetched, mut ingest) = self.fill(ingest, in_one_stream).await;
        blocking(move || match fetched {
            Ok(()) => Ok(ingest.commit()?),
            Err(error @ Error::Registry(registry::Error::Changed(_))) => {
                ingest.discard()?;
                Err(error)
            }
            Err(error) => {
                // The first error is the one to tell; what cannot be noted is fetched again.
                let noted = ingest.record();
                tracing::debug!(?noted, "what arrived stays for the next pull");
                Err(error)
            }
        })
        .await?;
        self.session.progress.finished(&self.blob.digest);
        Ok(())
    }

    /// Waits without holding up other tasks while another process fetches the same blob.
    async fn claim(&self) -> Result<Claim> {
        let (store, lease, blob) = (self.session.store.clone(), Arc::clone(&self.lease), self.blob.clone());
        let attempt = {
            let (store, lease, blob) = (store.clone(), Arc::clone(&lease), blob.clone());
            blocking(move || Ok(store.try_ingest(&lease, &blob)?)).await?
        };
        if let Some(claim) = attempt {
            return Ok(claim);
        }
        self.session.progress.note(&format!("{}: waiting for another pull of the same blob", self.name));
        tokio::select! {
            claim = blocking(move || Ok(store.ingest(&lease, &blob)?)) => claim,
            () = self.stop.heard() => Err(Error::Interrupted),
        }
    }

    /// Fetches what is missing, and gives the ingest back when nothing is being written to it any more.
    async fn fill(&self, ingest: Box<Ingest>, in_one_stream: bool) -> (Result<()>, Box<Ingest>) {
        let staged = Arc::new(Staged::new(ingest));
        let named = (&self.blob, self.name.as_str());
        let changed = Arc::new(Notify::new());
        let download = Download::new(&self.session, &self.connections, &self.reference, named, &staged, &changed);
        let download = download.counting(&self.received);
        let download = if in_one_stream { download.in_one_stream() } else { download };
        let fetched = download.run(&self.stop).await;
        if fetched.is_ok() {
            self.session.progress.verifying(&self.blob.digest);
        }
        (fetched, staged.close().await)
    }
}

/// The sink that writes into a staged file, on threads that may block.
struct Staged {
    ingest: Arc<Ingest>,
    /// Each write holds one.
    writes: Arc<Semaphore>,
    note: Arc<Mutex<Note>>,
}

/// What is not noted yet.
struct Note {
    bytes: u64,
    since: Instant,
}

impl Staged {
    fn new(ingest: Box<Ingest>) -> Self {
        let note = Arc::new(Mutex::new(Note { bytes: 0, since: Instant::now() }));
        Self { ingest: Arc::from(ingest), writes: Arc::new(Semaphore::new(WRITES as usize)), note }
    }

    /// Waits for the last write.
    async fn close(self: Arc<Self>) -> Box<Ingest> {
        let (ingest, writes) = (Arc::clone(&self.ingest), Arc::clone(&self.writes));
        drop(self);
        let _all = writes.acquire_many(WRITES).await.expect("it is never closed");
        Box::new(Arc::into_inner(ingest).expect("the download that shared it has ended"))
    }
}

impl Sink for Staged {
    fn missing(&self) -> Vec<std::ops::Range<u64>> {
        self.ingest.missing()
    }

    fn horizon(&self) -> u64 {
        u64::MAX
    }

    async fn take(&self, offset: u64, pieces: Vec<Bytes>) -> Result<u64> {
        let write = Arc::clone(&self.writes).acquire_owned().await.expect("it is never closed");
        let (ingest, note) = (Arc::clone(&self.ingest), Arc::clone(&self.note));
        blocking(move || {
            let written = write_and_note(&ingest, &note, offset, &pieces);
            if ingest.is_behind() {
                tokio::task::spawn_blocking(move || catch_up(ingest, write));
            } else {
                give_up(ingest, write);
            }
            written
        })
        .await
    }
}

/// Hashes beside the writes, which no connection waits for.
fn catch_up(ingest: Arc<Ingest>, write: OwnedSemaphorePermit) {
    // Whatever it is, the commit meets it again.
    if let Err(error) = ingest.catch_up() {
        tracing::debug!(%error, "cannot read back what was written");
    }
    give_up(ingest, write);
}

/// Who has all the permits is the ingest's only owner, so it goes first.
fn give_up(ingest: Arc<Ingest>, write: OwnedSemaphorePermit) {
    drop(ingest);
    drop(write);
}

fn write_and_note(ingest: &Ingest, note: &Mutex<Note>, offset: u64, pieces: &[Bytes]) -> Result<u64> {
    let new = ingest.write_at(offset, pieces)?;
    let is_due = note.lock().unwrap_or_else(PoisonError::into_inner).is_due(new);
    if is_due {
        ingest.record()?;
    }
    Ok(new)
}

impl Note {
    /// Counts bytes, and says whether it is time to note them.
    fn is_due(&mut self, new: u64) -> bool {
        self.bytes += new;
        let is_due = self.bytes >= NOTE_BYTES || self.since.elapsed() >= NOTE_AFTER;
        if is_due {
            *self = Self { bytes: 0, since: Instant::now() };
        }
        is_due
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(Error::Stopped)?
}
