//! A blob as a reader, straight from the registry, nothing staged.
//!
//! The reader checks size and digest itself and turns its end into an error when they are wrong, so that whoever reads
//! a blob to its end has read a verified one.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::ops::Range;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use bytes::{Buf, Bytes};
use tokio::sync::Notify;

use super::download::Sink;
use super::{Error, Result, Settings};
use crate::digest::Verifier;
use crate::manifest::Descriptor;
use crate::ranges::Ranges;

/// The largest request: all connections are to fit into the window. The engine's own speed holds the registry back.
pub(super) const CHUNK: u64 = 4 * 1024 * 1024;

/// The sink that keeps what is not yet read, and no more than a window of it.
pub(super) struct Ordered {
    size: u64,
    /// How far the download may be ahead of the reader, in requests of so many bytes.
    window: u64,
    chunk: u64,
    state: Mutex<State>,
    /// The reader waits for this.
    arrived: Condvar,
    /// The download waits for this.
    changed: Arc<Notify>,
}

#[derive(Default)]
struct State {
    /// Up to where the blob was read.
    read: u64,
    /// What came and was not read yet, by offset.
    waiting: BTreeMap<u64, Bytes>,
    present: Ranges,
    ended: Option<Result<()>>,
    is_closed: bool,
}

impl Ordered {
    /// Nothing yet of a blob of `size` bytes.
    pub fn new(size: u64, settings: &Settings) -> Self {
        let chunk = settings.chunk.max(1);
        let window = settings.window.max(chunk);
        let (state, changed) = (Mutex::default(), Arc::new(Notify::new()));
        Self { size, window, chunk, state, arrived: Condvar::new(), changed }
    }

    /// Told when the horizon has moved.
    pub const fn changed(&self) -> &Arc<Notify> {
        &self.changed
    }

    /// The download has ended like this.
    pub fn end(&self, ended: Result<()>) {
        self.state().ended = Some(ended);
        self.arrived.notify_one();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits while `offset` lies too far ahead of the reader, as it does when one stream brings all bytes in order.
    async fn reach(&self, offset: u64) -> Result<()> {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if self.state().is_closed {
                return Err(Error::Unread);
            }
            if offset < self.horizon() {
                return Ok(());
            }
            changed.await;
        }
    }
}

impl Sink for Ordered {
    fn missing(&self) -> Vec<Range<u64>> {
        self.state().present.gaps(&(0..self.size))
    }

    fn horizon(&self) -> u64 {
        let state = self.state();
        // Without a reader the download is to find out that there is none, with the next request.
        if state.is_closed {
            return state.present.end_after(0).saturating_add(self.chunk);
        }
        // In whole requests: one that could be taken only in part would wait for the reader, and the reader perhaps for
        // its connection.
        state.read.saturating_add(self.window) / self.chunk * self.chunk
    }

    async fn take(&self, offset: u64, pieces: Vec<Bytes>) -> Result<u64> {
        self.reach(offset).await?;
        let mut state = self.state();
        let mut start = offset;
        let mut new = 0;
        for piece in pieces {
            let end = start + piece.len() as u64;
            for gap in state.present.gaps(&(start..end)) {
                let index = |position: u64| usize::try_from(position - start).unwrap_or(piece.len());
                state.waiting.insert(gap.start, piece.slice(index(gap.start)..index(gap.end)));
                new += gap.end - gap.start;
            }
            state.present.insert(&(start..end));
            start = end;
        }
        drop(state);
        self.arrived.notify_one();
        Ok(new)
    }
}

/// Reads an [`Ordered`] from its first byte to its last.
pub(super) struct Reader(pub Arc<Ordered>);

impl Read for Reader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut state = self.0.state();
        let mut piece = loop {
            if let Some(piece) = state.next_piece() {
                break piece;
            }
            match state.ended.take() {
                Some(Ok(())) => {
                    // The end stays the end, however often it is asked for.
                    state.ended = Some(Ok(()));
                    return Ok(0);
                }
                Some(Err(error)) => {
                    state.ended = Some(Err(Error::Unread));
                    return Err(io::Error::other(error));
                }
                None => state = self.0.arrived.wait(state).unwrap_or_else(PoisonError::into_inner),
            }
        };
        let length = buffer.len().min(piece.len());
        piece.copy_to_slice(&mut buffer[..length]);
        state.read += length as u64;
        if piece.is_empty() {
            drop(state);
            self.0.changed.notify_waiters();
        } else {
            let read = state.read;
            state.waiting.insert(read, piece);
        }
        Ok(length)
    }
}

