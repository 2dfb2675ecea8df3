//! An answer: status, headers, body, and what faults make of them.

use std::io::Write as _;
use std::ops::Range;
use std::sync::Arc;

use super::fault::What;
use super::request::Request;

pub(super) struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub content: Arc<Vec<u8>>,
    /// The part of `content` that is sent.
    pub range: Range<usize>,
    pub framing: Framing,
    /// Whether the body is not what was asked for.
    pub spoiled: bool,
}

/// How the end of a body is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    Length,
    Chunked,
    /// By the end of the connection, as in HTTP/1.0.
    Unframed,
}

/// A blob as it is to be sent, with its `ETag`.
pub(super) struct Object {
    pub content: Arc<Vec<u8>>,
    pub tag: Option<String>,
}

impl Answer {
    pub fn new(status: u16, body: &[u8]) -> Self {
        Self::of(status, Arc::new(body.to_vec()))
    }

    fn of(status: u16, content: Arc<Vec<u8>>) -> Self {
        let range = 0..content.len();
        Self { status, headers: Vec::new(), content, range, framing: Framing::Length, spoiled: false }
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.set(name, value);
        self
    }

    fn set(&mut self, name: &str, value: &str) {
        self.headers.retain(|(present, _)| present != name);
        self.headers.push((name.to_owned(), value.to_owned()));
    }

    /// An error of the distribution-spec.
    pub fn not_found(code: &str) -> Self {
        Self::new(404, format!(r#"{{"errors":[{{"code":"{code}","message":"unknown here"}}]}}"#).as_bytes())
    }

    pub fn manifest(bytes: &Arc<Vec<u8>>, accept: &str) -> Self {
        let json: serde_json::Value = serde_json::from_slice(bytes).unwrap_or_default();
        let media_type = json["mediaType"].as_str().unwrap_or("application/vnd.oci.image.manifest.v1+json");
        // Of a type that it does not know it is no registry of the distribution-spec that holds it.
        let is_known =
            ["application/vnd.oci.", "application/vnd.docker."].iter().any(|kind| media_type.starts_with(kind));
        if is_known && !accept.contains(media_type) {
            return Self::not_found("MANIFEST_UNKNOWN");
        }
        let answer = Self::new(200, bytes).header("Content-Type", media_type);
        answer.header("Docker-Content-Digest", &super::digest(bytes))
    }

    /// The object, or the part of it that is asked for (RFC 9110, sections 13.1.5 and 14.2).
    pub fn object(object: Object, request: &Request, ignore_range: bool) -> Self {
        let length = object.content.len();
        let mut answer = Self::of(200, object.content);
        let if_range = request.if_range.as_ref();
        // A weak validator never matches here.
        let is_same = if_range.is_none_or(|tag| !tag.starts_with("W/") && Some(tag) == object.tag.as_ref());
        if let Some(tag) = object.tag {
            answer.set("ETag", &tag);
        }
        if !request.is_ranged() {
            return answer;
        }
        if ignore_range || !is_same {
            answer.spoiled = true;
            return answer;
        }
        let asked = request.asked();
        let end = usize::try_from(asked.end).unwrap_or(length).min(length);
        let first = usize::try_from(asked.start).unwrap_or(length);
        if first >= end {
            return Self::new(416, b"").header("Content-Range", &format!("bytes */{length}"));
        }
        answer.status = 206;
        answer.set_range(first..end);
        answer
    }

    fn set_range(&mut self, range: Range<usize>) {
        let length = self.content.len();
        self.set("Content-Range", &format!("bytes {}-{}/{length}", range.start, range.end.saturating_sub(1)));
        self.range = range;
    }

    /// Makes of the answer what the faults say; those about ranges do nothing to a whole blob.
    pub fn apply(&mut self, faults: &[What]) {
        for what in faults {
            let (start, end, length) = (self.range.start, self.range.end, self.content.len());
            let is_range = self.status == 206;
            match what {
                What::Truncate(length) => self.range.end = end.min(start + length),
                What::StartLate(bytes) if is_range && start + bytes < end => self.set_range(start + bytes..end),
                What::EndLate(bytes) if is_range && end < length => self.set_range(start..length.min(end + bytes)),
                What::Shorter(bytes) if is_range => self.set_range(start..end.min(start + bytes.max(&1))),
                What::Multipart if is_range => self.split(),
                What::Gzip if self.is_content() => self.compress(),
                What::ContentRange(value) => self.set("Content-Range", value),
                What::Header(name, value) => self.set(name, value),
                What::Unframed => self.framing = Framing::Unframed,
                What::Chunked | What::Endless => self.framing = Framing::Chunked,
                _ => continue,
            }
            self.spoiled |= what.spoils();
        }
        self.spoiled |= self.is_content() && faults.iter().any(What::spoils_bytes);
    }

    const fn is_content(&self) -> bool {
        matches!(self.status, 200 | 206)
    }

    fn split(&mut self) {
        let value = self.headers.iter().find(|(name, _)| name == "Content-Range").map(|(_, value)| value.as_str());
        let head = format!("--PART\r\nContent-Range: {}\r\n\r\n", value.unwrap_or_default());
        let body = [head.as_bytes(), &self.content[self.range.clone()], b"\r\n--PART--\r\n"].concat();
        self.headers.retain(|(name, _)| name != "Content-Range");
        self.set("Content-Type", "multipart/byteranges; boundary=PART");
        self.range = 0..body.len();
        self.content = Arc::new(body);
    }

    fn compress(&mut self) {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(&self.content[self.range.clone()]).unwrap();
        let body = encoder.finish().unwrap();
        self.set("Content-Encoding", "gzip");
        self.range = 0..body.len();
        self.content = Arc::new(body);
    }

    pub fn head(&self) -> String {
        let lines: String = self.headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let (version, end) = match self.framing {
            Framing::Length => ("1.1", format!("Content-Length: {}\r\n", self.range.len())),
            Framing::Chunked => ("1.1", String::from("Transfer-Encoding: chunked\r\n")),
            Framing::Unframed => ("1.0", String::new()),
        };
        format!("HTTP/{version} {} Test\r\n{lines}{end}\r\n", self.status)
    }
}

impl What {
    /// Whether a body it was applied to is not the one that was asked for.
    const fn spoils(&self) -> bool {
        matches!(
            self,
            Self::Truncate(_)
                | Self::StartLate(_)
                | Self::EndLate(_)
                | Self::Multipart
                | Self::Gzip
                | Self::ContentRange(_)
        )
    }

    /// Whether it makes the bytes wrong that are sent for the right ones.
    const fn spoils_bytes(&self) -> bool {
        matches!(self, Self::WrongByte(_) | Self::Changed)
    }
}
