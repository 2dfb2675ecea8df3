//! Reading tars, plain, gzip or zstd, in one pass and with bounded memory.

use std::cell::Cell;
use std::io::{self, Chain, Cursor, Read};
use std::rc::Rc;

use flate2::read::MultiGzDecoder;

use crate::digest::{Digest, Hasher};
use crate::manifest::Descriptor;

use super::Error;
use super::error::At;

const BLOCK: usize = 512;
/// Read ahead to know what the bytes are: zstd gives nothing before a whole block of its own, which has up to 128 KiB.
const PEEK: u64 = 256 * 1024;
/// The largest window of zstd as a power of two, which is the most memory a layer takes: 128 MiB, what the zstd command
/// takes without being told otherwise.
const MAX_WINDOW_LOG: u32 = 27;
/// How many times its own size an archive may unpack to, beyond [`FREE_BYTES`]: weights are hardly compressed at all,
/// and the worst that gzip can do is a thousand times.
const MAX_RATIO: u64 = 100;
/// What the smallest archive may unpack to.
const FREE_BYTES: u64 = 1024 * 1024 * 1024;
/// The most bytes of headers before one member. The tar crate keeps long names in memory whatever their size.
pub const MAX_HEADER_BYTES: u64 = 1024 * 1024;

/// A blob that was looked at and can still be read from its first byte.
pub(super) type Peeked = Chain<Cursor<Vec<u8>>, Box<dyn Read + Send>>;

/// What the first bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// A tar.
    Tar,
    /// A tar in gzip.
    Gzip,
    /// A tar in zstd.
    Zstd,
    /// Something else.
    Other,
}

/// One member of a tar.
pub(super) struct Member<'a> {
    /// The name as it stands there.
    pub(super) path: Vec<u8>,
    /// File, folder, link or worse.
    pub(super) kind: tar::EntryType,
    /// The bytes of its content.
    pub(super) size: u64,
    /// 0644 or 0755.
    pub(super) mode: u32,
    /// Where a link leads.
    pub(super) target: Vec<u8>,
    /// The content.
    pub(super) content: &'a mut dyn Read,
}

/// Tells what a blob is by its first bytes.
pub(super) fn peek(mut blob: Box<dyn Read + Send>) -> io::Result<(Format, Peeked)> {
    let mut start = Vec::new();
    blob.by_ref().take(PEEK).read_to_end(&mut start)?;
    let format = format(&start);
    Ok((format, Cursor::new(start).chain(blob)))
}

fn format(start: &[u8]) -> Format {
    let Some(compressed) = compression(start) else {
        return if is_tar(start) { Format::Tar } else { Format::Other };
    };
    let mut block = Vec::new();
    match decoder(compressed, start).and_then(|decoder| decoder.take(BLOCK as u64).read_to_end(&mut block)) {
        Ok(_) if !is_tar(&block) => Format::Other,
        // Where the peeked bytes do not tell, or are broken, the reading of all of them says what is wrong.
        _ => compressed,
    }
}

/// What the bytes are compressed by; RFC 8878 lets a skippable frame stand first, too.
fn compression(start: &[u8]) -> Option<Format> {
    match start {
        [0x1f, 0x8b, ..] => Some(Format::Gzip),
        [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Some(Format::Zstd),
        _ => None,
    }
}

/// The content of `source`, all of its frames or members after each other.
fn decoder<'a>(format: Format, source: impl Read + 'a) -> io::Result<Box<dyn Read + 'a>> {
    Ok(match format {
        Format::Tar | Format::Other => Box::new(source),
        Format::Gzip => Box::new(MultiGzDecoder::new(source)),
        Format::Zstd => {
            let mut decoder = zstd::Decoder::new(source)?;
            decoder.window_log_max(MAX_WINDOW_LOG)?;
            Box::new(decoder)
        }
    })
}

/// `ustar`, or the zeros of a tar without members.
fn is_tar(block: &[u8]) -> bool {
    block.get(257..262) == Some(b"ustar") || block.get(..BLOCK).is_some_and(|zeros| zeros.iter().all(|byte| *byte == 0))
}

/// Whether the first member of a tar is the folder `name`, as far as the peeked bytes tell.
pub(super) fn begins_with_folder(format: Format, peeked: &Peeked, name: &str) -> bool {
    let start = peeked.get_ref().0.get_ref().as_slice();
    let Ok(tar) = decoder(format, start) else { return false };
    let mut tar = tar::Archive::new(tar.take(MAX_HEADER_BYTES));
    let first = tar.entries().ok().and_then(|mut members| members.next());
    first.and_then(Result::ok).is_some_and(|member| {
        let path = member.path_bytes();
        member.header().entry_type().is_dir() && path.strip_suffix(b"/").unwrap_or(&path) == name.as_bytes()
    })
}

