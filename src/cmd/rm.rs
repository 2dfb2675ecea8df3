//! `artishim rm`.

use std::collections::BTreeMap;

use clap::Args;

use super::{Context, Error, Result};
use crate::reference::Reference;
use crate::store::{self, Entry, Store};

/// Remove artifacts from the store, and the blobs no other artifact needs
///
/// What artishim's store does not have is removed from Podman's, where Podman is 5.7 or newer.
#[derive(Args, Debug)]
pub struct RmArgs {
    /// Artifacts, by name or digest
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    pub artifacts: Vec<String>,
    /// Remove every artifact
    #[arg(short, long)]
    pub all: bool,
    /// Do not mind artifacts that are not there
    #[arg(short, long)]
    pub ignore: bool,
}

pub(super) async fn run(context: &Context, args: &RmArgs) -> Result<()> {
    let store = context.store()?;
    let artifacts = args.artifacts.iter().map(|artifact| context.stored(&store, artifact));
    let args = &RmArgs { artifacts: artifacts.collect::<Result<_>>()?, ..*args };
    let theirs = theirs(context, &store, args).await?;
    let guard = store.exclusive()?;
    // All names are looked up before anything is removed: a mistyped one leaves everything as it was.
    let entries = entries(&store, args, &theirs)?;
    for entry in &entries {
        store.untag(&guard, entry)?;
    }
    store.gc(&guard)?;
    drop(guard);
    for entry in &entries {
        context.ui.data(entry.descriptor.digest.hex())?;
    }
    let names: Vec<String> = theirs.into_values().collect();
    if names.is_empty() { Ok(()) } else { context.remove_by_podman(names).await }
}

/// What is podman's, with its names there.
async fn theirs(context: &Context, store: &Store, args: &RmArgs) -> Result<BTreeMap<String, String>> {
    if args.all {
        return context.podmans_artifacts().await;
    }
    let mut theirs = BTreeMap::new();
    for artifact in &args.artifacts {
        if let Err(store::Error::NotFound { .. }) = store.find(artifact)
            && let Some(name) = context.podmans(artifact).await?
        {
            theirs.insert(artifact.clone(), name);
        }
    }
    Ok(theirs)
}

/// An artifact that was asked for by its digest has to have one name: the digest does not say which is to go.
fn only(store: &Store, text: &str, entry: Entry) -> Result<Entry> {
    let is_digest = text.parse::<Reference>().map_or(true, |reference| entry.name != Some(reference.to_string()));
    let is_same = |other: &Entry| other.descriptor.digest == entry.descriptor.digest;
    let names: Vec<String> = store.list()?.into_iter().filter(is_same).filter_map(|other| other.name).collect();
    if is_digest && names.len() > 1 && entry.name.as_deref() != Some(text) {
        return Err(Error::usage(format!("{text} has several names: name those to remove ({})", names.join(", "))));
    }
    Ok(entry)
}

fn entries(store: &Store, args: &RmArgs, theirs: &BTreeMap<String, String>) -> Result<Vec<Entry>> {
    if args.all {
        return Ok(store.list()?);
    }
    let mut entries = Vec::new();
    for artifact in args.artifacts.iter().filter(|artifact| !theirs.contains_key(*artifact)) {
        match store.find(artifact) {
            Ok(entry) if entries.contains(&entry) => {}
            Ok(entry) => entries.push(only(store, artifact, entry)?),
            Err(store::Error::NotFound { .. }) if args.ignore => {}
            Err(error) => return Err(Error::from(error)),
        }
    }
    Ok(entries)
}
