//! The media type of a file from its first bytes, as Go's `http.DetectContentType` has it, on which podman relies.
//!
//! The rules are those of <https://mimesniff.spec.whatwg.org>, for what lies beside models.

/// How many bytes decide.
pub(super) const BYTES: u64 = 512;

const TEXT: &str = "text/plain; charset=utf-8";
const BINARY: &str = "application/octet-stream";

/// What begins with the bytes is of the type.
const SIGNATURES: [(&[u8], &str); 16] = [
    (b"%PDF-", "application/pdf"),
    (b"%!PS-Adobe-", "application/postscript"),
    (b"\xfe\xff", "text/plain; charset=utf-16be"),
    (b"\xff\xfe", "text/plain; charset=utf-16le"),
    (b"\xef\xbb\xbf", TEXT),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"\x89PNG\x0d\x0a\x1a\x0a", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"BM", "image/bmp"),
    (b"OggS\0", "application/ogg"),
    (b"\x1f\x8b\x08", "application/x-gzip"),
    (b"PK\x03\x04", "application/zip"),
    (b"Rar!\x1a\x07\0", "application/x-rar-compressed"),
    (b"Rar!\x1a\x07\x01\0", "application/x-rar-compressed"),
    (b"\0asm", "application/wasm"),
];

/// What begins with one of these, in any case, and then a space or `>`, is HTML.
const TAGS: [&str; 17] = [
    "<!DOCTYPE HTML",
    "<HTML",
    "<HEAD",
    "<SCRIPT",
    "<IFRAME",
    "<H1",
    "<DIV",
    "<FONT",
    "<TABLE",
    "<A",
    "<STYLE",
    "<TITLE",
    "<B",
    "<BODY",
    "<BR",
    "<P",
    "<!--",
];

/// The media type of what begins with `bytes`.
pub(super) fn media_type(bytes: &[u8]) -> &'static str {
    let start = bytes.iter().position(|byte| !b"\t\n\x0c\r ".contains(byte)).unwrap_or(bytes.len());
    let visible = &bytes[start..];
    if TAGS.iter().any(|tag| begins_with_tag(visible, tag)) {
        return "text/html; charset=utf-8";
    }
    if visible.starts_with(b"<?xml") {
        return "text/xml; charset=utf-8";
    }
    if let Some((_, media_type)) = SIGNATURES.iter().find(|(signature, _)| bytes.starts_with(signature)) {
        return media_type;
    }
    if bytes.starts_with(b"RIFF") && bytes.get(8..14) == Some(b"WEBPVP") {
        return "image/webp";
    }
    if visible.iter().copied().any(is_binary) { BINARY } else { TEXT }
}

fn begins_with_tag(bytes: &[u8], tag: &str) -> bool {
    let is_tag = bytes.get(..tag.len()).is_some_and(|start| start.eq_ignore_ascii_case(tag.as_bytes()));
    is_tag && bytes.get(tag.len()).is_some_and(|next| b" >".contains(next))
}

const fn is_binary(byte: u8) -> bool {
    matches!(byte, 0..=8 | 0x0b | 0x0e..=0x1a | 0x1c..=0x1f)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_those_that_podman_gives() {
        let cases: [(&[u8], &str); 15] = [
            (b"", TEXT),
            (b"{\"a\": 1}", TEXT),
            (b"#!/bin/sh\n", TEXT),
            ("größer".as_bytes(), TEXT),
            (b"GGUF\x03\0\0\0", BINARY),
            (b"\x08\0\0\0\0\0\0\0{\"a\":{}}", BINARY),
            (b"PK\x03\x04zip", "application/zip"),
            (b"\x1f\x8b\x08\0", "application/x-gzip"),
            (b"%PDF-1.4", "application/pdf"),
            (b"\n <html>", "text/html; charset=utf-8"),
            (b"<!doctype html>", "text/html; charset=utf-8"),
            (b"<htmlx>", TEXT),
            (b"<?xml version=\"1.0\"?>", "text/xml; charset=utf-8"),
            (b"\x89PNG\x0d\x0a\x1a\x0a", "image/png"),
            (b"RIFF\0\0\0\0WEBPVP8 ", "image/webp"),
        ];
        for (bytes, expected) in cases {
            assert_eq!(media_type(bytes), expected, "{bytes:?}");
        }
    }
}
