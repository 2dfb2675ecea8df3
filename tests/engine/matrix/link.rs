//! A line between a client and a server, in this process: it counts what comes, has the speed that it is told, and may
//! be a proxy that is asked for its way (RFC 9110, section 9.3.6).

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// What is passed on at once.
const PIECE: usize = 16 * 1024;

/// A line that is open until it is dropped.
pub struct Link {
    address: String,
    shared: Arc<Shared>,
}

struct Shared {
    way: Way,
    /// Bytes that were given to clients.
    sent: AtomicU64,
    is_over: AtomicBool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Bytes a second for all clients together.
    rate: Option<u64>,
    free_at: Option<Instant>,
    asked: Vec<String>,
}

enum Way {
    /// To this address.
    Straight(String),
    /// To the address that stands for the name that is asked for; no other name is known.
    Asked(Vec<(String, String)>),
}

impl Link {
    pub fn to(address: &str) -> Self {
        Self::start(Way::Straight(address.to_owned()))
    }

    /// A proxy that knows these names, as `name:port`, with their addresses.
    pub fn proxy(names: &[(&str, &str)]) -> Self {
        let owned = |(name, address): &(&str, &str)| ((*name).to_owned(), (*address).to_owned());
        Self::start(Way::Asked(names.iter().map(owned).collect()))
    }

    fn start(way: Way) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (sent, is_over, state) = (AtomicU64::new(0), AtomicBool::new(false), Mutex::default());
        let shared = Arc::new(Shared { way, sent, is_over, state });
        let own = Arc::clone(&shared);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                if own.is_over.load(Ordering::Relaxed) {
                    return;
                }
                let shared = Arc::clone(&own);
                // Whoever ends first has ended for both.
                thread::spawn(move || shared.carry(&client));
            }
        });
        Self { address, shared }
    }

    /// `127.0.0.1:PORT`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// From now on all clients together get and send so many bytes a second.
    pub fn limit(&self, rate: Option<u64>) {
        self.shared.state.lock().unwrap().rate = rate;
    }

    /// The bytes that were given to clients.
    pub fn sent(&self) -> u64 {
        self.shared.sent.load(Ordering::Relaxed)
    }

    /// What a proxy was asked for, each as `name:port`.
    pub fn asked(&self) -> Vec<String> {
        self.shared.state.lock().unwrap().asked.clone()
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::Relaxed);
        drop(TcpStream::connect(&self.address));
    }
}

impl Shared {
    fn carry(self: &Arc<Self>, client: &TcpStream) -> io::Result<()> {
        client.set_nodelay(true)?;
        let server = self.connect(client)?;
        server.set_nodelay(true)?;
        let (from, to) = (client.try_clone()?, server.try_clone()?);
        let shared = Arc::clone(self);
        let up = thread::spawn(move || {
            shared.pass_on(&from, &to, |_| {}).ok();
            to.shutdown(Shutdown::Write)
        });
        let count = |bytes| {
            self.sent.fetch_add(bytes, Ordering::Relaxed);
        };
        self.pass_on(&server, client, count).ok();
        for end in [client, &server] {
            end.shutdown(Shutdown::Both).ok();
        }
        drop(up.join());
        Ok(())
    }

    fn connect(&self, mut client: &TcpStream) -> io::Result<TcpStream> {
        let names = match &self.way {
            Way::Straight(address) => return TcpStream::connect(address),
            Way::Asked(names) => names,
        };
        let mut lines = BufReader::new(client).lines();
        let first = lines.next().transpose()?.unwrap_or_default();
        for line in lines {
            if line?.is_empty() {
                break;
            }
        }
        let asked = first.strip_prefix("CONNECT ").and_then(|rest| rest.split(' ').next()).unwrap_or(&first);
        self.state.lock().unwrap().asked.push(asked.to_owned());
        let Some((_, address)) = names.iter().find(|(name, _)| name == asked) else {
            client.write_all(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")?;
            return Err(io::ErrorKind::NotFound.into());
        };
        let server = TcpStream::connect(address)?;
        client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")?;
        Ok(server)
    }

    fn pass_on(&self, mut from: &TcpStream, mut to: &TcpStream, count: impl Fn(u64)) -> io::Result<()> {
        let mut piece = vec![0; PIECE];
        loop {
            let length = from.read(&mut piece)?;
            if length == 0 {
                return Ok(());
            }
            thread::sleep(self.wait(length as u64));
            to.write_all(&piece[..length])?;
            count(length as u64);
        }
    }

    /// How long so many bytes have to wait for their turn.
    fn wait(&self, length: u64) -> Duration {
        let mut state = self.state.lock().unwrap();
        let Some(rate) = state.rate else { return Duration::ZERO };
        let now = Instant::now();
        let turn = state.free_at.map_or(now, |free_at| free_at.max(now));
        state.free_at = Some(turn + Duration::from_micros(length * 1_000_000 / rate));
        turn - now
    }
}
