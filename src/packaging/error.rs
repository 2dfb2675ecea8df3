//! What can be wrong with an artifact's content or its layout.

use std::fmt;
use std::io;

use crate::digest::Digest;
use crate::manifest::Descriptor;
use crate::media;

use super::Packaging;

/// As many names as a person reads in one line.
const MAX_NAMES: usize = 10;

/// As much of one text of a producer as such a line has room for, in characters.
const MAX_WORD: usize = 200;

/// An artifact that cannot be laid out, with the part that is at fault.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The artifact is of a known kind that holds no model.
    #[error("the artifact is {what}, not a model")]
    NotAModel {
        /// What it is, with its article.
        what: &'static str,
    },
    /// The document is an index; a child has to be chosen first.
    #[error("the manifest is an index, not one artifact")]
    Index,
    /// An index without a child that could be a model.
    #[error("the index has no child that could be a model")]
    NoChild,
    /// An index with more than one child that could be meant.
    #[error("the index has {} children, name one by its digest or platform: {}", .children.len(), join(.children))]
    SeveralChildren {
        /// Those that could be meant.
        children: Vec<Child>,
    },
    /// A manifest that lists no file.
    #[error("the artifact holds no files")]
    NoFiles,
    /// An image with neither of the two folders.
    #[error("the image has no files in /models or /model")]
    NoModels,
    /// An Ollama model that runs on somebody's server.
    #[error("the model runs on {host:?} and has nothing to pull")]
    Cloud {
        /// Where it runs.
        host: String,
    },
    /// An Ollama model of one tensor per layer.
    #[error("the model is stored as single tensors, which only Ollama can read")]
    Tensors,
    /// A config that should list the files and cannot be read.
    #[error("config {blob} cannot be read as {packaging}'s")]
    Config {
        /// The config.
        blob: Digest,
        /// Whose it should be.
        packaging: Packaging,
        /// What the parser met.
        #[source]
        source: serde_json::Error,
    },
    /// A ModelKit without a model of its own.
    #[error("the ModelKit takes its model from another one, {reference:?}, which is not supported")]
    Parent {
        /// The other one as the Kitfile names it.
        reference: String,
    },
    /// A listed file whose layer is nowhere.
    #[error("{path:?} is listed in layer {layer:?}, which the manifest does not have")]
    NoLayer {
        /// The file.
        path: String,
        /// The layer as it is listed.
        layer: String,
    },
    /// A file that is not as the producer's own list has it.
    #[error("{path:?} in layer {blob} {difference}")]
    Unlike {
        /// The layer.
        blob: Digest,
        /// The file.
        path: String,
        /// What is other than listed.
        difference: Box<Difference>,
    },
    /// An archive whose tar is not the one the producer says it is.
    #[error("layer {blob} unpacks to {actual}, the artifact lists {listed}")]
    OtherTar {
        /// The layer.
        blob: Digest,
        /// The digest as listed.
        listed: Digest,
        /// The digest of what is there.
        actual: Digest,
    },
    /// An archive that holds more than the producer says.
    #[error("layer {blob} holds more than the {limit} bytes it is said to unpack to")]
    Larger {
        /// The layer.
        blob: Digest,
        /// The bytes it should have unpacked.
        limit: u64,
    },
    /// One file compressed as a whole: its size is not known before it is unpacked.
    #[error("{path:?} in layer {blob} is a single compressed file, which is not supported")]
    CompressedFile {
        /// The layer.
        blob: Digest,
        /// The file.
        path: String,
    },
    /// A path that could leave the folder or harm a terminal or another system.
    #[error("path {path:?} is refused: it {reason}")]
    Path {
        /// The path as the producer wrote it.
        path: String,
        /// The rule it breaks, as a predicate.
        reason: &'static str,
    },
    /// Two files that cannot both exist everywhere.
    #[error("paths {path:?} and {other:?} collide")]
    Collision {
        /// The later one.
        path: String,
        /// The earlier one.
        other: String,
    },
    /// Something else than a file or folder in an archive.
    #[error("{path:?} in layer {blob} is a {kind}, only files and folders are taken")]
    Special {
        /// The layer.
        blob: Digest,
        /// Where it stands.
        path: String,
        /// What it is.
        kind: &'static str,
    },
    /// A hard link in an image to content that is not laid out.
    #[error("{path:?} in layer {blob} is a hard link to {target:?}, which is not among the model's files")]
    HardLink {
        /// The layer.
        blob: Digest,
        /// The link.
        path: String,
        /// Where it leads.
        target: String,
    },
    /// More bytes than the caller allows.
    #[error("the files{} take {needed} bytes or more when unpacked, and there is room for {limit}", up_to(.path.as_deref()))]
    TooLarge {
        /// The file that is too much; none where all are by what is said of them.
        path: Option<String>,
        /// What is needed as far as it is known.
        needed: u64,
        /// What is allowed.
        limit: u64,
    },
    /// More files, folders and links than any model has.
    #[error("the artifact holds more than {limit} files, folders and links")]
    TooManyFiles {
        /// What is allowed.
        limit: usize,
    },
    /// Names that fill the memory.
    #[error("the paths in the artifact have more than {limit} bytes together")]
    TooManyNames {
        /// What is allowed.
        limit: usize,
    },
    /// Links through so many others that following them all takes too long.
    #[error("the links in the image lead through too many others")]
    TooManyLinks,
    /// A blob that cannot be read, or not as the archive it should be.
    #[error("blob {blob} cannot be read")]
    Blob {
        /// The blob.
        blob: Digest,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A path the sink does not take.
    #[error("{path:?} cannot be written")]
    Sink {
        /// The path.
        path: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A split GGUF with a part missing.
    #[error("{path:?} is missing, the model is split into parts")]
    MissingShard {
        /// The part that is not there.
        path: String,
    },
    /// No file stands out as the one to start a server with.
    #[error("the artifact does not say which file is the model, name one of: {}", quoted(.candidates))]
    NoEntry {
        /// The files that could be meant.
        candidates: Vec<String>,
    },
    /// The file that was named as the entry.
    #[error("the artifact has no file {entry:?} to start a server with, name one of: {}", quoted(.candidates))]
    NoSuchEntry {
        /// What was named.
        entry: String,
        /// The files that could be meant.
        candidates: Vec<String>,
    },
    /// What a server needs cannot be told by names.
    #[error("the files are packed in archives, so what a server needs of them is not known before all are pulled")]
    Packed,
    /// A pattern of a selection.
    #[error("pattern {pattern:?} is refused: {reason}")]
    Pattern {
        /// The pattern.
        pattern: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A selection that leaves nothing.
    #[error("none of the artifact's files is selected, there are: {}", quoted(.files))]
    NothingSelected {
        /// The files that were left out.
        files: Vec<String>,
    },
    /// A selection that was remembered by somebody else, or damaged.
    #[error("the remembered selection of files cannot be read")]
    Selection {
        /// What the parser met.
        #[source]
        source: serde_json::Error,
    },
}

/// How a file differs from what the producer lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Difference {
    /// The list does not have it.
    Unlisted,
    /// The list has it and its layer does not.
    Missing,
    /// It has another size.
    Size {
        /// The bytes as listed.
        listed: u64,
        /// The bytes there are.
        size: u64,
    },
    /// It has other bytes.
    Content {
        /// The digest as listed.
        listed: Digest,
        /// The digest of what is there.
        actual: Digest,
    },
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unlisted => f.write_str("is not among the files the artifact lists"),
            Self::Missing => f.write_str("is missing, though the artifact lists it"),
            Self::Size { listed, size } => write!(f, "is {size} bytes, the artifact lists {listed}"),
            Self::Content { listed, actual } => {
                write!(f, "has the wrong content: its digest is {actual}, the artifact lists {listed}")
            }
        }
    }
}

