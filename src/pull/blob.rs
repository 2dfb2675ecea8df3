//! One blob: claimed in the store, fetched into its staged file, committed.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use super::connections::Connections;
use super::download::{Download, Sink};
use super::{Arrivals, Error, Interrupt, Result, Session, blocking};
use crate::manifest::Descriptor;
use crate::reference::Reference;
use crate::registry::Source;
use crate::store::{Claim, Ingest, Lease};
use crate::{registry, store};

/// How long bytes wait to be noted.
const NOTE_AFTER: Duration = Duration::from_secs(1);
/// More uses of an ingest than there will ever be at once.
const USES: u32 = 4096;

/// What one blob's fetch works with.
pub(super) struct Fetch {
    pub session: Session,
    pub connections: Arc<Connections>,
    pub reference: Reference,
    pub blob: Descriptor,
    pub name: String,
    pub lease: Arc<Lease>,
    /// Told of what arrives.
    pub arrivals: Arc<Arrivals>,
    /// Heard when the pull is over before this blob is.
    pub stop: Interrupt,
    /// Whether bytes of an earlier process were used.
    pub was_resumed: AtomicBool,
    /// Whether mirrors sent bytes that turned out to be wrong, and were left.
    pub has_left_mirrors: AtomicBool,
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
                Err(Error::Store(store::Error::Mismatch(mismatch)))
                    if self.has_left_mirrors.load(Ordering::Relaxed) =>
                {
                    tracing::warn!(%mismatch, "a mirror gave wrong bytes, fetching them elsewhere");
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
                self.arrivals.here(&self.blob.digest);
                return Ok(());
            }
            Claim::Fetch(ingest) => ingest,
        };
        let present = ingest.present();
        self.connections.settle(present);
        self.session.progress.started(&self.blob, &self.name, present);
        self.was_resumed.store(present > 0, Ordering::Relaxed);
        self.arrivals.begin(&self.blob.digest, ingest.reader()?, ingest.frontier());
        let source = self.session.client.source(&self.reference, &self.blob);
        let source = Arc::new(if in_one_stream { source.without_tags() } else { source });
        let (fetched, mut ingest) = self.fill(ingest, &source, in_one_stream).await;
        let committed = blocking(move || match fetched {
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
        .await;
        let is_wrong = matches!(committed, Err(Error::Store(store::Error::Mismatch(_))));
        // What an earlier pull left may be what is wrong.
        let is_theirs = is_wrong && !self.was_resumed.load(Ordering::Relaxed);
        self.has_left_mirrors.store(is_theirs && source.leave_mirrors(), Ordering::Relaxed);
        committed?;
        self.arrivals.committed(&self.blob.digest);
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
    async fn fill(&self, ingest: Box<Ingest>, source: &Arc<Source>, in_one_stream: bool) -> (Result<()>, Box<Ingest>) {
        let staged = Arc::new(Staged::new(ingest, self.session.settings.note, Arc::clone(&self.arrivals)));
        let (source, changed) = (Arc::clone(source), Arc::new(Notify::new()));
        let download = Download::new(&self.session, &self.connections, source, &self.name, &staged, &changed);
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
    /// Each use of the ingest beside this one holds one.
    uses: Arc<Semaphore>,
    notes: Arc<Notes>,
    arrivals: Arc<Arrivals>,
}

/// The ingest in use. It goes before the permit does, as who has all permits is its only owner.
#[derive(Clone)]
struct Use {
    ingest: Arc<Ingest>,
    _permit: Arc<OwnedSemaphorePermit>,
}

impl Use {
    /// A closure that named the field would take only that along, and not the permit.
    fn ingest(&self) -> &Ingest {
        &self.ingest
    }
}

impl Staged {
    fn new(ingest: Box<Ingest>, note: u64, arrivals: Arc<Arrivals>) -> Self {
        let notes = Arc::new(Notes { limit: note, unnoted: Mutex::default() });
        Self { ingest: Arc::from(ingest), uses: Arc::new(Semaphore::new(USES as usize)), notes, arrivals }
    }

    async fn begin(&self) -> Use {
        let permit = Arc::clone(&self.uses).acquire_owned().await.expect("it is never closed");
        Use { ingest: Arc::clone(&self.ingest), _permit: Arc::new(permit) }
    }

    /// Waits for the last use.
    async fn close(self: Arc<Self>) -> Box<Ingest> {
        let (ingest, uses) = (Arc::clone(&self.ingest), Arc::clone(&self.uses));
        drop(self);
        let _all = uses.acquire_many(USES).await.expect("it is never closed");
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

    /// Hashing and noting go on beside the writes; a connection waits only where the hash cannot keep up.
    async fn take(&self, offset: u64, pieces: Vec<Bytes>) -> Result<u64> {
        let (used, notes, arrivals) = (self.begin().await, Arc::clone(&self.notes), Arc::clone(&self.arrivals));
        blocking(move || {
            let new = used.ingest().write_at(offset, &pieces)?;
            arrivals.reached(&used.ingest().blob().digest, used.ingest().frontier());
            if used.ingest().is_behind() {
                let used = used.clone();
                tokio::task::spawn_blocking(move || catch_up(used.ingest()));
            }
            if notes.is_due(new)? {
                let used = used.clone();
                tokio::task::spawn_blocking(move || notes.take(used.ingest()));
            }
            used.ingest().keep_up()?;
            Ok(new)
        })
        .await
    }
}

fn catch_up(ingest: &Ingest) {
    // Whatever it is, the commit meets it again.
    if let Err(error) = ingest.catch_up() {
        tracing::debug!(%error, "cannot read back what was written");
    }
}

/// When what is written is noted as here: one note at a time.
struct Notes {
    /// So many bytes are worth a note.
    limit: u64,
    unnoted: Mutex<Unnoted>,
}

struct Unnoted {
    bytes: u64,
    since: Instant,
    is_noting: bool,
    failure: Option<store::Error>,
}

impl Default for Unnoted {
    fn default() -> Self {
        Self { bytes: 0, since: Instant::now(), is_noting: false, failure: None }
    }
}

impl Notes {
    /// Counts bytes, and says whether it is time to note them; an error if the last note was one.
    fn is_due(&self, new: u64) -> Result<bool> {
        let mut unnoted = self.unnoted();
        if let Some(error) = unnoted.failure.take() {
            return Err(error.into());
        }
        unnoted.bytes += new;
        let is_due = unnoted.bytes >= self.limit || unnoted.since.elapsed() >= NOTE_AFTER;
        if !is_due || unnoted.is_noting {
            return Ok(false);
        }
        *unnoted = Unnoted { is_noting: true, ..Unnoted::default() };
        Ok(true)
    }

    /// Notes what is written.
    fn take(&self, ingest: &Ingest) {
        let failure = ingest.record().err();
        let mut unnoted = self.unnoted();
        (unnoted.is_noting, unnoted.failure) = (false, failure);
    }

    fn unnoted(&self) -> MutexGuard<'_, Unnoted> {
        self.unnoted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
