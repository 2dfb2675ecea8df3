//! A web server in this process that gives each request one answer.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

/// What is asked for.
pub struct Asked {
    /// With the query.
    pub path: String,
    pub authorization: Option<String>,
}

/// An answer without a body of which anybody reads more than text: its status, a header, and the text.
pub struct Answer {
    pub status: u16,
    pub header: String,
    pub text: String,
}

/// Listens until the process ends, on a port that nobody else gets.
pub struct Answerer {
    pub address: String,
    answered: Arc<AtomicUsize>,
}

impl Answerer {
    pub fn start(answer: impl Fn(&Asked) -> Answer + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let answered = Arc::new(AtomicUsize::new(0));
        let (answer, counted) = (Arc::new(Mutex::new(answer)), Arc::clone(&answered));
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let (answer, counted) = (Arc::clone(&answer), Arc::clone(&counted));
                thread::spawn(move || {
                    let Some(asked) = Asked::read(&client) else { return };
                    let answer = answer.lock().unwrap()(&asked);
                    counted.fetch_add(1, Ordering::Relaxed);
                    // Who does not wait for it has no use for it.
                    (&client).write_all(answer.to_http().as_bytes()).ok();
                });
            }
        });
        Self { address, answered }
    }

    /// How many requests were answered.
    pub fn answered(&self) -> usize {
        self.answered.load(Ordering::Relaxed)
    }
}

impl Asked {
    fn read(client: &TcpStream) -> Option<Self> {
        let mut lines = BufReader::new(client).lines().map_while(Result::ok);
        let path = lines.next()?.split(' ').nth(1)?.to_owned();
        let mut asked = Self { path, authorization: None };
        for line in lines.take_while(|line| !line.is_empty()) {
            if let Some((_, value)) =
                line.split_once(": ").filter(|(name, _)| name.eq_ignore_ascii_case("authorization"))
            {
                asked.authorization = Some(value.to_owned());
            }
        }
        Some(asked)
    }

    /// The values of a field of the query, decoded as far as scopes need it.
    pub fn fields(&self, name: &str) -> Vec<String> {
        let query = self.path.split_once('?').map_or("", |(_, query)| query);
        let fields = query.split('&').filter_map(|field| field.split_once('=')).filter(|(found, _)| *found == name);
        fields
            .map(|(_, value)| value.replace("%3A", ":").replace("%2F", "/").replace("%2C", ",").replace('+', " "))
            .collect()
    }
}

impl Answer {
    fn to_http(&self) -> String {
        let Self { status, header, text } = self;
        let header = if header.is_empty() { String::new() } else { format!("{header}\r\n") };
        format!("HTTP/1.1 {status} Test\r\n{header}Content-Length: {}\r\nConnection: close\r\n\r\n{text}", text.len())
    }
}
