//! Container images with a model inside: RamaLama's raw and car, KServe's modelcar, ai-lab-recipes.
//!
//! The image-spec's own rule decides what is an image: a config with `rootfs.diff_ids`. How the layers become files
//! is in [`super::layers`].

use serde_json::Value;

use crate::manifest::{Descriptor, Manifest};
use crate::media;

use super::{Content, Error, Piece, promise};

pub(super) fn matches(manifest: &Manifest, config: &[u8]) -> bool {
    let has_layers = |config: &Value| config.pointer("/rootfs/diff_ids").is_some_and(Value::is_array);
    has_image_config(manifest)
        && manifest.artifact_kind().is_none()
        && !is_simple_artifact(manifest)
        && serde_json::from_slice(config).is_ok_and(|config| has_layers(&config))
}

/// OLOT's simple artifact: the config of an image over layers that carry its name for a file and, unlike those of its
/// images, no title (olot/oci_artifact.py).
fn is_simple_artifact(manifest: &Manifest) -> bool {
    let is_simple =
        |layer: &Descriptor| layer.annotation(media::OLOT_NAME).is_some() && layer.annotation(media::TITLE).is_none();
    !manifest.layers.is_empty() && manifest.layers.iter().all(is_simple)
}

/// Whether the config has the type of an image's; `oras push --artifact-platform` and Ollama use it, too.
pub(super) fn has_image_config(manifest: &Manifest) -> bool {
    [media::OCI_IMAGE_CONFIG, media::DOCKER_IMAGE_CONFIG].contains(&manifest.config_kind())
}

pub(super) fn pieces(manifest: &Manifest, _config: &[u8]) -> Result<Vec<Piece>, Error> {
    let piece = |layer: &Descriptor| Piece {
        blob: layer.clone(),
        content: Content::ImageLayer,
        role: None,
        promise: promise::olot(layer),
    };
    Ok(manifest.layers.iter().map(piece).collect())
}
