//! Artifacts in one file: an OCI image layout in a tar, as skopeo's `oci-archive` and `docker save` have it.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::io::{self, Read, Write};
use std::path::Path;
use std::rc::Rc;

use flate2::read::MultiGzDecoder;
use serde_json::json;

use crate::digest::Digest;
use crate::manifest::{self, Descriptor, Manifest};
use crate::media;
use crate::packaging::{Bounded, MAX_HEADER_BYTES};
use crate::pull;
use crate::reference::Reference;
use crate::store::{self, Claim, Entry, Lease, Store};

/// How much is copied at once.
const PIECE: usize = 512 * 1024;
/// What archives in other compressions begin with, and who undoes that.
const OTHER_COMPRESSIONS: [(&[u8], &str); 3] =
    [(&[0x28, 0xb5, 0x2f, 0xfd], "zstd"), (&[0xfd, b'7', b'z', b'X', b'Z'], "xz"), (b"BZh", "bzip2")];
/// containerd's full name of an index entry, whose own name is the tag alone.
const CONTAINERD_NAME: &str = "io.containerd.image.name";

/// The result of reading or writing an archive.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why an archive was not read or written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Not all of it is in the store.
    #[error("{0}: blobs are missing in the store")]
    Incomplete(String),
    /// Not all of it is in the archive.
    #[error("{0}: blobs are missing in the archive")]
    Torn(String),
    /// No bytes at all.
    #[error("the archive is empty")]
    Empty,
    /// A compression that is none of ours.
    #[error("the archive is compressed by {0}, and only plain and gzip ones are read")]
    Compressed(&'static str),
    /// No layout.
    #[error("the archive holds no index.json, so it is no OCI archive")]
    NoIndex,
    /// A name for one artifact, and several of them.
    #[error("the archive holds {0} artifacts, so they cannot have one name")]
    Several(usize),
    /// The archive's bytes.
    #[error("the archive cannot be read")]
    Read(#[source] io::Error),
    /// Where the archive goes.
    #[error("the archive cannot be written")]
    Write(#[source] io::Error),
    /// A manifest, or the index.
    #[error(transparent)]
    Manifest(#[from] manifest::Error),
    /// What is loaded.
    #[error(transparent)]
    Pull(#[from] pull::Error),
    /// The store.
    #[error(transparent)]
    Store(#[from] store::Error),
}

/// Writes `entries` with all of their blobs, each blob once.
pub fn write(store: &Store, entries: &[Entry], output: impl Write) -> Result<()> {
    let digests: Vec<Digest> = entries.iter().map(|entry| entry.descriptor.digest.clone()).collect();
    let _lease = store.lease(&digests)?;
    let blobs = blobs(store, entries)?;
    let mut tar = tar::Builder::new(output);
    append(&mut tar, "oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#)?;
    let manifests: Vec<&Descriptor> = entries.iter().map(|entry| &entry.descriptor).collect();
    let index = json!({"schemaVersion": 2, "mediaType": media::OCI_INDEX, "manifests": manifests});
    append(&mut tar, "index.json", index.to_string().as_bytes())?;
    for blob in blobs {
        let file = store.open_blob(&blob)?;
        let path = format!("blobs/{}/{}", blob.digest.algorithm(), blob.digest.hex());
        tar.append_data(&mut header(blob.size), path, file).map_err(Error::Write)?;
    }
    tar.into_inner().and_then(|mut output| output.flush()).map_err(Error::Write)
}

/// What the entries need; an error if some of it is not there.
fn blobs(store: &Store, entries: &[Entry]) -> Result<Vec<Descriptor>> {
    let (mut blobs, mut seen) = (Vec::new(), BTreeSet::new());
    for entry in entries {
        let name = || entry.name.clone().unwrap_or_else(|| entry.descriptor.digest.to_string());
        let (_, manifest) = store.manifest(&entry.descriptor.digest)?;
        for blob in [&entry.descriptor].into_iter().chain(manifest.blobs()) {
            if entry.selection().is_some() || !store.has_blob(blob)? {
                return Err(Error::Incomplete(name()));
            }
            if seen.insert(blob.digest.clone()) {
                blobs.push(blob.clone());
            }
        }
    }
    Ok(blobs)
}

fn header(size: u64) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_size(size);
    header.set_mode(0o644);
    header
}

fn append(tar: &mut tar::Builder<impl Write>, path: &str, bytes: &[u8]) -> Result<()> {
    tar.append_data(&mut header(bytes.len() as u64), path, bytes).map_err(Error::Write)
}

/// Reads an archive into the store, compressed by gzip or not, and names what is in it; tells the names, or the digest of
/// what has none. `name` is for the only artifact of an archive.
///
/// Blobs are verified as those of a registry are, and an artifact is named when all of it is there.
pub fn read(store: &Store, input: impl Read, name: Option<&Reference>) -> Result<Vec<String>> {
    let lease = store.lease(&[])?;
    let index = read_blobs(store, &lease, input)?;
    let manifests = index.manifests.unwrap_or_default();
    if name.is_some() && manifests.len() != 1 {
        return Err(Error::Several(manifests.len()));
    }
    let mut loaded = Vec::new();
    for descriptor in manifests {
        let name = name.cloned().or_else(|| full_name(&descriptor));
        let entry = Entry {
            name: None,
            descriptor: Descriptor::new(&descriptor.media_type, descriptor.digest, descriptor.size),
        };
        let shown = name.as_ref().map_or_else(|| entry.descriptor.digest.to_string(), ToString::to_string);
        if !store.has_blob(&entry.descriptor)? || pull::load(store, &entry)?.is_none() {
            return Err(Error::Torn(shown));
        }
        loaded.push((name, entry, shown));
    }
    let guard = store.exclusive()?;
    for (name, entry, _) in &loaded {
        match name {
            Some(name) => store.tag(&guard, name, entry.descriptor.clone())?,
            None => store.keep_nameless(&guard, entry)?,
        }
    }
    Ok(loaded.into_iter().map(|(_, _, shown)| shown).collect())
}

/// The whole name of an index entry: a tag alone says nothing of where it comes from.
fn full_name(descriptor: &Descriptor) -> Option<Reference> {
    let names = [CONTAINERD_NAME, media::REF_NAME].into_iter().filter_map(|key| descriptor.annotation(key));
    names.filter(|name| name.contains('/')).find_map(|name| name.parse().ok())
}

fn read_blobs(store: &Store, lease: &Lease, input: impl Read) -> Result<Manifest> {
    let mut input = io::BufReader::with_capacity(PIECE, input);
    let start = io::BufRead::fill_buf(&mut input).map_err(Error::Read)?;
    if start.is_empty() {
        return Err(Error::Empty);
    }
    if let Some((_, name)) = OTHER_COMPRESSIONS.iter().find(|(magic, _)| start.starts_with(magic)) {
        return Err(Error::Compressed(name));
    }
    let is_gzip = start.starts_with(&[0x1f, 0x8b]);
    let source: Box<dyn Read> = if is_gzip { Box::new(MultiGzDecoder::new(input)) } else { Box::new(input) };
    // The tar crate keeps long names in memory whatever their size.
    let allowance = Rc::new(Cell::new(MAX_HEADER_BYTES));
    let excess = "the headers of a tar member are too long";
    let mut archive = tar::Archive::new(Bounded { source, allowance: Rc::clone(&allowance), excess });
    let mut index = None;
    for entry in archive.entries().map_err(Error::Read)? {
        let mut entry = entry.map_err(Error::Read)?;
        allowance.set(u64::MAX);
        let path = entry.path().map_err(Error::Read)?.into_owned();
        if path.strip_prefix("./").unwrap_or(&path) == Path::new("index.json") {
            let mut bytes = Vec::new();
            entry.by_ref().take(manifest::MAX_BYTES + 1).read_to_end(&mut bytes).map_err(Error::Read)?;
            index = Some(Manifest::parse(&bytes, &Digest::sha256(&bytes))?);
        } else if let Some(digest) = digest_of(&path).filter(|_| entry.header().entry_type().is_file()) {
            let blob = Descriptor::new("", digest, entry.size());
            read_blob(store, lease, &blob, &mut entry)?;
        }
        // The holes of a sparse file can be as long as a number can say.
        if entry.header().entry_type().is_gnu_sparse() {
            return Err(Error::Read(io::Error::new(io::ErrorKind::InvalidData, "it has a sparse file")));
        }
        io::copy(&mut entry, &mut io::sink()).map_err(Error::Read)?;
        allowance.set(MAX_HEADER_BYTES);
    }
    index.ok_or(Error::NoIndex)
}

/// `blobs/<algorithm>/<hex>`.
fn digest_of(path: &Path) -> Option<Digest> {
    let path = path.strip_prefix("./").unwrap_or(path).to_str()?;
    let (algorithm, hex) = path.strip_prefix("blobs/")?.split_once('/')?;
    format!("{algorithm}:{hex}").parse().ok()
}

fn read_blob(store: &Store, lease: &Lease, blob: &Descriptor, input: &mut impl Read) -> Result<()> {
    let Claim::Fetch(mut ingest) = store.ingest(lease, blob)? else { return Ok(()) };
    if ingest.present() > 0 {
        ingest.discard()?;
    }
    let mut buffer = vec![0; PIECE];
    let mut offset = 0;
    loop {
        match input.read(&mut buffer).map_err(Error::Read)? {
            0 => break,
            length => {
                ingest.write_at(offset, &[&buffer[..length]])?;
                offset += length as u64;
            }
        }
    }
    Ok(ingest.commit()?)
}
