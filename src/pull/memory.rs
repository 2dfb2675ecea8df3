//! A blob that is small by nature, or a part of one, read into memory.

use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::Notify;

use super::connections::Connections;
use super::download::{Download, Sink};
use super::{Result, Session};
use crate::digest::Mismatch;
use crate::manifest::Descriptor;
use crate::ranges::Ranges;
use crate::reference::Reference;
use crate::registry::Source;

impl Session {
    /// Fetches a blob into memory, with all the patience of a pull, and checks it; what mirrors sent that is wrong is fetched
    /// elsewhere.
    pub(super) async fn read_remote(&self, reference: &Reference, blob: &Descriptor) -> Result<Bytes> {
        loop {
            let source = Arc::new(self.client.source(reference, blob));
            let bytes = self.read_range(Arc::clone(&source), 0..blob.size).await?;
            match check(blob, &bytes) {
                Err(mismatch) if source.leave_mirrors() => tracing::warn!(%mismatch, "a mirror gave wrong bytes"),
                checked => return Ok(checked.map(|()| bytes)?),
            }
        }
    }

    /// Fetches a part of a blob into memory, as large as the caller allows, and checks nothing.
    pub(super) async fn read_range(&self, source: Arc<Source>, wanted: Range<u64>) -> Result<Bytes> {
        let silent = Self { progress: Arc::new(crate::progress::Silent), ..self.clone() };
        let connections = Connections::new(&silent, source.reference(), 1, wanted.end - wanted.start);
        let memory = Arc::new(Memory { wanted: wanted.clone(), state: Mutex::default() });
        let name = source.blob().digest.short().to_owned();
        let download = Download::new(&silent, &connections, source, &name, &memory, &Arc::new(Notify::new()));
        download.up_to(wanted.end).run(&self.interrupt).await?;
        let bytes = std::mem::take(&mut memory.state().bytes);
        Ok(bytes.into())
    }
}

fn check(blob: &Descriptor, bytes: &[u8]) -> Result<(), Mismatch> {
    let mut verifier = blob.verifier();
    verifier.update(bytes)?;
    verifier.finish()
}

/// The sink that keeps everything that is wanted.
struct Memory {
    wanted: Range<u64>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    bytes: Vec<u8>,
    present: Ranges,
}

impl Memory {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sink for Memory {
    fn missing(&self) -> Vec<Range<u64>> {
        self.state().present.gaps(&self.wanted)
    }

    fn horizon(&self) -> u64 {
        u64::MAX
    }

    async fn take(&self, offset: u64, pieces: Vec<Bytes>) -> Result<u64> {
        let mut state = self.state();
        let (mut start, before) = (offset, state.present.total());
        for piece in pieces {
            let end = start + piece.len() as u64;
            let part = start.max(self.wanted.start)..end.min(self.wanted.end);
            if part.start < part.end {
                let within = |position: u64, base: u64| usize::try_from(position - base).unwrap_or(usize::MAX);
                let place = within(part.start, self.wanted.start)..within(part.end, self.wanted.start);
                let length = state.bytes.len().max(place.end);
                state.bytes.resize(length, 0);
                state.bytes[place].copy_from_slice(&piece[within(part.start, start)..within(part.end, start)]);
                state.present.insert(&part);
            }
            start = end;
        }
        Ok(state.present.total() - before)
    }
}

#[cfg(test)]
#[allow(clippy::single_range_in_vec_init, reason = "a list of one range is what is meant")]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_what_is_wanted_is_kept_whatever_comes() {
        let memory = Memory { wanted: 3..8, state: Mutex::default() };
        let take = async |offset, bytes| memory.take(offset, vec![Bytes::from_static(bytes)]).await.unwrap();
        assert_eq!(take(5, b"fgh").await, 3);
        assert_eq!(memory.missing(), [3..5]);
        assert_eq!(take(0, b"abcd").await, 1);
        assert_eq!(take(0, b"ab").await, 0);
        assert_eq!(take(4, b"efghijklmnop").await, 1);
        assert_eq!(memory.missing(), []);
        assert_eq!(memory.state().bytes, b"defgh");
    }
}
