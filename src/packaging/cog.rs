//! Replicate's Cog weights: tars of which the config lists every file, with layer, size and digest.
//!
//! Source: replicate/cog specs/draft-weights.md. Before it, a layer was one plain file with its place in the container
//! as an annotation, and the config listed nothing.

use std::collections::{HashMap, HashSet};

use serde::Deserialize;

use crate::digest::Digest;
use crate::manifest::{Descriptor, Manifest};
use crate::media;

use super::name;
use super::path;
use super::{Error, Naming, Packaging, Piece, Promise, PromisedFile};

const ARTIFACT: &str = "application/vnd.cog.weight.v1";
const CONFIG: &str = "application/vnd.cog.weight.config.v1+json";
/// The layer of the earlier format; also with an ending for its compression, though nothing wrote such.
const EARLY_LAYER: &str = "application/vnd.cog.weight.layer.v1";

#[derive(Default, Deserialize)]
struct Config {
    files: Option<Vec<File>>,
}

#[derive(Deserialize)]
struct File {
    path: String,
    layer: Digest,
    size: u64,
    digest: Digest,
}

pub(super) fn matches(manifest: &Manifest, _config: &[u8]) -> bool {
    manifest.artifact_kind() == Some(ARTIFACT) || manifest.config_kind() == CONFIG
}

pub(super) fn pieces(manifest: &Manifest, config: &[u8]) -> Result<Vec<Piece>, Error> {
    let files = files(manifest, config)?;
    let mut seen = HashSet::new();
    let mut pieces = Vec::new();
    for layer in manifest.layers.iter().filter(|layer| layer.kind() != media::EMPTY) {
        // The same archive again is the same files; with all that is listed of it each time, it would fill the memory.
        if layer.kind().starts_with(EARLY_LAYER) || seen.insert(&layer.digest) {
            pieces.push(piece(layer, files.as_ref())?);
        }
    }
    Ok(pieces)
}

/// The files of each layer.
type Files<'a> = HashMap<&'a Digest, Vec<PromisedFile>>;

/// What the config lists; none where it has no list.
fn files<'a>(manifest: &'a Manifest, config: &[u8]) -> Result<Option<Files<'a>>, Error> {
    let Some(descriptor) = manifest.config.as_ref().filter(|config| config.kind() == CONFIG) else { return Ok(None) };
    let config: Config = serde_json::from_slice(config).map_err(|source| Error::Config {
        blob: descriptor.digest.clone(),
        packaging: Packaging::Cog,
        source,
    })?;
    let Some(list) = config.files else { return Ok(None) };
    let mut files: Files<'a> = manifest.layers.iter().map(|layer| (&layer.digest, Vec::new())).collect();
    for File { path, layer, size, digest } in list {
        let path = path::sanitise(&path)?;
        match files.get_mut(&layer) {
            Some(files) => files.push(PromisedFile { path, size: Some(size), digest }),
            None => return Err(Error::NoLayer { path, layer: layer.to_string() }),
        }
    }
    Ok(Some(files))
}

fn piece(layer: &Descriptor, files: Option<&Files<'_>>) -> Result<Piece, Error> {
    if let Some(compression) = layer.kind().strip_prefix(EARLY_LAYER) {
        return early(layer, compression);
    }
    let size = layer.annotation(media::COG_SIZE).and_then(|size| size.parse().ok());
    let files = files.and_then(|files| files.get(&layer.digest).cloned());
    Ok(Piece { promise: Promise { size, files, tar: None }, ..name::archive(layer, Naming::Own)? })
}

fn early(layer: &Descriptor, compression: &str) -> Result<Piece, Error> {
    let path = match layer.annotation(media::COG_DESTINATION) {
        Some(destination) => path::sanitise(destination.trim_start_matches('/'))?,
        None => name::annotated(layer)?.unwrap_or_else(|| layer.digest.file_name()),
    };
    match compression {
        "" => Ok(name::file(layer, path, None)),
        _ => Err(Error::CompressedFile { blob: layer.digest.clone(), path }),
    }
}
