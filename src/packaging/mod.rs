//! How producers lay files into artifacts: which packaging a manifest is, which files it holds, and which is the entry.
//!
//! Everything here is a function of bytes: no files, no network. [`plan`] reads a manifest, [`lay_out`] turns a plan
//! and readable blobs into files for a [`Sink`], in one pass and without holding a file in memory. What a producer says
//! of files in an archive is a [`Promise`], which is held against what comes out.
//!
//! # Which packaging
//!
//! Nobody defines one test that holds everywhere, so the first row that matches wins:
//!
//! | row | test | packaging | source |
//! | --- | --- | --- | --- |
//! | 1 | config type of KitOps or of Jozu before it | KitOps | kitops pkg/lib/constants |
//! | 2 | artifactType, mediaType, config or a layer `vnd.{cncf,cnai}.model.*` | ModelPack | modelpack/model-spec docs/spec.md |
//! | 3 | config or a layer `vnd.docker.ai.*` | Docker AI | docker/model-spec spec.md, model-runner pkg/distribution/types |
//! | 4 | a layer `vnd.ollama.image.*`, or an image config with `model_format` | Ollama | ollama server/images.go |
//! | 5 | artifactType or config of Cog's weights | Cog | replicate/cog docs |
//! | | a type of Helm, Wasm, signatures, attestations | no model | helm, cosign, notation, BuildKit |
//! | | a `subject` | no model | image-spec |
//! | 6 | image config with `rootfs.diff_ids`, no artifactType, not OLOT's simple artifact | image | RamaLama raw and car, KServe modelcar |
//! | 7 | anything else | ORAS | oras cmd/oras/root/push.go, podman artifact |
//!
//! Row 2 looks in four places because registries drop the artifactType and RamaLama's artifacts have nothing else.
//! Row 4 stands before 6: Ollama's config has the type of a Docker image's. The foreign types stand before 6, because
//! cosign and BuildKit give their manifests a complete image config, and after 1 to 5, whose own types are certain.
//!
//! # Adding a packaging
//!
//! One file with `matches` and `pieces`, one [`Packaging`] variant, one row.

mod archive;
mod cog;
mod description;
mod docker_ai;
mod entry;
mod error;
mod foreign;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
mod image;
mod index;
mod kitops;
mod layers;
mod layout;
mod modelpack;
mod name;
mod needed;
mod ollama;
mod oras;
mod output;
mod path;
mod preview;
mod producer;
mod promise;
mod selection;
mod telling;
#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::fmt;

use crate::digest::Digest;
use crate::listing::File;
use crate::manifest::{Descriptor, Manifest};
use crate::media;

pub(crate) use archive::{Bounded, MAX_HEADER_BYTES};
pub use description::{Description, describe};
pub use entry::{entry, entry_candidates, named_entry};
pub use error::{Child, Difference, Error};
pub use index::{choose_child, tell_child, untold_children};
pub use layout::{Open, lay_out};
pub use needed::{Needed, Request};
pub use output::{Entry, HEAD_BYTES, Sink};
pub use promise::{Promise, PromisedFile};
pub use selection::Selection;
pub use telling::Heads;

/// How a producer laid files into an artifact.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Packaging {
    /// KitOps ModelKit.
    KitOps,
    /// CNCF ModelPack, also RamaLama's artifacts and today's `ai/` on Docker Hub.
    ModelPack,
    /// Docker Model Runner's own format, v0.1 and v0.2.
    DockerAi,
    /// Ollama, also hf.co as Ollama.
    Ollama,
    /// Replicate's weights.
    Cog,
    /// A container image with the files in `/models` or `/model`.
    Image,
    /// Files with titles, as `oras push` and `podman artifact add` make them.
    Oras,
}

impl Packaging {
    /// The name for people.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::KitOps => "KitOps",
            Self::ModelPack => "ModelPack",
            Self::DockerAi => "Docker AI",
            Self::Ollama => "Ollama",
            Self::Cog => "Cog",
            Self::Image => "image",
            Self::Oras => "ORAS",
        }
    }
}

impl fmt::Display for Packaging {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What a file is for, where its media type says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// The projector of a multimodal model.
    Mmproj,
    /// A LoRA adapter.
    Adapter,
    /// The small model of speculative decoding.
    Draft,
    /// A Jinja chat template.
    ChatTemplate,
    /// A licence.
    Licence,
}

