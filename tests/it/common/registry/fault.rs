//! What a registry does wrong, and when: data, so that a test can print it and do it again.

use std::ops::Range;
use std::time::Duration;

use super::request::Request;

/// Misbehaviour for `times` requests whose path contains `path`, after the first `after` of them; several add up.
#[derive(Clone, Debug)]
pub struct Fault {
    pub path: String,
    pub place: Place,
    pub after: usize,
    pub times: usize,
    pub what: What,
}

/// Which part of a blob a request must be about; one without `Range` is about all of it.
#[derive(Clone, Debug, Default)]
pub enum Place {
    #[default]
    Anywhere,
    /// It starts in here.
    StartsIn(Range<u64>),
    /// It asks for this byte.
    Covers(u64),
    /// It has a `Range`.
    Parts,
    /// It has this method.
    Method(&'static str),
}

#[derive(Clone, Debug)]
pub enum What {
    /// Closes the connection instead of answering.
    Close,
    /// Refuses all connections for so long, after closing those there are.
    Down(Duration),
    /// Takes only so many bytes of what is sent, and closes the connection instead of answering.
    TakeOnly(usize),
    /// Answers after so long.
    Late(Duration),
    /// Closes the connection after so many bytes of the body.
    CutAfter(usize),
    /// Promises and sends only so many bytes of the body, and says nothing of it in `Content-Range`.
    Truncate(usize),
    /// Sends nothing for a while after so many bytes of the body.
    Stall { after: usize, pause: Duration },
    /// Sends so many bytes a second on this connection.
    Slow(usize),
    /// Flips the byte at this offset of the blob.
    WrongByte(usize),
    /// Sends another object of the same size, which has another `ETag`.
    Changed,
    /// Answers 200 and everything.
    IgnoreRange,
    /// Answers with a range that starts so many bytes later.
    StartLate(usize),
    /// Answers with a range that ends so many bytes later, where the blob has them.
    EndLate(usize),
    /// Answers with a range of at most so many bytes, which is allowed.
    Shorter(usize),
    /// Says something else in `Content-Range`.
    ContentRange(&'static str),
    /// Sends a range as a message of several parts.
    Multipart,
    /// Compresses the body and says so.
    Gzip,
    /// Speaks HTTP/1.0: no length, and the end of the connection is the end of the body.
    Unframed,
    /// Sends the body in chunks without its length.
    Chunked,
    /// Sends a body that never ends, after the one there is.
    Endless,
    /// Sends headers that never end.
    EndlessHead,
    /// Adds a header.
    Header(&'static str, String),
    /// Answers this and nothing else.
    Status { status: u16, headers: Vec<(&'static str, String)>, body: String },
}

impl What {
    /// A status without words.
    pub fn status(status: u16) -> Self {
        Self::Status { status, headers: Vec::new(), body: String::new() }
    }

    /// The status of a registry that wants to be asked again so many seconds later.
    pub fn busy(status: u16, seconds: u64) -> Self {
        let headers = vec![("Retry-After", seconds.to_string())];
        Self::Status { status, headers, body: String::new() }
    }
}

impl Fault {
    /// A fault that happens once.
    pub fn once(path: impl Into<String>, what: What) -> Self {
        Self { path: path.into(), place: Place::Anywhere, after: 0, times: 1, what }
    }

    /// A fault that happens every time.
    pub fn always(path: impl Into<String>, what: What) -> Self {
        Self::once(path, what).times(usize::MAX)
    }

    /// The same, so many times.
    pub fn times(self, times: usize) -> Self {
        Self { times, ..self }
    }

    /// The same after so many requests that it lets pass.
    pub fn after(self, after: usize) -> Self {
        Self { after, ..self }
    }

    /// The same at one part of the blob only.
    pub fn at(self, place: Place) -> Self {
        Self { place, ..self }
    }

    /// Whether it happens to this request, which is counted.
    pub fn happens(&mut self, request: &Request) -> bool {
        if self.times == 0 || !request.path.contains(&self.path) || !self.place.holds(request) {
            return false;
        }
        if self.after > 0 {
            self.after -= 1;
            return false;
        }
        self.times -= 1;
        true
    }
}

impl Place {
    fn holds(&self, request: &Request) -> bool {
        let asked = request.asked();
        match self {
            Self::Anywhere => true,
            Self::StartsIn(starts) => starts.contains(&asked.start),
            Self::Covers(offset) => asked.contains(offset),
            Self::Parts => request.is_ranged(),
            Self::Method(method) => request.method == *method,
        }
    }
}
