//! KitOps ModelKit: recognised by its config, not laid out yet.

use crate::manifest::Manifest;

use super::{Error, Packaging, Piece};

/// The second is from before the project was renamed.
const CONFIGS: [&str; 2] =
    ["application/vnd.kitops.modelkit.config.v1+json", "application/vnd.jozu.model.config.v1+json"];

pub(super) fn matches(manifest: &Manifest, _config: &[u8]) -> bool {
    CONFIGS.contains(&manifest.config_kind())
}

pub(super) const fn pieces(_manifest: &Manifest, _config: &[u8]) -> Result<Vec<Piece>, Error> {
    Err(Error::Unsupported { packaging: Packaging::KitOps })
}
