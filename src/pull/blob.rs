//! One blob: claimed in the store, fetched range by range, written by a thread of its own.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use tokio::sync::mpsc;

use super::{Error, Result, Session};
use crate::manifest::Descriptor;
use crate::reference::Reference;
use crate::store::{Claim, Ingest, Lease};
use crate::{registry, store};

/// How many bytes are written before they are recorded as here: what a killed pull fetches again at most.
const RECORD_BYTES: u64 = 16 * 1024 * 1024;
/// How many bytes are gathered for one write; smaller writes cost twice the processor time.
const WRITE_BYTES: usize = 512 * 1024;
/// How many pieces of the body may wait for the disk.
const WAITING_PIECES: usize = 32;
/// How many attempts in a row may bring nothing.
const MAX_ATTEMPTS: u32 = 5;

/// What one blob's fetch works with.
pub(super) struct Fetch {
    pub session: Session,
    pub reference: Reference,
    pub blob: Descriptor,
    pub name: String,
    pub lease: Arc<Lease>,
    /// Held as long as bytes are being written.
    pub writing: mpsc::Sender<()>,
    /// Whether bytes of an earlier process were used.
    pub was_resumed: AtomicBool,
}

impl Fetch {
    pub(super) async fn run(self) -> Result<()> {
        match self.fetch().await {
            // What was staged by an earlier process may have been damaged since; it is gone now, so once from zero.
            Err(Error::Store(store::Error::Mismatch(mismatch))) if self.was_resumed.load(Ordering::Relaxed) => {
                tracing::warn!(%mismatch, "what an earlier pull left is damaged, fetching all of it again");
                self.fetch().await
            }
            fetched => fetched,
        }
    }

    async fn fetch(&self) -> Result<()> {
        let ingest: Arc<Ingest> = match self.claim().await? {
            Claim::Present => {
                self.session.progress.skipped(&self.blob, &self.name);
                return Ok(());
            }
            Claim::Fetch(ingest) => Arc::from(ingest),
        };
        self.session.progress.started(&self.blob, &self.name, ingest.present());
        self.was_resumed.store(ingest.present() > 0, Ordering::Relaxed);
        self.fetch_missing(&ingest).await?;
        blocking(move || commit(ingest)).await?;
        self.session.progress.finished(&self.blob.digest);
        Ok(())
    }

    /// Waits without holding up other tasks while another process fetches the same blob.
    async fn claim(&self) -> Result<Claim> {
        let (store, lease, blob) = (self.session.store.clone(), Arc::clone(&self.lease), self.blob.clone());
        if let Some(claim) = store.try_ingest(&lease, &blob)? {
            return Ok(claim);
        }
        self.session.progress.note(&format!("{}: waiting for another pull of the same blob", self.name));
        blocking(move || store.ingest(&lease, &blob)).await
    }

    /// Fetches what is missing; gives up only after several attempts in a row that brought nothing.
    async fn fetch_missing(&self, ingest: &Arc<Ingest>) -> Result<()> {
        let mut attempts = 0;
        while let Some(range) = ingest.missing().into_iter().next() {
            let before = ingest.present();
            let Err(error) = self.fetch_range(ingest, range).await else { continue };
            let Error::Registry(source) = error else { return Err(error) };
            attempts = if ingest.present() > before { 1 } else { attempts + 1 };
            if !source.is_transient() {
                return Err(source.into());
            }
            if attempts >= MAX_ATTEMPTS {
                return Err(Error::Exhausted { name: self.name.clone(), attempts, source });
            }
            tracing::info!(blob = %self.blob.digest, attempts, error = %source, "asking again");
            tokio::time::sleep(super::pause(&source, attempts)).await;
        }
        Ok(())
    }

    async fn fetch_range(&self, ingest: &Arc<Ingest>, range: Range<u64>) -> Result<()> {
        let mut body = self.session.client.blob(&self.reference, &self.blob, range.clone()).await?;
        let (sender, receiver) = mpsc::channel(WAITING_PIECES);
        let writer = {
            let (ingest, range, writing) = (Arc::clone(ingest), range.clone(), self.writing.clone());
            tokio::task::spawn_blocking(move || {
                let _writing = writing;
                write(&ingest, range, receiver)
            })
        };
        let received = self.receive(&mut body, range, &sender).await;
        drop(sender);
        // What arrived before a broken connection is written and recorded first.
        writer.await.map_err(Error::Stopped)??;
        received
    }

    async fn receive(&self, body: &mut registry::Body, range: Range<u64>, pieces: &mpsc::Sender<Bytes>) -> Result<()> {
        // A server that ignores Range starts at 0: what is here already is let go by.
        let mut surplus = range.start - body.start();
        let mut wanted = range.end - range.start;
        while wanted > 0 {
            // An answer shorter than asked is a whole one; the rest is asked for next.
            let Some(mut piece) = body.chunk().await? else { return Ok(()) };
            let skip = surplus.min(piece.len() as u64);
            surplus -= skip;
            let _ = piece.split_to(usize::try_from(skip).unwrap_or(usize::MAX));
            piece.truncate(usize::try_from(wanted).unwrap_or(usize::MAX));
            wanted -= piece.len() as u64;
            self.session.progress.advanced(&self.blob.digest, piece.len() as u64);
            if pieces.send(piece).await.is_err() {
                // The writer has ended with an error, which its own result tells.
                return Ok(());
            }
        }
        Ok(())
    }
}

/// Writes the pieces from the start of `range` on, and records them as it goes.
fn write(ingest: &Ingest, range: Range<u64>, mut pieces: mpsc::Receiver<Bytes>) -> store::Result<()> {
    let mut offset = range.start;
    let mut recorded = range.start;
    let mut gathered = Vec::with_capacity(WRITE_BYTES);
    loop {
        let piece = pieces.blocking_recv();
        let is_last = piece.is_none();
        gathered.extend_from_slice(&piece.unwrap_or_default());
        if is_last || gathered.len() >= WRITE_BYTES {
            ingest.write_at(offset, &gathered)?;
            offset += gathered.len() as u64;
            gathered.clear();
        }
        if is_last || offset - recorded >= RECORD_BYTES {
            ingest.record()?;
            recorded = offset;
        }
        if is_last {
            return Ok(());
        }
    }
}

fn commit(ingest: Arc<Ingest>) -> store::Result<()> {
    Arc::into_inner(ingest).expect("the writer that shared it has ended").commit()
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> store::Result<T> + Send + 'static) -> Result<T> {
    Ok(tokio::task::spawn_blocking(work).await.map_err(Error::Stopped)??)
}
