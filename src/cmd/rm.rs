//! `artishim rm`.

use clap::Args;

use super::{Context, Error, Result};
use crate::store::{self, Entry, Store};

/// Remove artifacts from the store, and the blobs no other artifact needs
///
/// A single artifact that our store does not have is removed from Podman 5.7 and newer.
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
    if let [artifact] = args.artifacts.as_slice()
        && !args.ignore
        && let Err(error) = store.find(artifact)
    {
        return Err(context.hand_over(error, artifact, |name| vec![String::from("rm"), name]).await);
    }
    let guard = store.exclusive()?;
    // All names are looked up before anything is removed: a mistyped one leaves everything as it was.
    let entries = entries(&store, args)?;
    for entry in &entries {
        store.untag(&guard, entry)?;
    }
    store.gc(&guard)?;
    drop(guard);
    for entry in &entries {
        context.ui.data(entry.descriptor.digest.hex())?;
    }
    Ok(())
}

fn entries(store: &Store, args: &RmArgs) -> Result<Vec<Entry>> {
    if args.all {
        return Ok(store.list()?);
    }
    let mut entries = Vec::new();
    for artifact in &args.artifacts {
        match store.find(artifact) {
            Ok(entry) if entries.contains(&entry) => {}
            Ok(entry) => entries.push(entry),
            Err(store::Error::NotFound { .. }) if args.ignore => {}
            Err(error) => return Err(Error::from(error)),
        }
    }
    Ok(entries)
}
