//! What a name tells of a file that was not laid out yet.

use std::collections::HashMap;

use bytes::Bytes;

use crate::digest::Digest;
use crate::gguf;

use super::entry::Known;
use super::path::base_name;
use super::{Content, Naming, Piece};

/// Endings that say what a file is.
const ENDINGS: [&str; 43] = [
    "bin",
    "ckpt",
    "csv",
    "dduf",
    "gguf",
    "gif",
    "gz",
    "h5",
    "html",
    "jinja",
    "jpeg",
    "jpg",
    "json",
    "jsonl",
    "md",
    "mlmodel",
    "model",
    "mp4",
    "msgpack",
    "npz",
    "onnx",
    "onnx_data",
    "ot",
    "parquet",
    "pdf",
    "png",
    "pt",
    "pth",
    "py",
    "safetensors",
    "svg",
    "tar",
    "tflite",
    "tgz",
    "tiktoken",
    "toml",
    "txt",
    "webp",
    "yaml",
    "yml",
    "zip",
    "zst",
    "zstd",
];
/// Names that do.
const NAMES: [&str; 7] = ["license", "licence", "copying", "notice", "readme", "modelfile", "kitfile"];

/// The first bytes of blobs that were looked at.
pub type Heads = HashMap<Digest, Bytes>;

impl Piece {
    /// The path of the piece's file; none where it must be unpacked to know.
    ///
    /// An archive that a producer annotated with the name of a file holds that file: modctl packs each into a tar.
    pub(super) fn presumed_path(&self) -> Option<&str> {
        match &self.content {
            Content::File { path } => Some(path),
            Content::Archive { path: Some(path), naming: Naming::Annotated } if is_telling(path) => Some(path),
            Content::Archive { .. } | Content::ImageLayer => None,
        }
    }

    /// Whether the piece is a file of which neither name nor type tells what it is.
    pub(super) fn is_untold(&self) -> bool {
        matches!(&self.content, Content::File { path } if self.role.is_none() && !is_telling(path))
    }

    /// The piece as a file at `path`, with its first bytes or else those that the name promises.
    pub(super) fn presume(&self, path: &str, heads: &Heads) -> Known {
        let promised: &[u8] = match path {
            _ if path.ends_with(".gguf") => gguf::MAGIC,
            _ if path.ends_with(".json") => b"{",
            _ => b"",
        };
        let (size, blob) = (self.blob.size, self.blob.digest.clone());
        let head = heads.get(&blob).map_or(promised, |head| head).to_vec();
        Known { path: path.to_owned(), size, blob, head, role: self.role, target: None }
    }
}

fn is_telling(path: &str) -> bool {
    let name = base_name(path).to_lowercase();
    let by_ending = name.rsplit_once('.').is_some_and(|(_, ending)| ENDINGS.contains(&ending));
    by_ending || NAMES.iter().any(|telling| name.starts_with(telling))
}
