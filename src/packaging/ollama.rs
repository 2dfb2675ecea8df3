//! Ollama's models, which have no names, only types.
//!
//! The names are ours. `template` is a Go template and no Jinja, so it has no role and no ending.

use std::collections::HashMap;

use serde::Deserialize;

use crate::manifest::{Descriptor, Manifest};
use crate::media;

use super::image;
use super::name;
use super::path;
use super::{Error, Piece, Role};

#[derive(Default, Deserialize)]
struct Config {
    model_format: Option<String>,
    #[serde(default)]
    remote_host: String,
}

pub(super) fn matches(manifest: &Manifest, config: &[u8]) -> bool {
    let by_layer = manifest.layers.iter().any(|layer| layer.kind().starts_with(media::OLLAMA_PREFIX));
    by_layer || (image::has_image_config(manifest) && parse(config).model_format.is_some())
}

pub(super) fn pieces(manifest: &Manifest, config: &[u8]) -> Result<Vec<Piece>, Error> {
    let has = |kind| manifest.layers.iter().any(|layer| layer.kind().strip_prefix(media::OLLAMA_PREFIX) == Some(kind));
    let host = parse(config).remote_host;
    if !has("model") && !host.is_empty() {
        return Err(Error::Cloud { host });
    }
    if has("tensor") {
        return Err(Error::Tensors);
    }
    let mut counts = HashMap::new();
    manifest.layers.iter().map(|layer| piece(layer, &mut counts)).collect()
}

fn parse(config: &[u8]) -> Config {
    serde_json::from_slice(config).unwrap_or_default()
}

fn piece<'a>(layer: &'a Descriptor, counts: &mut HashMap<&'a str, usize>) -> Result<Piece, Error> {
    let Some(kind) = layer.kind().strip_prefix(media::OLLAMA_PREFIX) else {
        return Ok(name::file(layer, layer.digest.file_name(), None));
    };
    if let ("json", Some(name)) = (kind, &layer.name) {
        return Ok(name::file(layer, path::sanitise(name)?, None));
    }
    let (stem, extension, role) = match kind {
        "model" => ("model", ".gguf", None),
        "projector" => ("mmproj", ".gguf", Some(Role::Mmproj)),
        "adapter" => ("adapter", ".gguf", Some(Role::Adapter)),
        "draft" => ("draft", ".gguf", Some(Role::Draft)),
        "license" => ("LICENSE", "", Some(Role::Licence)),
        "params" | "messages" | "json" => (kind, ".json", None),
        other => (other, "", None),
    };
    let index = counts.entry(kind).and_modify(|count| *count += 1).or_insert(0);
    let path = path::sanitise(&name::numbered(stem, extension, *index))?;
    Ok(name::file(layer, path, role))
}