/// Takes the members one by one, in the order of the tar.
pub(super) type Visit<'a> = &'a mut dyn FnMut(&mut Member<'_>) -> Result<(), Error>;

/// Calls `visit` for each member of the tar in `source`, then reads `source` to its end, which verifies it; `digest` is
/// what the tar without its compression should have.
pub(super) fn read(
    blob: &Descriptor,
    digest: Option<&Digest>,
    format: Format,
    mut source: Peeked,
    visit: Visit<'_>,
) -> Result<(), Error> {
    let allowance = Rc::new(Cell::new(blob.size.saturating_mul(MAX_RATIO).saturating_add(FREE_BYTES)));
    let decoded = decoder(format, &mut source).reading(blob)?;
    let bounded = Bounded { source: decoded, allowance, excess: "it unpacks to more than a hundred times its size" };
    let mut tar = Hashed { source: bounded, hasher: digest.map(|digest| Hasher::new(digest.algorithm())) };
    read_members(blob, &mut tar, visit)?;
    if let Some(listed) = digest {
        io::copy(&mut tar, &mut io::sink()).reading(blob)?;
        let actual = tar.hasher.as_ref().map(Hasher::finish);
        if let Some(actual) = actual.filter(|actual| actual != listed) {
            return Err(Error::OtherTar { blob: blob.digest.clone(), listed: listed.clone(), actual });
        }
    }
    drop(tar);
    io::copy(&mut source, &mut io::sink()).reading(blob)?;
    Ok(())
}

/// Passes bytes on and hashes them, where there is a digest to compare with.
struct Hashed<R> {
    source: R,
    hasher: Option<Hasher>,
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.source.read(buffer)?;
        if let Some(hasher) = &mut self.hasher {
            hasher.update(&buffer[..count]);
        }
        Ok(count)
    }
}

fn read_members(blob: &Descriptor, source: &mut dyn Read, visit: Visit<'_>) -> Result<(), Error> {
    let allowance = Rc::new(Cell::new(MAX_HEADER_BYTES));
    let excess = "the headers of a tar member are too long";
    let mut archive = tar::Archive::new(Bounded { source, allowance: Rc::clone(&allowance), excess });
    let mut entries = archive.entries().reading(blob)?;
    loop {
        let Some(entry) = entries.next() else { return Ok(()) };
        let mut entry = entry.reading(blob)?;
        allowance.set(u64::MAX);
        // `git archive` puts one at the front; it is about the archive and no member.
        if entry.header().entry_type() != tar::EntryType::XGlobalHeader {
            visit(&mut member(&mut entry).reading(blob)?)?;
        }
        allowance.set(MAX_HEADER_BYTES.saturating_add(pass_over(&mut entry).reading(blob)?));
    }
}

/// Reads the rest of a member; the bytes that are left for the tar crate to skip.
///
/// The holes of a sparse file are nowhere in the archive and can be as long as a number can say: they are not read.
fn pass_over<R: Read>(entry: &mut tar::Entry<'_, R>) -> io::Result<u64> {
    if entry.header().entry_type().is_gnu_sparse() {
        return entry.header().entry_size();
    }
    io::copy(entry, &mut io::sink()).map(|_| 0)
}

fn member<'a, R: Read>(entry: &'a mut tar::Entry<'_, R>) -> io::Result<Member<'a>> {
    let path = entry.path_bytes().into_owned();
    Ok(Member {
        kind: kind(entry, &path)?,
        size: entry.size(),
        mode: if entry.header().mode()? & 0o111 == 0 { 0o644 } else { 0o755 },
        target: entry.link_name_bytes().map(|target| target.into_owned()).unwrap_or_default(),
        path,
        content: entry,
    })
}

/// The kind, less two disguises: a folder of the oldest tars, and GNU's newer sparse files, whose content is a map.
fn kind<R: Read>(entry: &mut tar::Entry<'_, R>, path: &[u8]) -> io::Result<tar::EntryType> {
    let kind = entry.header().entry_type();
    if kind.is_file() && path.ends_with(b"/") {
        return Ok(tar::EntryType::Directory);
    }
    // An extended header that the tar crate did not take for one, as in the oldest tars: asked, it would read all of it.
    if kind.is_pax_local_extensions() {
        return Ok(kind);
    }
    for extension in entry.pax_extensions()?.into_iter().flatten() {
        if extension?.key_bytes().starts_with(b"GNU.sparse.") {
            return Ok(tar::EntryType::GNUSparse);
        }
    }
    Ok(kind)
}

/// What to call a member that is neither file nor folder.
pub(super) const fn name_of(kind: tar::EntryType) -> &'static str {
    match kind {
        tar::EntryType::Symlink => "symbolic link",
        tar::EntryType::Link => "hard link",
        tar::EntryType::Char | tar::EntryType::Block => "device",
        tar::EntryType::Fifo => "pipe",
        tar::EntryType::GNUSparse => "sparse file",
        _ => "special member",
    }
}

/// Ends with an error when more than the allowance is read.
pub struct Bounded<R> {
    pub source: R,
    pub allowance: Rc<Cell<u64>>,
    /// What is said of it then.
    pub excess: &'static str,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.source.read(buffer)?;
        let Some(left) = self.allowance.get().checked_sub(count as u64) else {
            return Err(io::Error::new(io::ErrorKind::InvalidData, self.excess));
        };
        self.allowance.set(left);
        Ok(count)
    }
}
