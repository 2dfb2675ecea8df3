//! An artifact as a tar stream: laid out on a thread of its own, sent to the engine as it is made.

use std::io::{self, Read, Write};

use bytes::Bytes;
use futures_util::Stream;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::{Error, Result};
use crate::engine::Engine;
use crate::listing::{Listing, MARKER};
use crate::manifest::Descriptor;
use crate::packaging::{self, Entry, Sink};
use crate::pull::{self, Artifact};
use crate::reference::Reference;

/// The bytes of one piece of the stream; the engine's speed holds the layout back.
const PIECE_BYTES: usize = 256 * 1024;
/// How many pieces may wait for the engine.
const WAITING_PIECES: usize = 16;

/// The name of a path of the artifact in the tar; `None` leaves the file out.
pub(super) type Rename = Box<dyn Fn(&str) -> Option<String> + Send>;

/// How an artifact's files are put into the tar.
pub(super) enum Layout {
    /// As they are.
    Plain,
    /// As they are, and the listing last as the sign that all came before it.
    Marked,
    /// Each under another name; those without one are left out.
    Renamed(Rename),
}

/// The tar of an artifact on its way.
pub(super) struct Archive {
    /// The bytes; an error in it makes the engine refuse the upload.
    body: Body,
    /// The layout's own end: the listing, or why there is none.
    listing: JoinHandle<Result<Listing>>,
}

impl Archive {
    /// Unpacks the archive in the directory `path` of `container`.
    pub async fn upload(self, engine: &Engine, container: &str, path: &str) -> Result<Listing> {
        let sent = engine.put_archive(container, path, self.body).await;
        match (self.listing.await.map_err(Error::Stopped)?, sent) {
            (Ok(_), Err(error)) => Err(error.into()),
            // The engine went away: its own words say more than our broken pipe.
            (Err(layout), Err(error)) if is_broken_pipe(&layout) => Err(error.into()),
            (listing, _) => listing,
        }
    }
}

/// Whether an error is only that nobody takes the bytes any more.
fn is_broken_pipe(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe) {
            return true;
        }
        cause = error.source();
    }
    false
}

/// The stream of an [`Archive`].
struct Body(mpsc::Receiver<io::Result<Bytes>>);

impl Stream for Body {
    type Item = io::Result<Bytes>;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        self.0.poll_recv(context)
    }
}

/// Lays `artifact`, which is `reference`, out into a tar.
pub(super) fn archive(
    reference: &Reference,
    artifact: &Artifact,
    mut open: impl FnMut(&Descriptor) -> io::Result<Box<dyn Read + Send>> + Send + 'static,
    layout: Layout,
) -> Archive {
    let (sender, receiver) = mpsc::channel(WAITING_PIECES);
    let (plan, digest, reference) = (artifact.plan.clone(), artifact.descriptor.digest.clone(), reference.clone());
    let listing = tokio::task::spawn_blocking(move || {
        let writer = Pieces { sender: sender.clone(), piece: Vec::with_capacity(PIECE_BYTES) };
        let mut sink = TarSink { tar: tar::Builder::new(writer), layout };
        let listing = packaging::lay_out(&plan, &digest, None, &mut open, &mut sink);
        let listing = listing.map_err(|error| pull::Error::from(error).of(&reference));
        let finished = listing.map_err(Error::from).and_then(|listing| {
            sink.finish(&listing).map_err(Error::Stream)?;
            Ok(listing)
        });
        if let Err(error) = &finished {
            // The engine must not take a tar that merely ends for a whole one.
            let _ = sender.blocking_send(Err(io::Error::other(error.to_string())));
        }
        finished
    });
    Archive { body: Body(receiver), listing }
}

/// A tar that has the listing only.
pub(super) fn marker(listing: &Listing) -> io::Result<Bytes> {
    let mut tar = tar::Builder::new(Vec::new());
    append_marker(&mut tar, listing)?;
    Ok(tar.into_inner()?.into())
}

fn append_marker(tar: &mut tar::Builder<impl Write>, listing: &Listing) -> io::Result<()> {
    let marker = serde_json::to_vec(listing)?;
    let mut header = header(tar::EntryType::Regular, 0o444, marker.len() as u64);
    tar.append_data(&mut header, MARKER, marker.as_slice())
}

struct TarSink {
    tar: tar::Builder<Pieces>,
    layout: Layout,
}

impl TarSink {
    fn target(&self, path: &str) -> Option<String> {
        match &self.layout {
            Layout::Renamed(rename) => rename(path),
            Layout::Plain | Layout::Marked => Some(path.to_owned()),
        }
    }

    fn finish(mut self, listing: &Listing) -> io::Result<()> {
        if matches!(self.layout, Layout::Marked) {
            append_marker(&mut self.tar, listing)?;
        }
        self.tar.into_inner()?.flush()
    }
}

impl Sink for TarSink {
    fn directory(&mut self, path: &str) -> io::Result<()> {
        if matches!(self.layout, Layout::Renamed(_)) {
            return Ok(());
        }
        self.tar.append_data(&mut header(tar::EntryType::Directory, 0o755, 0), path, io::empty())
    }

    fn file(&mut self, entry: &Entry<'_>, content: &mut dyn Read) -> io::Result<()> {
        let Some(path) = self.target(entry.path) else {
            return io::copy(content, &mut io::sink()).map(drop);
        };
        // Nobody's to write, though in a container's own layer root still may.
        let mode = entry.mode & 0o555;
        self.tar.append_data(&mut header(tar::EntryType::Regular, mode, entry.size), path, content)
    }

    fn link(&mut self, path: &str, target: &str) -> io::Result<()> {
        let Some(path) = self.target(path) else { return Ok(()) };
        self.tar.append_link(&mut header(tar::EntryType::Symlink, 0o777, 0), path, target)
    }
}

fn header(kind: tar::EntryType, mode: u32, size: u64) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(size);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header
}

/// Gathers the tar's bytes into pieces for the stream.
struct Pieces {
    sender: mpsc::Sender<io::Result<Bytes>>,
    piece: Vec<u8>,
}

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.piece.extend_from_slice(bytes);
        if self.piece.len() >= PIECE_BYTES {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let piece = std::mem::replace(&mut self.piece, Vec::with_capacity(PIECE_BYTES));
        let closed = |_| io::Error::from(io::ErrorKind::BrokenPipe);
        self.sender.blocking_send(Ok(piece.into())).map_err(closed)
    }
}
