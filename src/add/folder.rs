//! A directory as one layer: a compressed tar that ORAS unpacks under its own name (oras-go content/file).

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, PipeWriter, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::thread;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::error::{At, Error, Result};
use super::files;
use crate::digest::{Algorithm, Digest, Hasher};
use crate::manifest::Descriptor;
use crate::media;
use crate::store::{Incoming, Lease, Store};

/// Adds the files below `directory` as one layer whose paths begin with `name`; the same files give the same bytes.
pub(super) fn add(store: &Store, lease: &Lease, directory: &Path, name: &str) -> Result<Descriptor> {
    let files = files::below(directory)?;
    if files.is_empty() {
        return Err(Error::Empty(directory.to_owned()));
    }
    let (reader, writer) = io::pipe().at(directory)?;
    let (packed, added) = thread::scope(|scope| {
        let packing = scope.spawn(|| pack(&files, name, writer));
        let added = store.add_blob(lease, Incoming::Stream(Box::new(reader)));
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
fn pack(files: &[(String, PathBuf)], name: &str, writer: PipeWriter) -> Result<Digest> {
    let hashed = Hashed { hasher: Hasher::new(Algorithm::Sha256), writer: GzEncoder::new(writer, Compression::fast()) };
    let mut tar = tar::Builder::new(hashed);
    // ORAS makes no directory that has no entry.
    for directory in directories(files, name) {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Directory);
        header.set_size(0);
        header.set_mode(0o755);
        tar.append_data(&mut header, directory, io::empty()).at(Path::new(name))?;
    }
    for (file, path) in files {
        let mut content = File::open(path).at(path)?;
        let metadata = content.metadata().at(path)?;
        let mut header = tar::Header::new_gnu();
        header.set_size(metadata.len());
        header.set_mode(if metadata.permissions().mode() & 0o100 == 0 { 0o644 } else { 0o755 });
        tar.append_data(&mut header, format!("{name}/{file}"), &mut content).at(path)?;
    }
    let written = tar.into_inner().and_then(|hashed| hashed.writer.finish().map(|_| hashed.hasher.finish()));
    written.at(Path::new(name))
}

/// The directories that the files are in, each before those in it.
fn directories(files: &[(String, PathBuf)], name: &str) -> BTreeSet<String> {
    let parents = files.iter().flat_map(|(file, _)| Path::new(file).ancestors().skip(1));
    parents.map(|parent| format!("{name}/{}", parent.display())).collect()
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
