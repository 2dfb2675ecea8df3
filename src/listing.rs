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
