//! What can be told of an artifact's files before they are laid out: all but what lies in archives.

use std::collections::HashMap;

use bytes::Bytes;

use crate::digest::Digest;
use crate::listing::{File, Listing};
use crate::manifest::Descriptor;

use super::entry::{self, Known};
use super::path::base_name;
use super::{Content, Packaging, Piece, Plan, Selection};

/// How many files are looked into; more without a name that tells are no model but a store of somebody's.
const MAX_UNTOLD: usize = 32;
/// Endings that say what a file is.
const ENDINGS: [&str; 29] = [
    "bin",
    "csv",
    "dduf",
    "gguf",
    "gz",
    "h5",
    "html",
    "jinja",
    "jpg",
    "json",
    "jsonl",
    "md",
    "model",
    "msgpack",
    "onnx",
    "parquet",
    "pdf",
    "png",
    "pt",
    "pth",
    "py",
    "safetensors",
    "tar",
    "tgz",
    "toml",
    "txt",
    "yaml",
    "yml",
    "zst",
];
/// Names that do.
const NAMES: [&str; 7] = ["license", "licence", "copying", "notice", "readme", "modelfile", "kitfile"];

impl Plan {
    /// The files whose first bytes must be seen to know whether they are a model: neither their names nor the
    /// packaging say what they are.
    pub fn untold(&self) -> Vec<&Descriptor> {
        // Each of Ollama's types says what the file is for.
        if self.packaging == Packaging::Ollama {
            return Vec::new();
        }
        let untold = self.pieces.iter().filter_map(|piece| match &piece.content {
            Content::File { path } if piece.role.is_none() && !is_telling(path) => Some(&piece.blob),
            _ => None,
        });
        untold.take(MAX_UNTOLD).collect()
    }

    /// The layers that must be opened to know their files, with what is known of their paths.
    pub fn archives(&self) -> impl Iterator<Item = (Option<&str>, &Descriptor)> {
        self.pieces.iter().filter_map(|piece| match &piece.content {
            Content::File { .. } => None,
            Content::Archive { path, .. } => Some((path.as_deref(), &piece.blob)),
            Content::ImageLayer => Some((None, &piece.blob)),
        })
    }

    /// The listing as far as it can be told; `heads` are the first bytes of blobs that were looked at, for the others
    /// the names count.
    pub fn preview(&self, digest: &Digest, heads: &HashMap<Digest, Bytes>) -> Listing {
        let known: Vec<Known> = self.pieces.iter().filter_map(|piece| known(piece, heads)).collect();
        let choice = entry::choose(&known, self.packaging, self.entry.as_deref());
        let files = known.into_iter().map(|file| File { path: file.path, size: file.size, blob: file.blob });
        Listing {
            digest: digest.clone(),
            selection: self.selection.as_ref().map(Selection::to_text),
            packaging: self.packaging.to_string(),
            files: files.collect(),
            entry: choice.entry,
            mmproj: choice.mmproj,
            chat_template: choice.chat_template,
        }
    }
}

fn known(piece: &Piece, heads: &HashMap<Digest, Bytes>) -> Option<Known> {
    let Content::File { path } = &piece.content else { return None };
    let by_name: &[u8] = match path {
        _ if path.ends_with(".gguf") => crate::gguf::MAGIC,
        _ if path.ends_with(".json") => b"{",
        _ => b"",
    };
    let head = heads.get(&piece.blob.digest).map_or(by_name, |head| head);
    let (size, blob) = (piece.blob.size, piece.blob.digest.clone());
    Some(Known { path: path.clone(), size, blob, head: head.to_vec(), role: piece.role, target: None })
}

fn is_telling(path: &str) -> bool {
    let name = base_name(path).to_lowercase();
    let by_ending = name.rsplit_once('.').is_some_and(|(_, ending)| ENDINGS.contains(&ending));
    by_ending || NAMES.iter().any(|telling| name.starts_with(telling))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Artifact, GGUF};
    use super::*;

    fn plan(titles: &[&str]) -> Plan {
        let contents: Vec<String> = titles.iter().map(|title| format!("content of {title}")).collect();
        let layers: Vec<(&str, &str, &[u8])> = titles
            .iter()
            .zip(&contents)
            .map(|(title, content)| ("application/octet-stream", *title, content.as_bytes()))
            .collect();
        Artifact::titled(&layers).plan().unwrap()
    }

    #[test]
    fn names_that_tell_need_no_look() {
        let plan = plan(&["a.gguf", "b.JSON", "LICENSE-MIT", "README", "tinyllama", "llama-3.2-1b", "sub/blob.bin"]);
        let untold: Vec<&str> = plan.untold().iter().map(|blob| plan.name_of(&blob.digest)).collect();
        assert_eq!(untold, ["tinyllama", "llama-3.2-1b"]);
    }

    #[test]
    fn the_entry_is_told_by_name_or_by_what_was_seen() {
        let digest = Digest::sha256(b"m");
        let named = plan(&["mmproj.gguf", "m.gguf", "chat_template.jinja", "note"]);
        let listing = named.preview(&digest, &HashMap::new());
        assert_eq!(listing.entry.as_deref(), Some("m.gguf"));
        assert_eq!(listing.mmproj.as_deref(), Some("mmproj.gguf"));
        assert_eq!(listing.chat_template.as_deref(), Some("chat_template.jinja"));
        assert_eq!(listing.files.len(), 4);
        let bare = plan(&["tinyllama", "other"]);
        assert_eq!(bare.preview(&digest, &HashMap::new()).entry, None);
        let seen = HashMap::from([(bare.untold()[0].digest.clone(), Bytes::from_static(&GGUF[..8]))]);
        assert_eq!(bare.preview(&digest, &seen).entry.as_deref(), Some("tinyllama"));
        let folder = plan(&["config.json", "model-00001-of-00002.safetensors"]);
        assert_eq!(folder.preview(&digest, &HashMap::new()).entry.as_deref(), Some("."));
    }

    #[test]
    fn archives_are_listed_apart() {
        let tar = super::super::tests::tar(&[super::super::tests::In::File("x.gguf", GGUF)]);
        let artifact = Artifact::titled(&[
            ("application/vnd.oci.image.layer.v1.tar+gzip", "docs.tar.gz", &tar),
            ("application/octet-stream", "m.gguf", GGUF),
        ]);
        let plan = artifact.plan().unwrap();
        let archives: Vec<_> = plan.archives().map(|(path, blob)| (path, blob.size)).collect();
        assert_eq!(archives, [(Some("docs.tar.gz"), tar.len() as u64)]);
        assert_eq!(plan.preview(&Digest::sha256(b"m"), &HashMap::new()).files.len(), 1);
    }
}
