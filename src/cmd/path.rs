//! `artishim path`.

use std::path::Path;

use clap::Args;
use serde::Serialize;

use super::args::{PartArgs, PullPolicy};
use super::{Context, Error, Result};
use crate::digest::Digest;
use crate::packaging;
use crate::pull::Part;
use crate::reference::Reference;
use crate::store::Snapshot;

/// Print where an artifact's entry lies on this machine, pulling it if need be
///
/// The entry is the file an inference server is started with, or the folder for safetensors. Where several files could
/// be, --entry chooses. With --include, --exclude and --entry-only only a part of the artifact is pulled, as by
/// `artishim pull` with these options, and what is here already is not touched.
#[derive(Args, Debug)]
pub struct PathArgs {
    /// Artifact
    pub reference: String,
    /// When to ask the registry
    #[arg(long, value_name = "WHEN", default_value = "missing")]
    pub pull: PullPolicy,
    #[command(flatten)]
    pub part: PartArgs,
    /// Print reference, digest, packaging, snapshot, entry, mmproj and chat template as JSON
    #[arg(long)]
    pub json: bool,
}

/// The answer of `--json`; paths but the snapshot's are relative to it.
#[derive(Serialize)]
struct Answer<'a> {
    reference: String,
    digest: &'a Digest,
    packaging: &'a str,
    snapshot: &'a Path,
    entry: Option<&'a str>,
    mmproj: Option<&'a str>,
    chat_template: Option<&'a str>,
}

pub(super) async fn run(context: &Context, args: PathArgs) -> Result<()> {
    let reference = context.reference(&args.reference, args.pull.into()).await?;
    let part = args.part.request()?.map_or(Part::Remembered, Part::Asked);
    let mut snapshot = context.snapshot(&reference, args.pull.into(), part).await?;
    if let Some(entry) = &args.part.entry {
        snapshot.listing.entry = Some(named_entry(&reference, &snapshot, entry)?);
    }
    if args.json {
        return context.json(&answer(&reference, &snapshot));
    }
    let entry = packaging::entry(&snapshot.listing)?;
    Ok(context.ui.data(&snapshot.path.join(entry).display().to_string())?)
}

/// The file or folder that `--entry` names; one that was not pulled may be in the rest.
fn named_entry(reference: &Reference, snapshot: &Snapshot, entry: &str) -> Result<String> {
    packaging::named_entry(&snapshot.listing, entry).map_err(|error| match &snapshot.listing.selection {
        Some(_) => Error::Part(reference.to_string(), error),
        None => error.into(),
    })
}

fn answer<'a>(reference: &Reference, snapshot: &'a Snapshot) -> Answer<'a> {
    let listing = &snapshot.listing;
    Answer {
        reference: reference.to_string(),
        digest: &listing.digest,
        packaging: &listing.packaging,
        snapshot: &snapshot.path,
        entry: listing.entry.as_deref(),
        mmproj: listing.mmproj.as_deref(),
        chat_template: listing.chat_template.as_deref(),
    }
}
