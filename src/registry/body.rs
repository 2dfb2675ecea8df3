//! The bytes of a blob: what was asked for, and which of them the answer really holds.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use super::error::{Error, Result};
use super::http::Response;
use super::safe_url::SafeUrl;
use crate::digest::Mismatch;
use crate::manifest::Descriptor;
use crate::registries_conf::Endpoint;

/// The bytes of an answer to a blob request, as they come.
pub struct Body {
    response: Response,
    endpoint: Arc<Endpoint>,
    start: u64,
    /// Where the promised bytes end.
    end: u64,
    position: u64,
}

impl Body {
    /// Checks an answer of status 200 or 206 against what was asked.
    pub(super) fn new(
        response: Response,
        descriptor: &Descriptor,
        asked: &Range<u64>,
        endpoint: Arc<Endpoint>,
    ) -> Result<Self> {
        let url = response.url();
        if let Some(coding) = response.header("content-encoding").filter(|coding| *coding != "identity") {
            return Err(Error::protocol(url, format!("it is encoded as {coding}")));
        }
        let given = match response.status() {
            200 => 0..descriptor.size,
            206 => check_range(response.header("content-range").unwrap_or_default(), descriptor.size, asked)
                .map_err(|reason| Error::Range { url: url.clone(), reason })?,
            status => return Err(Error::protocol(url, format!("its status is {status}"))),
        };
        match response.content_length() {
            // Who answers a range like that may answer better to a request for all.
            Some(length) if length != given.end - given.start && *asked == (0..descriptor.size) => {
                let (digest, size) = (descriptor.digest.clone(), descriptor.size);
                Err(Mismatch::Size { digest, size, seen: length }.into())
            }
            Some(length) if length != given.end - given.start => {
                Err(Error::Range { url: url.clone(), reason: format!("it has {length} bytes for the range {given:?}") })
            }
            _ => Ok(Self { response, endpoint, start: given.start, end: given.end, position: given.start }),
        }
    }

    /// The URL that answered.
    pub const fn url(&self) -> &SafeUrl {
        self.response.url()
    }

    /// Which of the repository's places has answered, or has led to who did.
    pub const fn endpoint(&self) -> &Arc<Endpoint> {
        &self.endpoint
    }

    /// The offset in the blob of the first byte: 0 when the registry ignored the range and sends everything.
    pub const fn start(&self) -> u64 {
        self.start
    }

    /// The offset in the blob behind the last byte that will come.
    pub const fn end(&self) -> u64 {
        self.end
    }

    /// The next bytes; `None` after exactly those that [`Body::start`] and [`Body::end`] promise.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>> {
        let url = self.response.url().clone();
        let Some(chunk) = self.response.chunk().await? else {
            let (seen, expected) = (self.position - self.start, self.end - self.start);
            return if seen == expected { Ok(None) } else { Err(Error::Truncated { url, seen, expected }) };
        };
        self.position += chunk.len() as u64;
        if self.position > self.end {
            return Err(Error::protocol(&url, "it has more bytes than it promises"));
        }
        Ok(Some(chunk))
    }
}

/// The value of a `Range` header.
pub(super) fn header(range: &Range<u64>) -> String {
    format!("bytes={}-{}", range.start, range.end.saturating_sub(1))
}

/// Reads `Content-Range` (RFC 9110, section 14.4). The answer may be shorter than asked, and nothing else.
fn check_range(header: &str, size: u64, asked: &Range<u64>) -> Result<Range<u64>, String> {
    let wrong = || {
        format!(
            "its range is {header:?}, asked for were bytes {}-{} of {size}",
            asked.start,
            asked.end.saturating_sub(1)
        )
    };
    let (first, last, total) = parse_range(header).ok_or_else(wrong)?;
    let in_range = first == asked.start && first <= last && last < asked.end;
    if !in_range || total.is_some_and(|total| total != size) {
        return Err(wrong());
    }
    Ok(first..last + 1)
}

fn parse_range(header: &str) -> Option<(u64, u64, Option<u64>)> {
    let (range, total) = header.strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let total = if total == "*" { None } else { Some(total.parse().ok()?) };
    Some((first.parse().ok()?, last.parse().ok()?, total))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_range_asked_for_is_taken() {
        let cases = [
            ("bytes 4-9/10", Some(4..10)),
            ("bytes 4-9/*", Some(4..10)),
            ("bytes 4-7/10", Some(4..8)),
            ("bytes 3-9/10", None),
            ("bytes 0-9/10", None),
            ("bytes 4-10/10", None),
            ("bytes 4-9/11", None),
            ("bytes 4-3/10", None),
            ("bytes 4-18446744073709551615/*", None),
            ("bytes */10", None),
            ("4-9/10", None),
            ("", None),
        ];
        for (header, range) in cases {
            assert_eq!(check_range(header, 10, &(4..10)).ok(), range, "{header}");
        }
        assert_eq!(header(&(4..10)), "bytes=4-9");
    }
}
