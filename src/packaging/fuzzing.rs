//! What the fuzz targets of `contrib/fuzz` call and nobody else may.

use super::{Error, path};

/// A producer's name as a path.
pub fn sanitise(raw: &str) -> Result<String, Error> {
    path::sanitise(raw)
}

/// As [`sanitise`], for the bytes of a tar header.
pub fn sanitise_bytes(raw: &[u8]) -> Result<String, Error> {
    path::sanitise_bytes(raw)
}
