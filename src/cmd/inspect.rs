//! `artishim inspect`.

use clap::Args;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Context, Error, Result};
use crate::digest::Digest;
use crate::store::{self, Entry, Store};
use crate::{media, template};

/// Show the manifest of an artifact in the store, in podman's form, or with --model what the model is
///
/// What artishim's store does not have is asked of Podman 5.7 and newer.
///
/// With --model, an artifact that is not in it is asked of its registry and not pulled: the manifest, the config,
/// and where these say too little the first bytes of the model. A registry's first bytes cannot be verified, so what
/// they say is for reading only.
#[derive(Args, Debug)]
pub struct InspectArgs {
    /// Artifact, by name or digest
    pub artifact: String,
    /// Print as json, or by a Go template, as {{json .Manifest}} or {{.Name}}
    #[arg(short, long, value_name = "FORMAT", conflicts_with = "model")]
    pub format: Option<String>,
    /// Supply org.cncf.model.filepath from the title where it is missing
    #[arg(long, hide = true)]
    pub filepaths: bool,
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
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Inspection {
    manifest: Value,
    name: String,
    digest: Digest,
}

pub(super) async fn run(context: &Context, args: &InspectArgs) -> Result<()> {
    if args.model {
        return super::inspect_model::run(context, args).await;
    }
    let store = context.store()?;
    let mut inspection = match store.find(&context.stored(&store, &args.artifact)?) {
        Ok(entry) => stored(&store, entry)?,
        Err(store::Error::NotFound { text }) => match context.inspect_by_podman(&args.artifact).await? {
            Some(json) => serde_json::from_slice(&json).map_err(Error::internal)?,
            None => return Err(store::Error::NotFound { text }.into()),
        },
        Err(error) => return Err(error.into()),
    };
    if args.filepaths {
        supply_filepaths(&mut inspection.manifest);
    }
    match args.format.as_deref() {
        None | Some("json") => context.json(&inspection),
        Some(text) => Ok(context.ui.data(&template::render(text, &fields(&inspection)?)?)?),
    }
}

fn stored(store: &Store, entry: Entry) -> Result<Inspection> {
    let (bytes, _) = store.manifest(&entry.descriptor.digest)?;
    let manifest = serde_json::from_slice(&bytes).map_err(Error::internal)?;
    Ok(Inspection { manifest, name: entry.name.unwrap_or_default(), digest: entry.descriptor.digest })
}

/// What podman's templates find; its JSON does not have all of it.
fn fields(inspection: &Inspection) -> Result<Value> {
    let mut value = serde_json::to_value(inspection).map_err(Error::internal)?;
    value["Artifact"] = value.clone();
    let layers = inspection.manifest["layers"].as_array().into_iter().flatten();
    value["TotalSizeBytes"] = layers.filter_map(|layer| layer["size"].as_u64()).fold(0, u64::saturating_add).into();
    Ok(value)
}

/// RamaLama names files by this annotation, and raises an error where only `oras push` has named them.
fn supply_filepaths(manifest: &mut Value) {
    let layers = manifest.get_mut("layers").and_then(Value::as_array_mut);
    for annotations in layers.into_iter().flatten().filter_map(|layer| layer.get_mut("annotations")?.as_object_mut()) {
        if let Some(title) = annotations.get(media::TITLE).cloned() {
            annotations.entry(media::FILEPATH).or_insert(title);
        }
    }
}
