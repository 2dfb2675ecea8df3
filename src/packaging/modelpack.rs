//! CNCF ModelPack: the model-spec, its older names, and RamaLama's artifacts, which take its artifact type only.
//!
//! Every annotation is optional in the spec. A layer's type says raw or tar; RamaLama's layers are typed by their
//! content (`application/octet-stream`) and raw.

use serde::Deserialize;

use crate::manifest::{Descriptor, Manifest};
use crate::media;

use super::name;
use super::{Error, Naming, Piece};

pub(super) fn matches(manifest: &Manifest, _config: &[u8]) -> bool {
    let layers = manifest.layers.iter().map(Descriptor::kind);
    [manifest.artifact_kind().unwrap_or_default(), manifest.kind(), manifest.config_kind()]
        .into_iter()
        .chain(layers)
        .any(is_model_type)
}

/// Whether `media_type` is the model-spec's, under its name of today or the one before.
pub(super) fn is_model_type(media_type: &str) -> bool {
    media_type.starts_with(media::MODELPACK_PREFIX) || media_type.starts_with(media::CNAI_PREFIX)
}

pub(super) fn pieces(manifest: &Manifest, config: &[u8]) -> Result<Vec<Piece>, Error> {
    let mut untitled = Untitled::new(&manifest.layers, config)?;
    let layers = manifest.layers.iter().filter(|layer| layer.kind() != media::EMPTY);
    layers.map(|layer| piece(layer, &mut untitled)).collect()
}

fn piece(layer: &Descriptor, untitled: &mut Untitled) -> Result<Piece, Error> {
    if is_tar(layer.kind()) {
        return name::archive(layer, naming(layer));
    }
    let path = match name::annotated(layer)? {
        Some(path) => path,
        None => untitled.next(layer),
    };
    Ok(name::file(layer, path, None))
}

fn is_tar(kind: &str) -> bool {
    let is_tar = [".tar", ".tar+gzip", ".tar+zstd"].iter().any(|end| kind.ends_with(end));
    is_tar && (is_model_type(kind) || kind.starts_with(media::OCI_LAYER_TAR))
}

fn naming(layer: &Descriptor) -> Naming {
    match (name::filepath(layer), name::title(layer)) {
        (Some(_), _) => Naming::Annotated,
        (None, Some(title)) if !title.starts_with("models/") => Naming::WithoutModels,
        (None, _) => Naming::Own,
    }
}

#[derive(Default, Deserialize)]
struct Config {
    #[serde(default)]
    config: ConfigOfModel,
}

#[derive(Default, Deserialize)]
struct ConfigOfModel {
    #[serde(default)]
    format: String,
}

/// Names for raw layers without any: Docker's converter writes such (model-runner pkg/distribution/modelpack).
struct Untitled {
    extension: Option<&'static str>,
    weights: usize,
    named: usize,
    others: usize,
}

impl Untitled {
    fn new(layers: &[Descriptor], config: &[u8]) -> Result<Self, Error> {
        let config: Config = serde_json::from_slice(config).unwrap_or_default();
        let extension = match config.config.format.to_ascii_lowercase().as_str() {
            "gguf" => Some(".gguf"),
            "safetensors" => Some(".safetensors"),
            _ => None,
        };
        let mut weights = 0;
        for layer in layers {
            if is_weight(layer.kind()) && name::annotated(layer)?.is_none() {
                weights += 1;
            }
        }
        Ok(Self { extension, weights, named: 0, others: 0 })
    }

    fn next(&mut self, layer: &Descriptor) -> String {
        let kind = layer.kind();
        if !is_model_type(kind) {
            return layer.digest.file_name();
        }
        if let (true, Some(extension)) = (is_weight(kind), extension(kind).or(self.extension)) {
            self.named += 1;
            return name::part("model", extension, self.named - 1, self.weights);
        }
        self.others += 1;
        format!("{}-{}", category(kind), self.others)
    }
}

/// `weight` of `application/vnd.cncf.model.weight.v1.raw`.
fn category(kind: &str) -> &str {
    let rest = kind.strip_prefix(media::MODELPACK_PREFIX).or_else(|| kind.strip_prefix(media::CNAI_PREFIX));
    rest.and_then(|rest| rest.split(".v1").next()).filter(|name| !name.is_empty()).unwrap_or("file")
}

fn is_weight(kind: &str) -> bool {
    is_model_type(kind) && category(kind) == "weight" && !is_tar(kind)
}

/// Docker's own endings of the spec's types.
fn extension(kind: &str) -> Option<&'static str> {
    [".gguf", ".safetensors"].into_iter().find(|extension| kind.ends_with(extension))
}
