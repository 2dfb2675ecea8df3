//! A request as it came, and what became of it.

use std::io::{BufRead, BufReader, Read};
use std::net::TcpStream;
use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

#[derive(Clone, Debug)]
pub struct Request {
    pub method: String,
    /// With the query.
    pub path: String,
    /// The host whose proxy it takes this registry for.
    pub proxied_for: Option<String>,
    pub range: Option<String>,
    pub if_range: Option<String>,
    pub authorization: Option<String>,
    pub user_agent: Option<String>,
    pub accept: String,
    pub body: String,
    pub bytes: Arc<Vec<u8>>,
    pub content_range: Option<String>,
    /// When it came.
    pub at: Instant,
    /// Whether it came to the port that blobs are redirected to.
    pub redirected: bool,
    /// The status it was answered with; 0 where it was not answered.
    pub status: u16,
    /// Whether the body is not what was asked for, so that no client can use all of it.
    pub spoiled: bool,
    /// Whether the answer was broken off, by whomever.
    pub broken: bool,
    /// Bytes of the answer's body that were handed to the system.
    pub sent: u64,
}

impl Request {
    fn new(line: &str) -> Self {
        let mut words = line.split_whitespace();
        let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let proxied = target.strip_prefix("http://").and_then(|rest| rest.split_once('/'));
        Self {
            method: method.to_owned(),
            path: proxied.map_or_else(|| target.to_owned(), |(_, path)| format!("/{path}")),
            proxied_for: proxied.map(|(host, _)| host.to_owned()),
            range: None,
            if_range: None,
            authorization: None,
            user_agent: None,
            accept: String::new(),
            body: String::new(),
            bytes: Arc::default(),
            content_range: None,
            at: Instant::now(),
            redirected: false,
            status: 0,
            spoiled: false,
            broken: false,
            sent: 0,
        }
    }

    /// Reads the next request of a connection; nothing at its end, and nothing where it speaks TLS.
    pub fn read(reader: &mut BufReader<&TcpStream>) -> std::io::Result<Option<Self>> {
        if reader.fill_buf()?.first().is_none_or(|byte| !byte.is_ascii_uppercase()) {
            return Ok(None);
        }
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let mut request = Self::new(&line);
        let mut length = 0;
        loop {
            let mut line = String::new();
            reader.read_line(&mut line)?;
            let Some((name, value)) = line.trim_end().split_once(':') else { break };
            let value = value.trim_start();
            match name.to_ascii_lowercase().as_str() {
                "range" => request.range = Some(value.to_owned()),
                "content-range" => request.content_range = Some(value.to_owned()),
                "if-range" => request.if_range = Some(value.to_owned()),
                "authorization" => request.authorization = Some(value.to_owned()),
                "user-agent" => request.user_agent = Some(value.to_owned()),
                // Podman sends one header for each type.
                "accept" => request.accept += &format!("{value},"),
                "content-length" => length = value.parse().unwrap(),
                _ => {}
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        // What is sent to be kept is no text.
        if body.len() < 64 * 1024 {
            request.body = String::from_utf8_lossy(&body).into_owned();
        }
        request.bytes = Arc::new(body);
        Ok(Some(request))
    }

    /// The bytes asked for; the end of a blob is not known here.
    pub fn asked(&self) -> Range<u64> {
        self.range.as_deref().and_then(parse_range).unwrap_or(0..u64::MAX)
    }

    /// Whether a part of a blob was asked for, and not all of it.
    pub const fn is_ranged(&self) -> bool {
        self.range.is_some()
    }

    /// Whether it is for a blob, at the registry or where that leads.
    pub fn is_blob(&self) -> bool {
        self.path.contains("/blobs/") && !self.path.contains("/blobs/uploads/")
    }
}

fn parse_range(header: &str) -> Option<Range<u64>> {
    let (first, last) = header.strip_prefix("bytes=")?.split_once('-')?;
    let end = if last.is_empty() { u64::MAX } else { last.parse::<u64>().ok()? + 1 };
    Some(first.parse().ok()?..end)
}
