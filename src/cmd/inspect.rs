//! `artishim inspect`.

use clap::Args;
use serde::Serialize;
use serde_json::Value;

use super::{Context, Error, Result};
use crate::digest::Digest;

/// Show the manifest of an artifact in the store, in podman's form, or with --model what the model is
///
/// What our store does not have is asked of Podman 5.7 and newer.
///
/// With --model, an artifact that is not in our store is asked of its registry and not pulled: the manifest, the config,
/// and where these say too little the first bytes of the model. A registry's first bytes cannot be verified, so what
/// they say is for reading only.
#[derive(Args, Debug)]
pub struct InspectArgs {
    /// Artifact, by name or digest
    pub artifact: String,
    /// Say what the model is: packaging, entry, files, architecture, parameters, quantization, context length, licence
    #[arg(long)]
    pub model: bool,
    /// The same as JSON, with the text of the chat template
    ///
    /// The fields stay: reference, digest, stored, packaging, producer, name, family, version, format, architecture,
    /// parameters (in the producer's words), parameter_count (counted over the tensors), precision, quantization,
    /// context_length (in tokens), licenses, entry, entry_candidates (where there is no entry), mmproj, chat_template (a
    /// file), chat_template_text (of that file, else of the entry's header), has_own_template (in the header), size (of
    /// all layers), files and archives, each a list of path, size and digest. What is not known is null or empty; the
    /// files in an archive are listed once it has been unpacked.
    #[arg(long, requires = "model")]
    pub json: bool,
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
    if args.model {
        return super::inspect_model::run(context, args).await;
    }
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
