//! `artishim push`.

use std::fs;
use std::path::PathBuf;

use clap::Args;

use super::{Context, Error, FAILURE, Result};
use crate::deliver::native;
use crate::push::{self, Session};
use crate::reference::Reference;
use crate::store::{self, Entry, Store};
use crate::ui::Way;

/// Send an artifact to a registry
///
/// Blobs that the registry has are not sent again, and are taken from other repositories of it where artishim knows of
/// one. What artishim's store does not have is pushed by Podman 5.7 and newer, under its own name only.
#[derive(Args, Debug)]
pub struct PushArgs {
    /// Artifact, by name or digest
    pub artifact: String,
    /// Where it goes, instead of where its name says
    pub destination: Option<String>,
    /// File to write the digest of the manifest to
    #[arg(long, value_name = "FILE")]
    pub digestfile: Option<PathBuf>,
    /// Show nothing but errors
    #[arg(short, long)]
    pub quiet: bool,
}

pub(super) async fn run(context: &Context, args: PushArgs) -> Result<()> {
    let context = &context.quiet(args.quiet);
    let store = context.store()?;
    let entry = match store.find(&context.stored(&store, &args.artifact)?) {
        Ok(entry) => entry,
        Err(error) if args.destination.is_none() && args.digestfile.is_none() => {
            return push_by_podman(context, &args, error).await;
        }
        Err(error) => return Err(error.into()),
    };
    let destination = args.destination.as_deref().or(entry.name.as_deref());
    let destination =
        destination.ok_or_else(|| Error::usage(format!("{} has no name: say where it goes", args.artifact)))?;
    let destination: Reference = destination.parse()?;
    // What cannot be written to is better known before anything is sent.
    if let Some(path) = &args.digestfile {
        fs::File::options().create(true).append(true).open(path).map_err(|error| Error::io(path, error))?;
    }
    let session = session(context, store, &entry, &destination)?;
    let digest = session.push(&entry, &destination).await?;
    match &args.digestfile {
        Some(path) => fs::write(path, digest.to_string()).map_err(|error| Error::io(path, error)),
        None => Ok(()),
    }
}

fn session(context: &Context, store: Store, entry: &Entry, destination: &Reference) -> Result<Session> {
    let client = context.client_to_push(push::repositories(&store, entry, destination)?)?;
    let progress = context.ui.progress(context.global.progress, Way::There);
    Ok(Session { client, store, progress, interrupt: context.interrupt() })
}

/// Hands what our store does not have to podman.
///
/// With a password to be used podman does not take our place: it gets that in a file, which goes when podman has ended.
async fn push_by_podman(context: &Context, args: &PushArgs, error: store::Error) -> Result<()> {
    let flags = context.podman_flags()?;
    if flags.creds.is_none() || !matches!(error, store::Error::NotFound { .. }) {
        let arguments = |name| podman_arguments(context, args, name);
        return Err(context.hand_over(error, &args.artifact, arguments).await);
    }
    let name = context.podmans(&args.artifact).await?;
    let (Some(name), Some(podman)) = (name, context.artifact_podman().await) else { return Err(error.into()) };
    let destination: Reference = name.parse()?;
    let status = native::push(&podman, (&name, destination.registry()), args.quiet, &flags).await?;
    let code = status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(FAILURE);
    if code == 0 { Ok(()) } else { Err(Error::Ended(code)) }
}

fn podman_arguments(context: &Context, args: &PushArgs, name: String) -> Vec<String> {
    let registry = &context.global.registry;
    let mut arguments = vec![String::from("push")];
    arguments.extend(args.quiet.then(|| String::from("--quiet")));
    arguments.extend(registry.tls_verify.map(|verify| format!("--tls-verify={verify}")));
    arguments.extend(registry.authfile.as_ref().map(|file| format!("--authfile={}", file.display())));
    arguments.extend(registry.cert_dir.as_ref().map(|directory| format!("--cert-dir={}", directory.display())));
    arguments.push(name);
    arguments
}
