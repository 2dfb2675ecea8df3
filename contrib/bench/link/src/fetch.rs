//! The limit that a verifying download is held against: so many connections, each asking for one range after the other and
//! writing it in its place. Nothing is checked but the status and the length.
use std::fs::OpenOptions;
use std::io::{self, BufRead, Error, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use rustix::net::RecvFlags;

/// What one request asks for.
const RANGE: u64 = 16 * 1024 * 1024;
/// What is received before it is written.
const PIECE: usize = 512 * 1024;

struct Part {
    path: String,
    file: String,
    from: u64,
    /// The last byte, as HTTP counts.
    to: u64,
}

pub fn all(server: &str, connections: usize) -> io::Result<()> {
    let parts = parts()?;
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        let workers: Vec<_> =
            (0..connections.min(parts.len())).map(|_| scope.spawn(|| work(server, &parts, &next))).collect();
        workers.into_iter().try_for_each(|worker| worker.join().map_err(|_| Error::other("a worker died"))?)
    })
}

fn parts() -> io::Result<Vec<Part>> {
    let mut parts = Vec::new();
    for line in io::stdin().lock().lines() {
        let line = line?;
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [path, size, file] = fields[..] else { return Err(Error::other(format!("not a part: {line}"))) };
        let size: u64 = size.parse().map_err(Error::other)?;
        for from in (0..size).step_by(RANGE as usize) {
            let to = size.min(from + RANGE) - 1;
            parts.push(Part { path: path.to_owned(), file: file.to_owned(), from, to });
        }
    }
    Ok(parts)
}

fn work(server: &str, parts: &[Part], next: &AtomicUsize) -> io::Result<()> {
    let mut stream = TcpStream::connect(server)?;
    stream.set_nodelay(true)?;
    let mut buffer = vec![0; PIECE];
    while let Some(part) = parts.get(next.fetch_add(1, Ordering::Relaxed)) {
        let Part { path, from, to, .. } = part;
        write!(stream, "GET {path} HTTP/1.1\r\nHost: {server}\r\nRange: bytes={from}-{to}\r\n\r\n")?;
        let (head, got) = head(&mut stream, &mut buffer)?;
        if !head.starts_with("HTTP/1.1 206") {
            return Err(Error::other(head));
        }
        body(&mut stream, &mut buffer, part, got)?;
    }
    Ok(())
}

/// The head of the answer, and how much of the body came with it, which is moved to the start of the buffer.
fn head(stream: &mut TcpStream, buffer: &mut [u8]) -> io::Result<(String, usize)> {
    let mut len = 0;
    loop {
        let got = stream.read(&mut buffer[len..])?;
        len += got;
        if let Some(end) = buffer[..len].windows(4).position(|bytes| bytes == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&buffer[..end]).into_owned();
            buffer.copy_within(end + 4..len, 0);
            return Ok((head, len - end - 4));
        }
        if got == 0 {
            return Err(Error::other("the server ended the connection"));
        }
    }
}

fn body(stream: &mut TcpStream, buffer: &mut [u8], part: &Part, mut len: usize) -> io::Result<()> {
    let file = OpenOptions::new().write(true).create(true).truncate(false).open(&part.file)?;
    let mut at = part.from;
    loop {
        let left = (part.to + 1 - at) as usize;
        while len < left.min(buffer.len()) {
            let most = left.min(buffer.len());
            // Waits for all of it: a call for each segment that comes would cost more than the bytes.
            match rustix::net::recv(&*stream, &mut buffer[len..most], RecvFlags::WAITALL)?.0 {
                0 => return Err(Error::other("the server ended the connection")),
                got => len += got,
            }
        }
        if len > left {
            return Err(Error::other("more than was asked for"));
        }
        file.write_all_at(&buffer[..len], at)?;
        at += len as u64;
        len = 0;
        if at > part.to {
            return Ok(());
        }
    }
}
