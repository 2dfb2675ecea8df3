//! A directory as one layer: a compressed tar that ORAS unpacks under its own name (oras-go content/file).

use std::fs::File;
use std::io::{self, PipeWriter, Read, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::thread;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::error::{At, Error, Result};
use super::files::{self, Hidden, Tree};
use crate::digest::{Algorithm, Digest, Hasher};
use crate::manifest::Descriptor;
use crate::media;
use crate::store::{Incoming, Lease, Stop, Store};

/// Adds what is below `directory` as one layer whose paths begin with `name`; the same files give the same bytes.
pub(super) fn add(store: &Store, lease: &Lease, directory: &Path, name: &str, stop: Stop<'_>) -> Result<Descriptor> {
    let tree = files::below(directory, Hidden::Taken)?;
    if tree.files.is_empty() {
        return Err(Error::Empty(directory.to_owned()));
    }
    let (reader, writer) = io::pipe().at(directory)?;
    let (packed, added) = thread::scope(|scope| {
        let packing = scope.spawn(|| pack(&tree, name, writer));
        let added = store.add_blob(lease, Incoming::Stream(Box::new(reader)), stop);
        (packing.join().unwrap_or(Err(Error::Stopped)), added)
    });
    // A store that is full closes the pipe, which is no news.
    let mut layer = added?;
    let tar = packed?;
    layer.media_type = format!("{}+gzip", media::OCI_LAYER_TAR);
    layer.annotations.insert(media::ORAS_UNPACK.to_owned(), String::from("true"));
    layer.annotations.insert(media::ORAS_DIGEST.to_owned(), tar.to_string());
    Ok(layer)
}

/// Writes the tar and tells its digest.
fn pack(tree: &Tree, name: &str, writer: PipeWriter) -> Result<Digest> {
    let hashed = Hashed { hasher: Hasher::new(Algorithm::Sha256), writer: GzEncoder::new(writer, Compression::fast()) };
    let mut tar = tar::Builder::new(hashed);
    // ORAS makes no directory that has no entry.
    for directory in [""].into_iter().chain(tree.directories.iter().map(String::as_str)) {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Directory);
        header.set_size(0);
        header.set_mode(0o755);
        tar.append_data(&mut header, format!("{name}/{directory}"), io::empty()).at(Path::new(name))?;
    }
    for (file, path) in &tree.files {
        append(&mut tar, &format!("{name}/{file}"), path)?;
    }
    let written = tar.into_inner().and_then(|hashed| hashed.writer.finish().map(|_| hashed.hasher.finish()));
    written.at(Path::new(name))
}

/// A file that grows or shrinks meanwhile would spoil what comes behind it.
fn append(tar: &mut tar::Builder<impl Write>, name: &str, path: &Path) -> Result<()> {
    let mut content = File::open(path).at(path)?;
    let metadata = content.metadata().at(path)?;
    let mut header = tar::Header::new_gnu();
    header.set_size(metadata.len());
    header.set_mode(if metadata.permissions().mode() & 0o100 == 0 { 0o644 } else { 0o755 });
    let mut counted = Counted { source: (&mut content).take(metadata.len()), bytes: 0 };
    tar.append_data(&mut header, name, &mut counted).at(path)?;
    let is_same = counted.bytes == metadata.len() && content.read(&mut [0]).at(path)? == 0;
    if is_same { Ok(()) } else { Err(Error::FileChanged(path.to_owned())) }
}

/// Counts what is read.
struct Counted<R> {
    source: R,
    bytes: u64,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.source.read(buffer)?;
        self.bytes += length as u64;
        Ok(length)
    }
}

/// Hashes what it passes on.
struct Hashed<W> {
    hasher: Hasher,
    writer: W,
}

impl<W: Write> Write for Hashed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let length = self.writer.write(bytes)?;
        self.hasher.update(&bytes[..length]);
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}
