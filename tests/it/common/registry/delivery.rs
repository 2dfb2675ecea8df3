//! How the bytes of an answer are handed out: how fast, how far, and as long as there is somebody who takes them.

use std::io::{self, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::Shared;
use super::answer::{Answer, Framing};
use super::fault::What;
use super::request::Request;

/// The most bytes of one write.
const PIECE: usize = 16 * 1024;
/// How long who gets another answer than was asked for may look at its head, so that the bytes sent are those wanted.
const HEAD_START: Duration = Duration::from_millis(100);
/// How often a second a slow body moves.
const BEATS: usize = 50;

#[derive(Default)]
struct Delivery {
    late: Option<Duration>,
    cut: Option<usize>,
    stall: Option<(usize, Duration)>,
    rate: Option<usize>,
    flip: Option<usize>,
    is_endless: bool,
}

impl Delivery {
    fn new(faults: &[What]) -> Self {
        let mut delivery = Self::default();
        for what in faults {
            match what {
                What::Late(pause) => delivery.late = Some(*pause),
                What::CutAfter(bytes) => delivery.cut = Some(*bytes),
                What::Stall { after, pause } => delivery.stall = Some((*after, *pause)),
                What::Slow(rate) => delivery.rate = Some(*rate),
                What::WrongByte(at) => delivery.flip = Some(*at),
                What::Endless => delivery.is_endless = true,
                _ => {}
            }
        }
        delivery
    }

    /// The size of the next write.
    fn step(&self, sent: usize) -> usize {
        let size = self.rate.map_or(PIECE, |rate| (rate / BEATS).max(1));
        let stops = [self.cut, self.stall.map(|(after, _)| after)];
        stops.into_iter().flatten().filter(|stop| *stop > sent).fold(size, |size, stop| size.min(stop - sent))
    }

    /// The wait before the next write.
    fn pause(&self, sent: usize) -> Duration {
        let stall = self.stall.filter(|(after, _)| *after == sent).map(|(_, pause)| pause);
        stall.unwrap_or_default() + self.rate.map(|_| Duration::from_secs(1) / BEATS as u32).unwrap_or_default()
    }
}

impl Shared {
    /// Sends the answer; false when the connection is to be closed.
    pub(super) fn send(
        &self,
        stream: &TcpStream,
        request: &Request,
        answer: &Answer,
        faults: &[What],
        index: usize,
    ) -> io::Result<bool> {
        let delivery = Delivery::new(faults);
        if is_gone(stream, delivery.late.unwrap_or_default())? {
            return Ok(false);
        }
        if faults.iter().any(|what| matches!(what, What::EndlessHead)) {
            return self.send_endless_head(stream, index);
        }
        (&*stream).write_all(answer.head().as_bytes())?;
        let is_readable = faults.iter().any(|what| matches!(what, What::WrongByte(_)));
        if answer.spoiled && !is_readable && is_gone(stream, HEAD_START)? {
            return Ok(false);
        }
        let is_whole = request.method == "HEAD" || self.send_body(stream, answer, &delivery, index)?;
        Ok(is_whole && answer.framing != Framing::Unframed)
    }

    fn send_endless_head(&self, mut stream: &TcpStream, index: usize) -> io::Result<bool> {
        stream.write_all(b"HTTP/1.1 200 Test\r\n")?;
        for number in 0.. {
            let line = format!("X-{number}: {}\r\n", "x".repeat(1000));
            stream.write_all(line.as_bytes())?;
            self.state().count(index, line.len());
        }
        Ok(false)
    }

    fn send_body(&self, stream: &TcpStream, answer: &Answer, delivery: &Delivery, index: usize) -> io::Result<bool> {
        let body = &answer.content[answer.range.clone()];
        let mut sent = 0;
        while sent < body.len() || delivery.cut == Some(sent) {
            if delivery.cut == Some(sent) || is_gone(stream, delivery.pause(sent))? {
                return Ok(false);
            }
            let size = delivery.step(sent).min(body.len() - sent);
            if is_gone(stream, self.take_turn(size))? {
                return Ok(false);
            }
            let mut piece = body[sent..sent + size].to_vec();
            if let Some(at) = delivery.flip.and_then(|at| at.checked_sub(answer.range.start + sent)) {
                piece.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 0xff);
            }
            self.send_piece(stream, answer.framing, &piece, index)?;
            sent += size;
        }
        if delivery.is_endless {
            loop {
                self.send_piece(stream, answer.framing, &[b' '; PIECE], index)?;
            }
        }
        if answer.framing == Framing::Chunked {
            (&*stream).write_all(b"0\r\n\r\n")?;
        }
        Ok(true)
    }

    /// Counts what the system takes, which of a piece that breaks off is a part.
    fn send_piece(&self, mut stream: &TcpStream, framing: Framing, piece: &[u8], index: usize) -> io::Result<()> {
        let is_chunked = framing == Framing::Chunked;
        if is_chunked {
            stream.write_all(format!("{:x}\r\n", piece.len()).as_bytes())?;
        }
        let mut rest = piece;
        while !rest.is_empty() {
            let taken = stream.write(rest)?;
            self.state().count(index, taken);
            rest = &rest[taken..];
        }
        if is_chunked { stream.write_all(b"\r\n") } else { Ok(()) }
    }

    /// How long to wait before `bytes` may be sent on the line that all answers share.
    fn take_turn(&self, bytes: usize) -> Duration {
        let mut state = self.state();
        let Some(rate) = state.line_rate else { return Duration::ZERO };
        let now = Instant::now();
        let start = state.line_free.map_or(now, |free| free.max(now));
        state.line_free = Some(start + Duration::from_secs_f64(bytes as f64 / rate as f64));
        start - now
    }
}

/// Waits so long, or until the client has closed the connection: what it will not take is not sent.
fn is_gone(stream: &TcpStream, pause: Duration) -> io::Result<bool> {
    if pause.is_zero() {
        return Ok(false);
    }
    let timeout = Timespec::try_from(pause).map_err(io::Error::other)?;
    let mut fds = [PollFd::new(stream, PollFlags::IN | PollFlags::RDHUP)];
    Ok(rustix::io::retry_on_intr(|| poll(&mut fds, Some(&timeout)))? > 0)
}
