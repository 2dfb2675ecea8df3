//! Tars for the targets: made from a few lines of text, or mended so that a changed byte does not end the reading.
//!
//! A line of the text is one member, `KIND PATH`, `KIND PATH=CONTENT` or `KIND PATH>TARGET`. The kinds are those of tar
//! itself by their letters: `f`ile, e`x`ecutable, `d`irectory, `s`ymbolic link, `h`ard link, `c`haracter device, `p`ipe,
//! `S`parse with a hole of 2^CONTENT bytes; `P KEY=VALUE` is an extended header of the next member, `G` a global one, `O` an extended header in the
//! oldest form of tar, and `-` begins the next layer.

use flate2::Crc;

const BLOCK: usize = 512;
const CHECKSUM: std::ops::Range<usize> = 148..156;
/// The most bytes of one block that is not compressed in gzip (RFC 1951, section 3.2.4).
const GZIP_BLOCK: usize = 0xffff;
/// The most bytes of one raw block of a Zstandard frame (RFC 8878, section 3.1.1.2.4).
const ZSTD_BLOCK: usize = 128 * 1024;

/// How a tar is wrapped.
#[derive(Clone, Copy, Debug)]
pub enum Wrapper {
    /// Not at all.
    None,
    /// In gzip.
    Gzip,
    /// In Zstandard.
    Zstd,
}

/// Wraps `bytes`, without making them smaller: what is tested is the reading.
pub fn wrap(bytes: &[u8], wrapper: Wrapper) -> Vec<u8> {
    match wrapper {
        Wrapper::None => bytes.to_vec(),
        Wrapper::Gzip => gzip(bytes),
        Wrapper::Zstd => zstd(bytes),
    }
}

/// One member of stored blocks (RFC 1952): an encoder would take longer than all that is tested.
fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut member = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
    for block in bytes.chunks(GZIP_BLOCK) {
        let length = block.len() as u16;
        member.push(0);
        member.extend(length.to_le_bytes());
        member.extend((!length).to_le_bytes());
        member.extend(block);
    }
    member.extend([1, 0, 0, 0xff, 0xff]);
    let mut sum = Crc::new();
    sum.update(bytes);
    member.extend(sum.sum().to_le_bytes());
    member.extend((bytes.len() as u32).to_le_bytes());
    member
}

/// A frame of raw blocks, without content size and checksum (RFC 8878, section 3.1.1).
fn zstd(bytes: &[u8]) -> Vec<u8> {
    // The magic number, a frame header without flags, and a window of 128 KiB.
    let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x38];
    let mut blocks = bytes.chunks(ZSTD_BLOCK).peekable();
    if blocks.peek().is_none() {
        frame.extend([1, 0, 0]);
    }
    while let Some(block) = blocks.next() {
        let header = (block.len() as u32) << 3 | u32::from(blocks.peek().is_none());
        frame.extend(&header.to_le_bytes()[..3]);
        frame.extend(block);
    }
    frame
}

/// The tars that stand after each other in `bytes`, each header with the checksum it ought to have.
pub fn mend(mut bytes: Vec<u8>) -> Vec<Vec<u8>> {
    let mut tars = Vec::new();
    let (mut start, mut at) = (0, 0);
    while let Some(header) = bytes.get_mut(at..at + BLOCK) {
        if header.iter().all(|byte| *byte == 0) {
            at = bytes[at..].iter().position(|byte| *byte != 0).map_or(bytes.len(), |zeros| at + zeros / BLOCK * BLOCK);
            tars.push(bytes[start..at].to_vec());
            start = at;
            continue;
        }
        write_checksum(header);
        at = at.saturating_add(BLOCK).saturating_add(size(header).next_multiple_of(BLOCK));
    }
    tars.push(bytes[start..].to_vec());
    tars
}

fn write_checksum(header: &mut [u8]) {
    header[CHECKSUM].fill(b' ');
    let sum: u32 = header.iter().copied().map(u32::from).sum();
    header[CHECKSUM].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
}

/// The size a header tells in octal digits; 0 where it tells none, or more than any input has.
fn size(header: &[u8]) -> usize {
    let digits = std::str::from_utf8(&header[124..136]).unwrap_or_default();
    let size = usize::from_str_radix(digits.trim_matches(['\0', ' ']), 8).unwrap_or_default();
    if size > 1 << 24 { 0 } else { size }
}

