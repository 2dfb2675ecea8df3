//! `artishim prune`.

use clap::Args;

use super::{Context, Result};
use crate::store::{Entry, Swept};
use crate::ui;

/// Remove artifacts without a name, blobs that no artifact needs, and downloads nobody went on with for a week
///
/// What a running artishim or a volume of the driver needs stays. A container keeps single files that it was given, and
/// loses directories, as with artishim rm. Prints what was removed, and how much space that is.
#[derive(Args, Debug)]
pub struct PruneArgs {
    /// Only tell what would be removed
    #[arg(short = 'n', long)]
    pub dry_run: bool,
}

pub(super) fn run(context: &Context, args: &PruneArgs) -> Result<()> {
    let store = context.store()?;
    let guard = store.exclusive()?;
    let nameless: Vec<Entry> = store.list()?.into_iter().filter(|entry| entry.name.is_none()).collect();
    let swept = if args.dry_run {
        store.would_sweep(&guard, &nameless)?
    } else {
        nameless.iter().try_for_each(|entry| store.untag(&guard, entry))?;
        store.gc(&guard)?
    };
    drop(guard);
    for entry in &nameless {
        context.ui.data(&format!("artifact {}", entry.descriptor.digest))?;
    }
    report(context, &swept)
}

fn report(context: &Context, swept: &Swept) -> Result<()> {
    for (kind, digests) in [("blob", &swept.blobs), ("snapshot", &swept.snapshots), ("download", &swept.ingests)] {
        digests.iter().try_for_each(|digest| context.ui.data(&format!("{kind} {digest}")))?;
    }
    Ok(context.ui.data(&format!("Total reclaimed space: {}", ui::size(swept.bytes)))?)
}
