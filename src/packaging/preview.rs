//! What can be told of an artifact's files before they are laid out: all but what lies in archives.

use crate::digest::Digest;
use crate::listing::{File, Listing};
use crate::manifest::Descriptor;

use super::entry::{self, Known};
use super::telling::Heads;
use super::{Content, Packaging, Plan, Selection};

/// How many files are looked into; more without a name that tells are no model but a store of somebody's.
const MAX_UNTOLD: usize = 32;
impl Plan {
    /// The files whose first bytes must be seen to know whether they are a model: neither their names nor the
    /// packaging say what they are.
    pub fn untold(&self) -> Vec<&Descriptor> {
        // Each of Ollama's types says what the file is for.
        if self.packaging == Packaging::Ollama {
            return Vec::new();
        }
        let untold = self.pieces.iter().filter(|piece| piece.is_untold()).map(|piece| &piece.blob);
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
    pub fn preview(&self, digest: &Digest, heads: &Heads) -> Listing {
        let files = self.pieces.iter().filter_map(|piece| match &piece.content {
            Content::File { path } => Some(piece.presume(path, heads)),
            Content::Archive { .. } | Content::ImageLayer => None,
        });
        let known: Vec<Known> = files.collect();
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

#[cfg(test)]
mod tests {
    use bytes::Bytes;

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
        let listing = named.preview(&digest, &Heads::new());
        assert_eq!(listing.entry.as_deref(), Some("m.gguf"));
        assert_eq!(listing.mmproj.as_deref(), Some("mmproj.gguf"));
        assert_eq!(listing.chat_template.as_deref(), Some("chat_template.jinja"));
        assert_eq!(listing.files.len(), 4);
        let bare = plan(&["tinyllama", "other"]);
        assert_eq!(bare.preview(&digest, &Heads::new()).entry, None);
        let seen = Heads::from([(bare.untold()[0].digest.clone(), Bytes::from_static(&GGUF[..8]))]);
        assert_eq!(bare.preview(&digest, &seen).entry.as_deref(), Some("tinyllama"));
        let folder = plan(&["config.json", "model-00001-of-00002.safetensors"]);
        assert_eq!(folder.preview(&digest, &Heads::new()).entry.as_deref(), Some("."));
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
        assert_eq!(plan.preview(&Digest::sha256(b"m"), &Heads::new()).files.len(), 1);
    }
}
