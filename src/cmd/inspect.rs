//! `artishim inspect`.

use clap::Args;
use serde::Serialize;
use serde_json::Value;

use super::{Context, Error, Result};
use crate::digest::Digest;

/// Show the manifest of an artifact in the store, in podman's form
///
/// What our store does not have is asked of Podman 5.7 and newer.
#[derive(Args, Debug)]
pub struct InspectArgs {
    /// Artifact, by name or digest
    pub artifact: String,
}

/// As `podman artifact inspect` prints it; the digest is of the manifest's own bytes.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Inspection<'a> {
    manifest: Value,
    name: &'a str,
    digest: &'a Digest,
}

pub(super) async fn run(context: &Context, args: &InspectArgs) -> Result<()> {
    let store = context.store()?;
    let entry = match store.find(&args.artifact) {
        Ok(entry) => entry,
        Err(error) => return Err(context.hand_over(error, &["inspect", &args.artifact]).await),
    };
    let (bytes, _) = store.manifest(&entry.descriptor.digest)?;
    let manifest = serde_json::from_slice(&bytes).map_err(Error::internal)?;
    let inspection =
        Inspection { manifest, name: entry.name.as_deref().unwrap_or_default(), digest: &entry.descriptor.digest };
    context.json(&inspection)
}
