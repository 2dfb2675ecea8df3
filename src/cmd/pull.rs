//! `artishim pull`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;

use super::args::{PartArgs, PullPolicy};
use super::prepare::{self, Home};
use super::{Context, Error, Result};
use crate::checkout::fetch_and_check_out;
use crate::deliver::accelerate::Accelerate;
use crate::pull::{Gate, Part, Policy, Session, read_key};
use crate::reference::Reference;

/// Pull an artifact from a registry
///
/// On Podman 5.7 and newer the artifact goes to Podman's own store, elsewhere to artishim's. A pull that was stopped
/// goes on where it was.
///
/// With --accelerate, artishim fetches and verifies the layers and puts them into Podman's artifact store on this
/// machine, under Podman's own lock; `podman artifact pull` finds them there and does the rest.
/// ARTISHIM_ACCELERATE=true, or `accelerate = true` in the configuration file, does the same where it can, and
/// elsewhere Podman pulls as without it.
///
/// With --include, --exclude and --entry-only a part of the artifact is pulled into artishim's store. The name then
/// stands for this part, in all commands, until it is pulled without these options, which fetches the rest, or with
/// others.
///
/// With --verify-key nothing is pulled that has no signature by this key for its digest, as `cosign verify --key` asks
/// for it; for which name it was signed does not count. The artifact goes to artishim's store, on Podman too, and the
/// registry is asked even for what is here already, as the signatures are there.
#[derive(Args, Debug)]
pub struct PullArgs {
    /// Artifact to pull
    pub reference: String,
    /// When to ask the registry
    #[arg(long, value_name = "WHEN", default_value = "always")]
    pub pull: PullPolicy,
    #[command(flatten)]
    pub part: PartArgs,
    /// Require a signature by the public key in this file, in PEM, as cosign, podman and skopeo make them
    #[arg(long, value_name = "FILE")]
    pub verify_key: Option<PathBuf>,
    /// Show nothing but errors
    #[arg(short, long)]
    pub quiet: bool,
}

pub(super) async fn run(context: &Context, args: PullArgs) -> Result<()> {
    let context = &context.quiet(args.quiet);
    let part = part(&args.part)?;
    let session = Session { part, ..context.session()? };
    let policy = Policy::from(args.pull);
    let reference = session.reference(&args.reference, policy).await?;
    if let Some(key) = &args.verify_key {
        return verified(context, session, &reference, policy, key).await;
    }
    if matches!(policy, Policy::Missing | Policy::Never) && prepare::is_here(context, &session, &reference).await? {
        return Ok(());
    }
    if policy == Policy::Never {
        return Err(crate::pull::Error::Missing(reference).into());
    }
    match prepare::home(context, &session, &reference).await? {
        Home::Podman(found) => prepare::pull_by_podman(context, &session, &found, &reference).await,
        Home::Store => into_store(&session, &reference, policy).await,
    }
}

async fn into_store(session: &Session, reference: &Reference, policy: Policy) -> Result<()> {
    let artifact = session.find(reference, policy).await?;
    // Unpacked while it arrives, and refused before it has a name.
    if artifact.plan.has_archives() {
        fetch_and_check_out(session, reference, artifact).await?;
    } else {
        session.fetch(reference, artifact).await?;
    }
    Ok(())
}

/// Pulls what a key has signed; whatever is here, the registry has the signatures.
async fn verified(
    context: &Context,
    session: Session,
    reference: &Reference,
    policy: Policy,
    file: &Path,
) -> Result<()> {
    if policy == Policy::Never {
        return Err(Error::usage(String::from("--verify-key asks the registry, so --pull never does not go with it")));
    }
    if context.accelerate()? == Accelerate::Must {
        return Err(Error::usage(String::from("--accelerate is for Podman's store, and --verify-key for artishim's")));
    }
    let path = file.display().to_string();
    let key = read_key(file).map_err(|source| Error::Key { path: path.clone(), source })?;
    let gate = Arc::new(Gate { key: Some((path, key)), ..Gate::clone(&session.gate) });
    into_store(&Session { gate, ..session }, reference, Policy::Always).await
}

/// What is asked for; all of it without options.
fn part(args: &PartArgs) -> Result<Part> {
    if args.entry.is_some() && !args.entry_only {
        let text = "--entry goes with --entry-only; `artishim path --entry` chooses among what is here";
        return Err(Error::usage(text.to_owned()));
    }
    Ok(args.request()?.map_or(Part::Whole, Part::Asked))
}
