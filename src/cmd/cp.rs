//! `artishim cp`.

use clap::Args;

use super::args::PullPolicy;
use super::{Context, Error, Result};
use crate::deliver::copy;

/// Copy an artifact's files into a container that exists, after pulling them
#[derive(Args, Debug)]
pub struct CpArgs {
    /// Artifact
    pub reference: String,
    /// Container, and the absolute path of a directory that exists in it
    #[arg(value_name = "CONTAINER:/DIRECTORY")]
    pub target: String,
    /// When to ask the registry
    #[arg(long, value_name = "WHEN", default_value = "missing")]
    pub pull: PullPolicy,
}

pub(super) async fn run(context: &Context, args: CpArgs) -> Result<()> {
    let Some((container, path)) = args.target.split_once(':').filter(|(_, path)| path.starts_with('/')) else {
        return Err(Error::usage(format!("{}: expected CONTAINER:/PATH", args.target)));
    };
    let engine = context.engine().await?;
    let session = context.session()?;
    let reference = session.reference(&args.reference, args.pull.into()).await?;
    // Into a container that may be running only what has been verified to its end: it comes from the store.
    let artifact = session.pull(&reference, args.pull.into()).await?;
    copy::copy_all(&engine, container, path, &session, &reference, &artifact).await?;
    Ok(())
}
