//! Files with titles, as `oras push`, `podman artifact add`, omlmd and many others make them: the last resort.
//!
//! A layer is a file, whatever its type says: `oras push` gives plain files the type of a tar. It is a folder where
//! the producer says so: by ORAS' annotation, by OLOT's, or by a type and a title that both end as a compressed tar.

use crate::manifest::{Descriptor, Manifest};
use crate::media;

use super::name;
use super::{Error, Naming, Piece, promise};

pub(super) const fn matches(_manifest: &Manifest, _config: &[u8]) -> bool {
    true
}

pub(super) fn pieces(manifest: &Manifest, _config: &[u8]) -> Result<Vec<Piece>, Error> {
    let layers = manifest.layers.iter().filter(|layer| layer.kind() != media::EMPTY);
    layers.map(piece).collect()
}

fn piece(layer: &Descriptor) -> Result<Piece, Error> {
    if layer.annotation(media::ORAS_UNPACK) == Some("true") || is_compressed_tar(layer) {
        return name::archive(layer, Naming::Own);
    }
    if let Some(name) = layer.annotation(media::OLOT_NAME) {
        let naming = if name.starts_with("models/") { Naming::Own } else { Naming::WithoutModels };
        return Ok(Piece { promise: promise::olot(layer), ..name::archive(layer, naming)? });
    }
    // podman's name for a file without a title.
    let path = name::annotated(layer)?.unwrap_or_else(|| layer.digest.file_name());
    Ok(name::file(layer, path, None))
}

fn is_compressed_tar(layer: &Descriptor) -> bool {
    let kind = layer.kind();
    let by_type = (kind.starts_with(media::OCI_LAYER_TAR) && kind.len() > media::OCI_LAYER_TAR.len())
        || (kind.starts_with(media::DOCKER_LAYER) && kind.len() > media::DOCKER_LAYER.len());
    let by_title = |title: &str| [".tar", ".tar.gz", ".tgz", ".tar.zst"].iter().any(|end| title.ends_with(end));
    by_type && name::title(layer).is_some_and(by_title)
}
