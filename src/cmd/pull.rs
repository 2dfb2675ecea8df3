//! `artishim pull`.

use clap::Args;

use super::args::PullPolicy;
use super::prepare::{self, Home};
use super::{Context, Result};
use crate::pull::Policy;
use crate::reference::Reference;

/// Pull an artifact from a registry
///
/// On Podman 5.7 and newer the artifact goes to Podman's own store, elsewhere to artishim's. A pull that was stopped
/// goes on where it was.
#[derive(Args, Debug)]
pub struct PullArgs {
    /// Artifact to pull
    pub reference: String,
    /// When to ask the registry
    #[arg(long, value_name = "WHEN", default_value = "always")]
    pub pull: PullPolicy,
    /// Show nothing but errors
    #[arg(short, long)]
    pub quiet: bool,
}

pub(super) async fn run(context: &Context, args: PullArgs) -> Result<()> {
    let context = &context.quiet(args.quiet);
    let reference: Reference = args.reference.parse()?;
    let session = context.session()?;
    let policy = Policy::from(args.pull);
    if matches!(policy, Policy::Missing | Policy::Never) && prepare::is_here(context, &session, &reference).await? {
        return Ok(());
    }
    if policy == Policy::Never {
        return Err(crate::pull::Error::Missing(reference).into());
    }
    match prepare::home(context, &session, &reference).await? {
        Home::Podman(engine) => prepare::pull_by_podman(context, &session, &engine, &reference).await,
        Home::Store => {
            session.pull(&reference, policy).await?;
            Ok(())
        }
    }
}
