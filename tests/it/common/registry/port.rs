//! A port on loopback that can be shut for a while, as when a server restarts.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use rustix::net::{self, AddressFamily, SocketFlags, SocketType, ipproto, sockopt};

/// What the system keeps at most of what a client has not taken yet; more would make the count of bytes sent a guess.
const SEND_BUFFER: usize = 16 * 1024;

pub struct Port {
    pub address: SocketAddr,
    /// Bound and never listening: nobody else gets the port while it is shut.
    _holder: OwnedFd,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    listener: Option<Arc<TcpListener>>,
    /// The connections that are open, by a number of their own.
    streams: HashMap<usize, Arc<TcpStream>>,
    accepted: usize,
    most_open: usize,
    shut_until: Option<Instant>,
    is_over: bool,
}

impl Port {
    pub fn open() -> Self {
        Self::open_at(IpAddr::V4(Ipv4Addr::LOCALHOST))
    }

    pub fn open_at(address: IpAddr) -> Self {
        let holder = socket(SocketAddr::from((address, 0)));
        let address = SocketAddr::try_from(net::getsockname(&holder).unwrap()).unwrap();
        let port = Self { address, _holder: holder, state: Mutex::default() };
        port.listen().unwrap();
        port
    }

    /// Gives every connection to `serve` in a thread of its own until [`Port::close`].
    pub fn run(self: &Arc<Self>, serve: impl Fn(&TcpStream) + Clone + Send + 'static) {
        while let Some(listener) = self.listen() {
            for stream in listener.incoming().map_while(Result::ok) {
                let (serve, port) = (serve.clone(), Arc::clone(self));
                std::thread::spawn(move || port.keep(stream, serve));
            }
            // A new one may be there already.
            self.state().listener.take_if(|current| Arc::ptr_eq(current, &listener));
        }
    }

    fn keep(&self, stream: TcpStream, serve: impl Fn(&TcpStream)) {
        stream.set_nodelay(true).ok();
        let stream = Arc::new(stream);
        let number = {
            let mut state = self.state();
            if state.is_shut() {
                return;
            }
            state.accepted += 1;
            let number = state.accepted;
            state.streams.insert(number, Arc::clone(&stream));
            state.most_open = state.most_open.max(state.streams.len());
            number
        };
        serve(&stream);
        self.state().streams.remove(&number);
    }

    /// How many connections were made so far.
    pub fn accepted(&self) -> usize {
        self.state().accepted
    }

    /// The most connections that were open at once.
    pub fn most_open(&self) -> usize {
        self.state().most_open
    }

    /// Refuses connections for so long, and ends those there are.
    pub fn shut(&self, pause: Duration) {
        let mut state = self.state();
        state.shut_until = Some(Instant::now() + pause);
        state.end_all();
    }

    /// Ends that time early.
    pub fn reopen(&self) {
        let mut state = self.state();
        state.shut_until = None;
        drop(state);
        // Whoever asks next must not come before the thread that listens.
        drop(self.listen());
    }

    /// Ends for good.
    pub fn close(&self) {
        let mut state = self.state();
        state.is_over = true;
        state.end_all();
    }

    /// The listener, as soon as there may be one; none once the port is closed.
    fn listen(&self) -> Option<Arc<TcpListener>> {
        loop {
            let mut state = self.state();
            if state.is_over {
                return None;
            }
            if !state.is_shut() {
                let listener = state.listener.get_or_insert_with(|| {
                    let socket = socket(self.address);
                    net::listen(&socket, 128).unwrap();
                    Arc::new(TcpListener::from(socket))
                });
                return Some(Arc::clone(listener));
            }
            drop(state);
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

impl State {
    fn is_shut(&self) -> bool {
        self.is_over || self.shut_until.is_some_and(|until| Instant::now() < until)
    }

    fn end_all(&mut self) {
        // Both may have ended by themselves; what counts is that they have.
        if let Some(listener) = self.listener.take() {
            net::shutdown(&*listener, net::Shutdown::Both).ok();
        }
        for stream in self.streams.values() {
            stream.shutdown(Shutdown::Both).ok();
        }
    }
}

/// A socket bound to `address`, which others of ours may share as long as none of them listens.
fn socket(address: SocketAddr) -> OwnedFd {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    // A child must not keep the port of a test that was killed.
    let flags = SocketFlags::CLOEXEC;
    let socket = net::socket_with(family, SocketType::STREAM, flags, Some(ipproto::TCP)).unwrap();
    sockopt::set_socket_reuseaddr(&socket, true).unwrap();
    // Accepted sockets have it from the listening one.
    sockopt::set_socket_send_buffer_size(&socket, SEND_BUFFER).unwrap();
    net::bind(&socket, &address).unwrap();
    socket
}
