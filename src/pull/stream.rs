//! A blob as a reader, from the store where it lies there and else straight from the registry, nothing staged.
//!
//! The reader checks size and digest itself and turns its end into an error when they are wrong, so that whoever reads
//! a blob to its end has read a verified one.

use std::io::{self, Read};
use std::sync::Arc;

use bytes::{Buf, Bytes};
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use super::{Artifact, Session};
use crate::digest::Verifier;
use crate::manifest::Descriptor;
use crate::reference::Reference;
use crate::registry;

/// How many pieces may wait for the reader: the engine's own speed holds the registry back.
const WAITING_PIECES: usize = 32;
/// How many attempts in a row may bring nothing.
const MAX_ATTEMPTS: u32 = 5;

impl Session {
    /// Opens blobs of `artifact` one after the other; to be called on a thread that may block.
    pub fn opener(
        &self,
        reference: &Reference,
        artifact: &Artifact,
    ) -> impl FnMut(&Descriptor) -> io::Result<Box<dyn Read + Send>> + use<> {
        let session = self.clone();
        let at = reference.at_digest(&artifact.descriptor.digest);
        let plan = artifact.plan.clone();
        let runtime = Handle::current();
        move |blob| {
            if session.store.has_blob(blob).map_err(io::Error::other)? {
                let file = session.store.open_blob(blob).map_err(io::Error::other)?;
                return Ok(Box::new(verified(file, blob)));
            }
            let (sender, receiver) = mpsc::channel(WAITING_PIECES);
            session.progress.started(blob, plan.name_of(&blob.digest), 0);
            runtime.spawn(send(session.clone(), at.clone(), blob.clone(), sender));
            let (progress, digest) = (Arc::clone(&session.progress), blob.digest.clone());
            let mut pieces = verified(Pieces { receiver, piece: Bytes::new() }, blob);
            pieces.when_good = Some(Box::new(move || progress.finished(&digest)));
            Ok(Box::new(pieces))
        }
    }
}

type Piece = Result<Bytes, registry::Error>;

/// Sends a blob's bytes in order, asking again from where a connection broke.
async fn send(session: Session, reference: Reference, blob: Descriptor, pieces: mpsc::Sender<Piece>) {
    let mut sent = 0;
    let mut attempts = 0;
    while sent < blob.size {
        let before = sent;
        let Err(error) = send_from(&session, &reference, &blob, &mut sent, &pieces).await else { continue };
        attempts = if sent > before { 1 } else { attempts + 1 };
        if !error.is_transient() || attempts >= MAX_ATTEMPTS {
            // The reader may have gone already; then nobody needs to know.
            let _ = pieces.send(Err(error)).await;
            return;
        }
        tokio::time::sleep(super::pause(&error, attempts)).await;
    }
}

async fn send_from(
    session: &Session,
    reference: &Reference,
    blob: &Descriptor,
    sent: &mut u64,
    pieces: &mpsc::Sender<Piece>,
) -> Result<(), registry::Error> {
    let mut body = session.client.blob(reference, blob, *sent..blob.size).await?;
    let mut surplus = *sent - body.start();
    while let Some(mut piece) = body.chunk().await? {
        let skip = surplus.min(piece.len() as u64);
        surplus -= skip;
        piece.advance(usize::try_from(skip).unwrap_or(usize::MAX));
        *sent += piece.len() as u64;
        session.progress.advanced(&blob.digest, piece.len() as u64);
        if pieces.send(Ok(piece)).await.is_err() {
            *sent = blob.size;
            return Ok(());
        }
    }
    Ok(())
}

/// Reads what a task sends.
struct Pieces {
    receiver: mpsc::Receiver<Piece>,
    piece: Bytes,
}

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() {
            match self.receiver.blocking_recv() {
                Some(piece) => self.piece = piece.map_err(io::Error::other)?,
                None => return Ok(0),
            }
        }
        let length = buffer.len().min(self.piece.len());
        self.piece.copy_to_slice(&mut buffer[..length]);
        Ok(length)
    }
}

/// A reader whose end is an error unless size and digest are right.
pub(crate) struct Verified<R> {
    inner: R,
    verifier: Option<Verifier>,
    when_good: Option<Box<dyn FnOnce() + Send>>,
}

impl<R: Read> Read for Verified<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let length = self.inner.read(buffer)?;
        let Some(verifier) = &mut self.verifier else { return Ok(0) };
        verifier.update(&buffer[..length]).map_err(io::Error::other)?;
        if length == 0 {
            let verifier = self.verifier.take().expect("it was there a line above");
            verifier.finish().map_err(io::Error::other)?;
            if let Some(tell) = self.when_good.take() {
                tell();
            }
        }
        Ok(length)
    }
}

/// Reads a blob of the store, checking it on the way.
pub(crate) fn verified<R: Read>(inner: R, blob: &Descriptor) -> Verified<R> {
    Verified { inner, verifier: Some(blob.verifier()), when_good: None }
}
