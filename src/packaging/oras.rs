//! Files with titles, as `oras push`, `podman artifact add`, omlmd and many others make them: the last resort.
//!
//! A layer is a file, whatever its type says: `oras push` gives plain files the type of a tar. It is a folder where
//! the producer says so: by ORAS' annotation, by OLOT's, by a type and a title that both end as a compressed tar, or by
//! such a type and the folder that the tar begins with, which is all that oras-py says (oras/provider.py, `push`).

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
    let by_title = name::title(layer).filter(|_| is_compressed_tar(layer.kind())).map(is_tar_name);
    if layer.annotation(media::ORAS_UNPACK) == Some("true") || by_title == Some(true) {
        let mut piece = name::archive(layer, Naming::Own)?;
        piece.promise.tar = layer.annotation(media::ORAS_DIGEST).and_then(|digest| digest.parse().ok());
        return Ok(piece);
    }
    if let Some(name) = layer.annotation(media::OLOT_NAME) {
        let naming = if name.starts_with("models/") { Naming::Own } else { Naming::WithoutModels };
        return Ok(Piece { promise: promise::olot(layer), ..name::archive(layer, naming)? });
    }
    if by_title == Some(false) {
        return name::archive(layer, Naming::Folder);
    }
    // podman's name for a file without a title.
    let path = name::annotated(layer)?.unwrap_or_else(|| layer.digest.file_name());
    Ok(name::file(layer, path, None))
}

fn is_compressed_tar(kind: &str) -> bool {
    [media::OCI_LAYER_TAR, media::DOCKER_LAYER].iter().any(|tar| kind.starts_with(tar) && kind.len() > tar.len())
}

fn is_tar_name(title: &str) -> bool {
    [".tar", ".tar.gz", ".tgz", ".tar.zst"].iter().any(|end| title.ends_with(end))
}