/// A child of an index, for choosing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Child {
    /// The digest to ask for.
    pub digest: Digest,
    /// `os/architecture[/variant]`.
    pub platform: Option<String>,
    /// The artifact type of the entry.
    pub artifact_type: Option<String>,
    /// `org.opencontainers.image.ref.name`, or Cog's name of the weights.
    pub ref_name: Option<String>,
    /// What KitOps says of it, as JSON.
    pub metadata: Option<String>,
}

impl From<&Descriptor> for Child {
    fn from(entry: &Descriptor) -> Self {
        let platform = entry.platform.as_ref().map(|platform| {
            let parts = [Some(&platform.os), Some(&platform.architecture), platform.variant.as_ref()];
            parts.into_iter().flatten().map(String::as_str).collect::<Vec<_>>().join("/")
        });
        Self {
            digest: entry.digest.clone(),
            platform,
            artifact_type: entry.artifact_type.clone(),
            ref_name: [media::REF_NAME, media::COG_NAME]
                .iter()
                .find_map(|key| entry.annotation(key))
                .map(str::to_owned),
            metadata: entry.model_metadata.as_ref().map(ToString::to_string),
        }
    }
}

impl fmt::Display for Child {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.digest)?;
        let words = [&self.platform, &self.artifact_type, &self.ref_name, &self.metadata];
        for word in words.into_iter().flatten() {
            // Free text of the producer: control characters must not reach a terminal.
            let word: String = word.chars().take(MAX_WORD).flat_map(char::escape_debug).collect();
            write!(f, " {word}")?;
        }
        Ok(())
    }
}

/// Gives I/O errors their subject.
pub(super) trait At<T> {
    /// The error of reading `blob`.
    fn reading(self, blob: &Descriptor) -> Result<T, Error>;
    /// The error of writing `path`.
    fn writing(self, path: &str) -> Result<T, Error>;
}

impl<T> At<T> for io::Result<T> {
    fn reading(self, blob: &Descriptor) -> Result<T, Error> {
        self.map_err(|source| Error::Blob { blob: blob.digest.clone(), source })
    }

    fn writing(self, path: &str) -> Result<T, Error> {
        self.map_err(|source| Error::Sink { path: path.to_owned(), source })
    }
}

fn up_to(path: Option<&str>) -> String {
    path.map_or_else(String::new, |path| format!(" up to {path:?}"))
}

fn join(children: &[Child]) -> String {
    first(children.len(), children.iter().map(ToString::to_string))
}

fn quoted(names: &[String]) -> String {
    first(names.len(), names.iter().map(|name| format!("{name:?}")))
}

fn first(count: usize, words: impl Iterator<Item = String>) -> String {
    let shown = words.take(MAX_NAMES).collect::<Vec<_>>().join(", ");
    match count.saturating_sub(MAX_NAMES) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}
