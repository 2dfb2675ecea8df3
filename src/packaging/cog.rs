//! Replicate's Cog weights: recognised, not laid out yet.

use crate::manifest::Manifest;

use super::{Error, Packaging, Piece};

const ARTIFACT: &str = "application/vnd.cog.weight.v1";
const CONFIG: &str = "application/vnd.cog.weight.config.v1+json";

pub(super) fn matches(manifest: &Manifest, _config: &[u8]) -> bool {
    manifest.artifact_kind() == Some(ARTIFACT) || manifest.config_kind() == CONFIG
}

pub(super) const fn pieces(_manifest: &Manifest, _config: &[u8]) -> Result<Vec<Piece>, Error> {
    Err(Error::Unsupported { packaging: Packaging::Cog })
}