/// What one blob becomes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// One file, byte for byte.
    File {
        /// Where it goes; sanitised.
        path: String,
    },
    /// The members of a tar, plain, gzip or zstd; where the bytes are no tar, one file.
    Archive {
        /// The annotated path, for some of the [`Naming`]s and for bytes that are no tar; sanitised.
        path: Option<String>,
        /// How the members are named.
        naming: Naming,
    },
    /// One layer of a file system, of which the model's folder is taken.
    ImageLayer,
}

/// How the members of an archive are named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Naming {
    /// As the tar says.
    Own,
    /// As the tar says, but if the first file has the base name of the annotated path it goes there, and its folder
    /// with it: AIKit packs `unet/model.safetensors` as `model.safetensors`.
    Annotated,
    /// As the tar says, below the folder of the annotated path: KitOps before its Kitfiles had digests.
    Below,
    /// As the tar says, if it begins with the folder of the annotated path; it is one file otherwise. oras-py says of a
    /// folder no more than the type, which others give to files.
    Folder,
    /// As the tar says, less a leading `models/`: OLOT lists a modelcar's layers again as a ModelPack.
    WithoutModels,
}

/// One blob with what becomes of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// The blob.
    pub blob: Descriptor,
    /// What it becomes.
    pub content: Content,
    /// What it is for.
    pub role: Option<Role>,
    /// What the producer says of the files in it.
    pub promise: Promise,
}

/// What an artifact becomes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// How the producer laid it out.
    pub packaging: Packaging,
    /// The blobs in the order of the manifest.
    pub pieces: Vec<Piece>,
    /// The file or folder that the producer calls the model.
    pub entry: Option<String>,
    /// Which files are wanted; all where there is none.
    pub selection: Option<Selection>,
}

impl Plan {
    /// The blobs the files are made of, each digest once; the config only where it is a file, too.
    pub fn blobs(&self) -> Vec<&Descriptor> {
        let mut seen = HashSet::new();
        self.pieces.iter().map(|piece| &piece.blob).filter(|blob| seen.insert(&blob.digest)).collect()
    }

    /// The blobs in the order in which [`lay_out`] reads them, each as often as a file or layer is made of it.
    pub fn reading_order(&self) -> Vec<&Descriptor> {
        let blobs = self.pieces.iter().map(|piece| &piece.blob);
        if self.packaging == Packaging::Image { blobs.rev().collect() } else { blobs.collect() }
    }

    /// A short name for a blob: its path, else the start of its digest.
    pub fn name_of<'a>(&'a self, digest: &'a Digest) -> &'a str {
        let piece = self.pieces.iter().find(|piece| piece.blob.digest == *digest);
        match piece.map(|piece| &piece.content) {
            Some(Content::File { path } | Content::Archive { path: Some(path), .. }) => path,
            _ => digest.short(),
        }
    }

    /// The files, where no archive must be opened to know them.
    pub fn files(&self) -> Option<Vec<File>> {
        let files = self.pieces.iter().map(|piece| match &piece.content {
            Content::File { path } => {
                Some(File { path: path.clone(), size: piece.blob.size, blob: piece.blob.digest.clone() })
            }
            Content::Archive { .. } | Content::ImageLayer => None,
        });
        files.collect()
    }

    /// Whether files have to be unpacked from archives.
    pub fn has_archives(&self) -> bool {
        self.files().is_none()
    }

    /// Whether `podman artifact` shows the same files under the same names: it knows titles only, without folders,
    /// names untitled blobs by digest, never unpacks, and holds all of an artifact.
    pub fn is_named_as_by_podman(&self) -> bool {
        self.selection.is_none()
            && self.pieces.iter().all(|piece| match &piece.content {
                Content::File { path } if path.contains('/') => false,
                Content::File { path } => match piece.blob.annotation(media::TITLE) {
                    Some(title) => title == path,
                    None => *path == piece.blob.digest.file_name(),
                },
                Content::Archive { .. } | Content::ImageLayer => false,
            })
    }
}

struct Row {
    packaging: Packaging,
    matches: fn(&Manifest, &[u8]) -> bool,
    pieces: fn(&Manifest, &[u8]) -> Result<Vec<Piece>, Error>,
}

