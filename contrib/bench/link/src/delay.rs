//! A TCP proxy that is a long way: what goes in comes out half a round trip later, whatever the amount.
//!
//! A proxy ends TCP on both sides, so what the way does to TCP is acted out here: the first bytes wait for the round trip
//! of the handshake, and no more may be on the way in one direction than a congestion window, which opens as Linux' does
//! (ten segments, doubled each round trip that uses it) up to a limit. A window counts until its acknowledgement would be
//! back, which is half a round trip after the other side took the bytes. Loss, and one connection's share in another's
//! queue, are not acted out.
use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

/// Ten segments of 1460 bytes (RFC 6928).
const FIRST_WINDOW: usize = 14_600;
/// What is read, held and written in one piece at most.
const PIECE: usize = 256 * 1024;

#[derive(Clone, Copy)]
struct Way {
    half: Duration,
    window: usize,
}

struct Parcel {
    due: Instant,
    len: usize,
    bytes: Vec<u8>,
}

/// What came out at the other end, and its memory to be used again.
struct Ack {
    due: Instant,
    len: usize,
    bytes: Vec<u8>,
}

pub fn serve(listen: &str, upstream: &str, rtt_ms: u64, window: usize) -> io::Result<()> {
    let way = Way { half: Duration::from_millis(rtt_ms) / 2, window };
    for client in TcpListener::bind(listen)?.incoming() {
        let Ok(client) = client else { continue };
        let accepted = Instant::now();
        let upstream = upstream.to_owned();
        small_thread(move || {
            // A way that cannot be opened is a closed connection to the client, which is all it would see of it.
            let _ = TcpStream::connect(upstream).and_then(|server| carry(way, client, server, accepted));
        });
    }
    Ok(())
}

fn carry(way: Way, client: TcpStream, server: TcpStream, accepted: Instant) -> io::Result<()> {
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    // For the client the handshake is over at once; its first bytes would really leave a round trip later.
    let open = accepted + way.half * 2;
    one_way(way, client.try_clone()?, server.try_clone()?, open);
    one_way(way, server, client, open);
    Ok(())
}

fn one_way(way: Way, from: TcpStream, to: TcpStream, open: Instant) {
    let (parcels, arriving) = channel();
    let (acks, acked) = channel();
    small_thread(move || {
        admit(way, from, open, &parcels, &acked);
    });
    small_thread(move || deliver(way, to, &arriving, &acks));
}

fn small_thread(body: impl FnOnce() + Send + 'static) {
    // Without a thread the connection is dropped with the closure: a failed connection to the client.
    let _ = thread::Builder::new().stack_size(64 * 1024).spawn(body);
}

/// Takes bytes off the sender's hands as far as the window allows, and sends them on their way.
fn admit(way: Way, mut from: TcpStream, open: Instant, parcels: &Sender<Parcel>, acked: &Receiver<Ack>) {
    let mut window = Window::new(way.window);
    loop {
        if !window.make_room(acked) {
            // The receiver is gone; so that the sender learns of it:
            let _ = from.shutdown(Shutdown::Both);
            return;
        }
        let mut bytes = window.spare.pop().unwrap_or_else(|| vec![0; PIECE]);
        let room = window.room().min(PIECE);
        let len = match from.read(&mut bytes[..room]) {
            Ok(len) => len,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(_) => 0,
        };
        let due = Instant::now().max(open) + way.half;
        window.sent(len);
        if parcels.send(Parcel { due, len, bytes }).is_err() {
            let _ = from.shutdown(Shutdown::Both);
            return;
        }
        if len == 0 {
            return;
        }
    }
}

/// Hands over each parcel at its time. An empty one is the end of the stream.
fn deliver(way: Way, mut to: TcpStream, arriving: &Receiver<Parcel>, acks: &Sender<Ack>) {
    while let Ok(Parcel { due, len, bytes }) = arriving.recv() {
        thread::sleep(due.saturating_duration_since(Instant::now()));
        if len == 0 {
            let _ = to.shutdown(Shutdown::Write);
            return;
        }
        if to.write_all(&bytes[..len]).is_err() {
            // The other direction reads from this one and must end too.
            let _ = to.shutdown(Shutdown::Both);
            return;
        }
        let _ = acks.send(Ack { due: Instant::now() + way.half, len, bytes });
    }
}

/// The congestion window of one direction.
struct Window {
    limit: usize,
    size: usize,
    flying: usize,
    /// The most that was on the way since the window last grew: one that is not used does not grow.
    used: usize,
    waiting: VecDeque<(Instant, usize)>,
    spare: Vec<Vec<u8>>,
}

impl Window {
    fn new(limit: usize) -> Self {
        Self { limit, size: FIRST_WINDOW.min(limit), flying: 0, used: 0, waiting: VecDeque::new(), spare: Vec::new() }
    }

    fn room(&self) -> usize {
        self.size - self.flying
    }

    fn sent(&mut self, len: usize) {
        self.flying += len;
        self.used = self.used.max(self.flying);
    }

    /// Waits until something may be sent; false if the receiver has gone.
    fn make_room(&mut self, acked: &Receiver<Ack>) -> bool {
        loop {
            while let Ok(ack) = acked.try_recv() {
                self.note(ack);
            }
            let now = Instant::now();
            while self.waiting.front().is_some_and(|(due, _)| *due <= now) {
                self.take_first();
            }
            // A sender does not send crumbs: it waits for a tenth of the window, as one with segments would.
            if self.room() >= (self.size / 10).min(PIECE) {
                return true;
            }
            match self.waiting.front() {
                Some((due, _)) => thread::sleep(due.saturating_duration_since(now)),
                None => match acked.recv() {
                    Ok(ack) => self.note(ack),
                    Err(_) => return false,
                },
            }
        }
    }

    fn note(&mut self, ack: Ack) {
        self.waiting.push_back((ack.due, ack.len));
        self.spare.push(ack.bytes);
    }

    fn take_first(&mut self) {
        if let Some((_, len)) = self.waiting.pop_front() {
            self.flying -= len;
            if self.size < 2 * self.used {
                self.size = (self.size + len).min(self.limit);
            }
            if self.flying == 0 {
                self.used = 0;
            }
        }
    }
}
