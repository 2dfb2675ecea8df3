//! What is asked of a registry.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use futures_util::stream::{Stream, poll_fn};
use tokio::sync::mpsc;

/// How much of a file is read at once.
const PIECE: u64 = 256 * 1024;
/// How many pieces are read before they are sent.
const AHEAD: usize = 4;

/// The methods we use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Method {
    Get,
    Head,
    Post,
    Put,
    Patch,
}

impl Method {
    /// Whether it changes nothing, so that it may be sent again elsewhere.
    pub const fn is_reading(self) -> bool {
        matches!(self, Self::Get | Self::Head)
    }

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
        }
    }
}

/// A request without the things that change between tries: URL and authorization.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub method: Method,
    pub headers: Vec<(&'static str, String)>,
    pub query: Vec<(&'static str, String)>,
    pub form: Vec<(&'static str, String)>,
    pub payload: Option<Payload>,
}

/// What is sent with a request; clones send the same again.
#[derive(Clone)]
pub(super) enum Payload {
    Bytes(Bytes),
    Part(Part),
}

/// A part of a file, and who is told of what leaves.
#[derive(Clone)]
pub(super) struct Part {
    pub file: Arc<File>,
    pub range: Range<u64>,
    /// How much of it has left.
    pub moved: Arc<AtomicU64>,
    pub sent: Arc<dyn Fn(u64) + Send + Sync>,
}

impl Request {
    pub fn new(method: Method) -> Self {
        // The digests are of the bytes as they are stored: no compression on the way.
        let headers = vec![("accept-encoding", String::from("identity"))];
        Self { method, headers, query: Vec::new(), form: Vec::new(), payload: None }
    }

    pub fn header(mut self, name: &'static str, value: String) -> Self {
        self.headers.push((name, value));
        self
    }
}

impl std::fmt::Debug for Payload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Payload({} bytes)", self.length())
    }
}

impl Payload {
    pub fn length(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Part(part) => part.range.end - part.range.start,
        }
    }

    /// How many of them have left.
    pub fn moved(&self) -> u64 {
        match self {
            Self::Bytes(_) => 0,
            Self::Part(part) => part.moved.load(Ordering::Relaxed),
        }
    }
}

impl Part {
    /// The bytes, read a little before they are wanted.
    pub fn stream(self) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
        let (send, mut receive) = mpsc::channel(AHEAD);
        let (sent, moved) = (Arc::clone(&self.sent), Arc::clone(&self.moved));
        moved.store(0, Ordering::Relaxed);
        tokio::task::spawn_blocking(move || {
            let mut start = self.range.start;
            while start < self.range.end {
                let end = self.range.end.min(start + PIECE);
                let piece = read(&self.file, start..end);
                let is_over = piece.is_err();
                // Nobody receives when the request has ended before its body.
                if send.blocking_send(piece).is_err() || is_over {
                    return;
                }
                start = end;
            }
        });
        poll_fn(move |context| {
            let piece = receive.poll_recv(context);
            if let std::task::Poll::Ready(Some(Ok(bytes))) = &piece {
                moved.fetch_add(bytes.len() as u64, Ordering::Relaxed);
                sent(bytes.len() as u64);
            }
            piece
        })
    }
}

fn read(file: &File, range: Range<u64>) -> io::Result<Bytes> {
    let length = usize::try_from(range.end - range.start).map_err(io::Error::other)?;
    let mut bytes = vec![0; length];
    file.read_exact_at(&mut bytes, range.start)?;
    Ok(bytes.into())
}