/// Packagings with media types of their own.
const TYPED: [Row; 5] = [
    Row { packaging: Packaging::KitOps, matches: kitops::matches, pieces: kitops::pieces },
    Row { packaging: Packaging::ModelPack, matches: modelpack::matches, pieces: modelpack::pieces },
    Row { packaging: Packaging::DockerAi, matches: docker_ai::matches, pieces: docker_ai::pieces },
    Row { packaging: Packaging::Ollama, matches: ollama::matches, pieces: ollama::pieces },
    Row { packaging: Packaging::Cog, matches: cog::matches, pieces: cog::pieces },
];

/// Packagings told by their shape, which other kinds of artifact may have too.
const SHAPED: [Row; 2] = [
    Row { packaging: Packaging::Image, matches: image::matches, pieces: image::pieces },
    Row { packaging: Packaging::Oras, matches: oras::matches, pieces: oras::pieces },
];

/// Whether [`recognise`] and [`plan`] read the config of `manifest`; otherwise they may be given no bytes.
pub fn reads_config(manifest: &Manifest) -> bool {
    let reads = [modelpack::matches, kitops::matches, cog::matches];
    image::has_image_config(manifest) || reads.iter().any(|matches| matches(manifest, &[]))
}

/// Whether [`recognise`] reads the config of `manifest`: fewer than those of which [`plan`] does.
pub fn is_told_by_config(manifest: &Manifest) -> bool {
    image::has_image_config(manifest) && !TYPED.iter().any(|row| (row.matches)(manifest, &[]))
}

/// Which packaging `manifest` is; `config` holds the bytes of its config, or none where there is no config.
pub fn recognise(manifest: &Manifest, config: &[u8]) -> Result<Packaging, Error> {
    find_row(manifest, config).map(|row| row.packaging)
}

/// Which files the artifact holds, every path sanitised and checked against the others.
pub fn plan(manifest: &Manifest, config: &[u8]) -> Result<Plan, Error> {
    let row = find_row(manifest, config)?;
    let mut pieces = Vec::new();
    let mut seen = HashSet::new();
    for piece in (row.pieces)(manifest, config)? {
        // A blob listed twice at one place is one file; a layer of an image counts as often as it is listed.
        let place = match &piece.content {
            Content::File { path } => Some(path.clone()),
            Content::Archive { path, naming: Naming::Annotated | Naming::Below | Naming::Folder } => path.clone(),
            Content::Archive { naming: Naming::Own | Naming::WithoutModels, .. } => None,
            Content::ImageLayer => {
                pieces.push(piece);
                continue;
            }
        };
        if seen.insert((piece.blob.digest.clone(), place)) {
            pieces.push(piece);
        }
    }
    if pieces.is_empty() {
        return Err(Error::NoFiles);
    }
    check_paths(&pieces)?;
    let entry = match row.packaging {
        Packaging::KitOps => kitops::model_path(config),
        // KitOps writes ModelPacks, too, and leaves its Kitfile on the manifest.
        _ => manifest.annotations.get(media::KITFILE).and_then(|kitfile| kitops::model_path(kitfile.as_bytes())),
    };
    Ok(Plan { packaging: row.packaging, pieces, entry, selection: None })
}

fn find_row(manifest: &Manifest, config: &[u8]) -> Result<&'static Row, Error> {
    if manifest.manifests.is_some() {
        return Err(Error::Index);
    }
    if let Some(row) = TYPED.iter().find(|row| (row.matches)(manifest, config)) {
        return Ok(row);
    }
    if let Some(what) = foreign::what(manifest) {
        return Err(Error::NotAModel { what });
    }
    SHAPED.iter().find(|row| (row.matches)(manifest, config)).ok_or(Error::NoFiles)
}

/// The paths that are known before any archive is opened; only with [`Naming::Own`] a promised name is where it goes.
fn check_paths(pieces: &[Piece]) -> Result<(), Error> {
    let mut tree = path::Tree::new();
    for piece in pieces {
        match &piece.content {
            Content::File { path } => drop(tree.add(path)?),
            Content::Archive { naming: Naming::Own, .. } => {
                piece.promise.files.iter().flatten().try_for_each(|file| tree.add(&file.path).map(drop))?;
            }
            Content::Archive { .. } | Content::ImageLayer => {}
        }
    }
    Ok(())
}
