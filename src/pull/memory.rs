//! A blob that is small by nature, read into memory.

use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::Notify;

use super::connections::Connections;
use super::download::{Download, Sink};
use super::{Result, Session};
use crate::manifest::Descriptor;
use crate::ranges::Ranges;
use crate::reference::Reference;

impl Session {
    /// Fetches a blob into memory, with all the patience of a pull, and checks it.
    pub(super) async fn read_remote(&self, reference: &Reference, blob: &Descriptor) -> Result<Bytes> {
        let silent = Self { progress: Arc::new(crate::progress::Silent), ..self.clone() };
        let connections = Connections::new(self.settings, Arc::clone(&silent.progress), 1, blob.size);
        let memory = Arc::new(Memory { size: blob.size, state: Mutex::default() });
        let named = (blob, blob.digest.short());
        let download = Download::new(&silent, &connections, reference, named, &memory, &Arc::new(Notify::new()));
        download.run(&self.interrupt).await?;
        let bytes = std::mem::take(&mut memory.state().bytes);
        let mut verifier = blob.verifier();
        verifier.update(&bytes)?;
        verifier.finish()?;
        Ok(bytes.into())
    }
}

/// The sink that keeps everything.
struct Memory {
    size: u64,
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
        self.state().present.gaps(&(0..self.size))
    }

    fn horizon(&self) -> u64 {
        u64::MAX
    }

    async fn take(&self, offset: u64, pieces: Vec<Bytes>) -> Result<u64> {
        let mut state = self.state();
        let (mut start, before) = (offset, state.present.total());
        for piece in pieces {
            let end = start + piece.len() as u64;
            let index = |position: u64| usize::try_from(position).unwrap_or(usize::MAX);
            let length = state.bytes.len().max(index(end));
            state.bytes.resize(length, 0);
            state.bytes[index(start)..index(end)].copy_from_slice(&piece);
            state.present.insert(&(start..end));
            start = end;
        }
        Ok(state.present.total() - before)
    }
}
