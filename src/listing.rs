//! What lies in a laid-out artifact: its files, and the one a server is started with.
//!
//! The same JSON stands beside a snapshot in the store and, as [`MARKER`], last in a filled volume: who can read it
//! knows that everything before it was written and verified.

use serde::{Deserialize, Serialize};

use crate::digest::Digest;

/// The name of the listing in the root of a filled volume.
pub const MARKER: &str = ".artishim.json";

/// The files of one artifact, in the order of its layers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listing {
    /// The digest of the manifest.
    pub digest: Digest,
    /// The part of the artifact that lies here, in the words of `packaging::Selection::to_text`; all where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selection: Option<String>,
    /// The packaging's name, for people.
    pub packaging: String,
    /// Every file and link.
    pub files: Vec<File>,
    /// The file, or the folder for safetensors, an inference server is started with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entry: Option<String>,
    /// The multimodal projector beside the entry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mmproj: Option<String>,
    /// The Jinja chat template beside the entry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chat_template: Option<String>,
}

/// A manifest, and how much of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extent {
    /// The digest of the manifest.
    pub manifest: Digest,
    /// The part, as in [`Listing::selection`].
    pub selection: Option<String>,
}

impl Extent {
    /// What a layout of this extent is called by: the manifest's digest, or for a part a digest of that and the part.
    pub fn key(&self) -> Digest {
        match &self.selection {
            None => self.manifest.clone(),
            Some(selection) => Digest::sha256(format!("{}\n{selection}", self.manifest).as_bytes()),
        }
    }
}

impl Listing {
    /// What it is a listing of.
    pub fn extent(&self) -> Extent {
        Extent { manifest: self.digest.clone(), selection: self.selection.clone() }
    }
}

/// One file or link of an artifact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct File {
    /// The path below the root: relative, `/` between components, no `.` or `..`.
    pub path: String,
    /// The size in bytes; of the target for a link.
    pub size: u64,
    /// The blob it comes from.
    pub blob: Digest,
}