impl State {
    /// The piece the reader needs now, if it is here.
    fn next_piece(&mut self) -> Option<Bytes> {
        let read = self.read;
        self.waiting.remove(&read)
    }
}

impl Drop for Reader {
    /// What nobody reads any more need not be fetched.
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.is_closed = true;
        state.waiting.clear();
        drop(state);
        self.0.changed.notify_waiters();
    }
}

/// A reader whose end is an error unless size and digest are right.
pub(crate) struct Verified<R> {
    inner: R,
    verifier: Option<Verifier>,
    is_wrong: bool,
    when_good: Option<Box<dyn FnOnce() + Send>>,
}

impl<R: Read> Read for Verified<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let length = self.inner.read(buffer)?;
        let Some(verifier) = &mut self.verifier else {
            return if self.is_wrong { Err(io::Error::other("its content is wrong")) } else { Ok(0) };
        };
        verifier.update(&buffer[..length]).map_err(io::Error::other)?;
        if length == 0 {
            let verifier = self.verifier.take().expect("it was there a line above");
            verifier.finish().inspect_err(|_| self.is_wrong = true).map_err(io::Error::other)?;
            if let Some(tell) = self.when_good.take() {
                tell();
            }
        }
        Ok(length)
    }
}

impl<R> Verified<R> {
    /// Has `tell` called when all is read and right.
    pub(super) fn when_good(self, tell: impl FnOnce() + Send + 'static) -> Self {
        Self { when_good: Some(Box::new(tell)), ..self }
    }
}

/// Reads a blob, checking it on the way.
pub(crate) fn verified<R: Read>(inner: R, blob: &Descriptor) -> Verified<R> {
    Verified { inner, verifier: Some(blob.verifier()), is_wrong: false, when_good: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: u64 = 64 * 1024 * 1024;

    fn ordered(size: u64) -> Arc<Ordered> {
        Arc::new(Ordered::new(size, &Settings { chunk: CHUNK, ..Settings::default() }))
    }

    async fn take(ordered: &Ordered, offset: u64, bytes: &'static [u8]) -> u64 {
        ordered.take(offset, vec![Bytes::from_static(bytes)]).await.unwrap()
    }

    #[tokio::test]
    async fn bytes_are_read_in_order_whatever_order_they_come_in() {
        let ordered = ordered(9);
        assert_eq!(take(&ordered, 6, b"ghi").await, 3);
        assert_eq!(take(&ordered, 0, b"abcd").await, 4);
        assert_eq!(take(&ordered, 2, b"cdefg").await, 2, "what came before is let go by");
        assert_eq!(ordered.missing(), []);
        ordered.state().ended = Some(Ok(()));
        let mut reader = Reader(Arc::clone(&ordered));
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        assert_eq!(text, "abcdefghi");
        assert_eq!(ordered.horizon(), WINDOW, "it moves by whole requests");
        ordered.state().read = CHUNK;
        assert_eq!(ordered.horizon(), WINDOW + CHUNK);
    }

    #[tokio::test]
    async fn the_end_of_a_stream_stays_its_end() {
        for (ended, is_good) in [(Ok(()), true), (Err(Error::Interrupted), false)] {
            let ordered = ordered(0);
            ordered.state().ended = Some(ended);
            let mut reader = Reader(ordered);
            for _ in 0..3 {
                assert_eq!(reader.read(&mut [0]).is_ok(), is_good);
            }
        }
    }

    #[test]
    fn wrong_content_stays_wrong_however_often_its_end_is_asked_for() {
        let blob = Descriptor::new("", crate::digest::Digest::sha256(b"right"), 5);
        let mut reader = verified(&b"wrong"[..], &blob);
        assert_eq!(reader.read(&mut [0; 9]).unwrap(), 5);
        for _ in 0..3 {
            assert!(reader.read(&mut [0; 9]).is_err());
        }
    }

    #[tokio::test]
    async fn nobody_waits_for_a_reader_that_went_away() {
        let ordered = ordered(2 * WINDOW);
        drop(Reader(Arc::clone(&ordered)));
        let taken = ordered.take(WINDOW, vec![Bytes::from_static(b"late")]).await;
        assert!(matches!(taken, Err(Error::Unread)));
        assert!(ordered.horizon() > 0, "a download that waits for the reader asks, and finds out");
    }
}
