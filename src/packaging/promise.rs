//! What a producer says of the files in an archive, held against what comes out of it.
//!
//! Cog lists every file with size and digest, OLOT gives the digest of the one file of a layer, ORAS that of the tar of a
//! folder, and ModelPack and Cog say how many bytes the files of a layer have.

use std::collections::HashMap;
use std::io::{self, Read};

use crate::digest::{Digest, Mismatch, Verifier};
use crate::manifest::Descriptor;
use crate::media;

use super::archive::Format;
use super::error::{Difference, Error};
use super::{Piece, path};

/// What the producer says of the files in a blob, apart from the blob's own digest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Promise {
    /// The most bytes all files together have, where the archive is compressed.
    pub size: Option<u64>,
    /// The digest of the tar without its compression.
    pub tar: Option<Digest>,
    /// The files: all of an archive's, but not all of an image's layer. `None` where nothing is said.
    pub files: Option<Vec<PromisedFile>>,
}

/// One file as it is promised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PromisedFile {
    /// Its name in the archive; sanitised.
    pub path: String,
    /// The number of bytes.
    pub size: Option<u64>,
    /// The digest of its content.
    pub digest: Digest,
}

impl Promise {
    /// The bytes of all files as far as they are promised.
    pub(super) fn bytes(&self) -> u64 {
        let files = self.files.iter().flatten().filter_map(|file| file.size).fold(0, u64::saturating_add);
        files.max(self.size.unwrap_or(0))
    }
}

/// What OLOT says of the one file in `layer` (olot/constants.py); nothing of a folder.
pub(super) fn olot(layer: &Descriptor) -> Promise {
    let path = layer.annotation(media::OLOT_PATH).and_then(|path| path::sanitise(path.trim_start_matches('/')).ok());
    let digest = layer.annotation(media::OLOT_DIGEST).and_then(|digest| digest.parse().ok());
    let is_file = layer.annotation(media::OLOT_TYPE) == Some("file");
    let file = path.zip(digest).filter(|_| is_file).map(|(path, digest)| PromisedFile { path, size: None, digest });
    Promise { files: file.map(|file| vec![file]), ..Promise::default() }
}

/// A promise while its blob is read.
pub(super) struct Account<'a> {
    pub(super) blob: &'a Descriptor,
    size: Option<u64>,
    seen: u64,
    /// By their names, and whether they came.
    files: HashMap<&'a str, (&'a PromisedFile, bool)>,
    is_complete: bool,
}

impl<'a> Account<'a> {
    /// The account of an archive, of whose files none may be missing and none more may come.
    pub(super) fn of_archive(piece: &'a Piece, format: Format) -> Self {
        let is_compressed = matches!(format, Format::Gzip | Format::Zstd);
        let size = piece.promise.size.filter(|_| is_compressed);
        Self { size, is_complete: piece.promise.files.is_some(), ..Self::of_layer(piece) }
    }

    /// The account of an image's layer, from which only the model's files are taken.
    pub(super) fn of_layer(piece: &'a Piece) -> Self {
        let files = piece.promise.files.iter().flatten();
        let files = files.map(|file| (file.path.as_str(), (file, false))).collect();
        Self { blob: &piece.blob, size: None, seen: 0, files, is_complete: false }
    }

    /// Takes a file of `size` bytes, whose content is then read through the result.
    pub(super) fn take<'b>(&mut self, path: &str, size: u64, content: &'b mut dyn Read) -> Result<Checked<'b>, Error> {
        self.seen = self.seen.saturating_add(size);
        if let Some(limit) = self.size.filter(|limit| self.seen > *limit) {
            return Err(Error::Larger { blob: self.blob.digest.clone(), limit });
        }
        let Some((file, came)) = self.files.get_mut(path) else {
            return match self.is_complete {
                true => Err(self.unlike(path, Difference::Unlisted)),
                false => Ok(Checked { content, verifier: None, left: size }),
            };
        };
        *came = true;
        let verifier = Some(Verifier::new(&file.digest, size));
        match file.size.filter(|listed| *listed != size) {
            Some(listed) => Err(self.unlike(path, Difference::Size { listed, size })),
            None => Ok(Checked { content, verifier, left: size }),
        }
    }

    /// Ends the account of one file; one that nobody wanted to read to its end is not looked into: it was left out, or is
    /// a blob by itself, whose own digest holds.
    pub(super) fn settle(&self, path: &str, content: Checked<'_>) -> Result<(), Error> {
        let Some(verifier) = content.verifier.filter(|_| content.left == 0) else { return Ok(()) };
        match verifier.finish() {
            Err(Mismatch::Digest { expected, actual }) => {
                Err(self.unlike(path, Difference::Content { listed: expected, actual }))
            }
            Err(Mismatch::Size { size, seen, .. }) => {
                Err(self.unlike(path, Difference::Size { listed: size, size: seen }))
            }
            Ok(()) => Ok(()),
        }
    }

    /// An error if a promised file did not come: the first by name.
    pub(super) fn close(self) -> Result<(), Error> {
        let missing = self.files.iter().filter(|(_, (_, came))| !came).map(|(path, _)| *path).min();
        match missing.filter(|_| self.is_complete) {
            Some(path) => Err(self.unlike(path, Difference::Missing)),
            None => Ok(()),
        }
    }

    fn unlike(&self, path: &str, difference: Difference) -> Error {
        Error::Unlike { blob: self.blob.digest.clone(), path: path.to_owned(), difference: Box::new(difference) }
    }
}

/// The content of a file, hashed on its way where there is a digest to compare it with.
pub(super) struct Checked<'a> {
    content: &'a mut dyn Read,
    verifier: Option<Verifier>,
    /// Bytes that were not read.
    left: u64,
}

impl Read for Checked<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.content.read(buffer)?;
        self.left = self.left.saturating_sub(count as u64);
        if let Some(verifier) = &mut self.verifier {
            verifier.update(&buffer[..count]).map_err(io::Error::other)?;
        }
        Ok(count)
    }
}
