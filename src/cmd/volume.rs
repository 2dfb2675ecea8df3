//! `artishim volume`.

use clap::Args;

use super::args::PullPolicy;
use super::{Context, Result};
use crate::deliver::volume;

/// Fill a volume of the engine with an artifact's files and print its name
///
/// What the store does not have goes straight from the registry to the engine, verified on the way, and is not kept on
/// this machine. A volume that is filled already is used as it is.
#[derive(Args, Debug)]
pub struct VolumeArgs {
    /// Artifact
    pub reference: String,
    /// Name of the volume instead of one made of the digest
    pub name: Option<String>,
    /// When to ask the registry
    #[arg(long, value_name = "WHEN", default_value = "missing")]
    pub pull: PullPolicy,
}

pub(super) async fn run(context: &Context, args: VolumeArgs) -> Result<()> {
    let engine = context.engine().await?;
    let session = context.session()?;
    let reference = session.reference(&args.reference, args.pull.into()).await?;
    let artifact = session.find(&reference, args.pull.into()).await?;
    let source = volume::Source { session: &session, reference: &reference, artifact: &artifact };
    let volume = volume::fill(&engine, &source, args.name.as_deref(), &context.locks()).await?;
    Ok(context.ui.data(&volume.name)?)
}
