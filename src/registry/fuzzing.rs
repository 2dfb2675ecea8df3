//! What the fuzz targets of `contrib/fuzz` call and nobody else may.

use super::challenge;

/// The challenges of a `WWW-Authenticate` header: each scheme with its parameters.
pub fn challenges(header: &str) -> Vec<(String, Vec<(String, String)>)> {
    challenge::parse(header).into_iter().map(|challenge| (challenge.scheme, challenge.parameters)).collect()
}