/// The layers that `text` describes.
pub fn build(text: &[u8]) -> Vec<Vec<u8>> {
    let mut layers = vec![Vec::new()];
    for line in text.split(|byte| *byte == b'\n') {
        let (kind, rest) = line.split_first().unwrap_or((&b'#', b""));
        let rest = rest.strip_prefix(b" ").unwrap_or(rest);
        match kind {
            b'-' => layers.push(Vec::new()),
            kind => member(layers.last_mut().expect("the first is there"), *kind, rest),
        }
    }
    layers.iter_mut().for_each(|layer| layer.extend([0; 2 * BLOCK]));
    layers
}

fn member(layer: &mut Vec<u8>, kind: u8, rest: &[u8]) {
    let (path, content) = split(rest, b'=');
    let (link, target) = split(rest, b'>');
    match kind {
        b'f' => named(layer, &Header { path, content, ..Header::new(b'0') }),
        b'x' => named(layer, &Header { path, content, mode: 0o755, ..Header::new(b'0') }),
        b'd' => named(layer, &Header { path: rest, ..Header::new(b'5') }),
        b's' => named(layer, &Header { path: link, target, ..Header::new(b'2') }),
        b'h' => named(layer, &Header { path: link, target, ..Header::new(b'1') }),
        b'c' => named(layer, &Header { path: rest, ..Header::new(b'3') }),
        b'p' => named(layer, &Header { path: rest, ..Header::new(b'6') }),
        b'S' => named(layer, &Header { path, hole: Some(content), is_gnu: true, ..Header::new(b'S') }),
        b'P' => Header { path: b"extended", content: &pax(path, content), ..Header::new(b'x') }.append(layer),
        b'G' => Header { path: b"global", content: &pax(path, content), ..Header::new(b'g') }.append(layer),
        b'O' => Header { path, content, is_old: true, ..Header::new(b'x') }.append(layer),
        _ => {}
    }
}

/// What stands before and behind the first `mark`.
fn split(text: &[u8], mark: u8) -> (&[u8], &[u8]) {
    let at = text.iter().position(|byte| *byte == mark).unwrap_or(text.len());
    (&text[..at], text.get(at + 1..).unwrap_or_default())
}

/// A member, with GNU's long name or link before it where one is too long for a header.
fn named(layer: &mut Vec<u8>, header: &Header<'_>) {
    for (kind, text) in [(b'L', header.path), (b'K', header.target)] {
        if text.len() > 100 {
            Header { path: b"././@LongLink", content: text, is_gnu: true, ..Header::new(kind) }.append(layer);
        }
    }
    header.append(layer);
}

fn pax(key: &[u8], value: &[u8]) -> Vec<u8> {
    let rest = key.len() + value.len() + 3;
    let length = (1..).map(|digits| rest + digits).find(|length| rest + length.to_string().len() == *length);
    let length = length.expect("some number has as many digits");
    [length.to_string().as_bytes(), b" ", key, b"=", value, b"\n"].concat()
}

struct Header<'a> {
    path: &'a [u8],
    target: &'a [u8],
    content: &'a [u8],
    kind: u8,
    mode: u32,
    /// The number of bits of the size of a sparse file's hole, in decimal.
    hole: Option<&'a [u8]>,
    is_gnu: bool,
    is_old: bool,
}

impl Header<'_> {
    const fn new(kind: u8) -> Self {
        Self { path: b"", target: b"", content: b"", kind, mode: 0o644, hole: None, is_gnu: false, is_old: false }
    }

    fn append(&self, layer: &mut Vec<u8>) {
        let mut block = [0; BLOCK];
        let mut put = |at: usize, most: usize, text: &[u8]| {
            let count = text.len().min(most);
            block[at..at + count].copy_from_slice(&text[..count]);
        };
        put(0, 100, self.path);
        put(100, 8, format!("{:07o}\0", self.mode).as_bytes());
        put(124, 12, format!("{:011o}\0", self.content.len()).as_bytes());
        put(156, 1, &[self.kind]);
        put(157, 100, self.target);
        if let Some(digits) = self.hole {
            let bits: u32 = std::str::from_utf8(digits).unwrap_or_default().parse().unwrap_or_default();
            // In base 256, as GNU writes numbers with too many octal digits.
            let size = [&[0x80, 0, 0, 0][..], &1u64.checked_shl(bits).unwrap_or_default().to_be_bytes()].concat();
            put(386, 12, &size);
            put(398, 12, b"00000000000\0");
            put(483, 12, &size);
        }
        match (self.is_old, self.is_gnu) {
            (true, _) => {}
            (false, true) => put(257, 8, b"ustar  \0"),
            (false, false) => put(257, 8, b"ustar\x0000"),
        }
        write_checksum(&mut block);
        layer.extend(block);
        layer.extend(self.content);
        layer.resize(layer.len().next_multiple_of(BLOCK), 0);
    }
}
