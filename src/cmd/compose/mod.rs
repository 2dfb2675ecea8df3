//! `artishim compose`, and `docker-artifact compose`: what Docker Compose asks of a provider.
//!
//! Compose makes a project's volumes, calls `up`, and then makes the containers of the services that depend on the
//! provider's (docker/compose, docs/extension.md). It reads messages on stdout and shows what comes on stderr beside them.

mod metadata;

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use self::metadata::Metadata;
use super::args::{PartArgs, PullPolicy};
use super::{Context, Error, Result};
use crate::checkout::fetch_and_check_out;
use crate::deliver::project::{ProjectVolume, Service};
use crate::deliver::volume::Source;
use crate::engine::decision::Delivery;
use crate::engine::{Engine, Kind as EngineKind};
use crate::listing::Listing;
use crate::packaging;
use crate::pull::{self, Part, Session};
use crate::reference::Reference;
use crate::store::remove_copy;
use crate::ui::Kind;

/// The first word of what Compose calls.
pub(super) const NAME: &str = "compose";

/// The options for the whole program that a provider may be given.
const OPTIONS: [&str; 4] = ["authfile", "tls_verify", "connections", "platform"];

/// Provide an artifact as a service of Docker Compose
#[derive(Args, Debug)]
pub struct ComposeArgs {
    /// Project
    #[arg(long, value_name = "NAME", default_value = "")]
    pub project_name: String,
    #[command(subcommand)]
    step: Step,
}

#[derive(Debug, Subcommand)]
enum Step {
    /// Print which options there are
    Metadata,
    /// Make the artifact's files available
    Up(UpArgs),
    /// Remove what was made beside the project's volumes
    Down(DownArgs),
}

#[derive(Args, Debug)]
struct UpArgs {
    /// Artifact, as [REGISTRY/]REPOSITORY[:TAG][@DIGEST]
    #[arg(long = "ref", value_name = "REF", required = true)]
    reference: String,
    /// Volume of the project that gets the files
    #[arg(long, value_name = "NAME", conflicts_with = "directory", required_unless_present = "directory")]
    volume: Option<String>,
    /// Directory of this machine, for bind mounts, that gets copies of the files
    #[arg(long, value_name = "DIR")]
    directory: Option<PathBuf>,
    /// Where services mount the volume or directory
    #[arg(long, value_name = "PATH", default_value = "/models")]
    target: String,
    /// When to ask the registry
    #[arg(long, value_name = "WHEN", default_value = "missing")]
    pull: PullPolicy,
    #[command(flatten)]
    part: PartArgs,
    /// Name of the service
    service: String,
}

#[derive(Args, Debug)]
struct DownArgs {
    /// Directory of this machine that got copies of the files
    #[arg(long, value_name = "DIR")]
    directory: Option<PathBuf>,
    /// Name of the service
    service: String,
}

pub(super) async fn run(context: &Context, args: ComposeArgs) -> Result<()> {
    match args.step {
        Step::Metadata => context.json(&Metadata::new()),
        Step::Up(up) => up_service(context, &args.project_name, &up).await,
        Step::Down(down) => match &down.directory {
            Some(directory) => {
                let owner = owner(&args.project_name, &down.service);
                Ok(remove_copy(absolute(directory)?, &owner).map(drop)?)
            }
            // Compose removes the project's volumes itself, if it is asked to.
            None => Ok(()),
        },
    }
}

async fn up_service(context: &Context, project: &str, up: &UpArgs) -> Result<()> {
    let part = up.part.request()?.map_or(Part::Remembered, Part::Asked);
    let session = Session { part, ..context.session()? };
    let reference = session.reference(&up.reference, up.pull.into()).await?;
    let asked = Asked { context, session, reference, up, project };
    let listing = match &up.directory {
        Some(directory) => asked.directory(absolute(directory)?).await?,
        None => asked.volume(up.volume.as_deref().unwrap_or_default()).await?,
    };
    asked.tell(&listing)
}

/// Whose a copy is.
fn owner(project: &str, service: &str) -> String {
    format!("service {service} of project {project}")
}

/// Compose does not say from where a relative path counts.
fn absolute(directory: &Path) -> Result<&Path> {
    if directory.is_absolute() {
        return Ok(directory);
    }
    let directory = directory.display();
    let shown = directory.to_string();
    let below = shown.trim_start_matches("./");
    Err(Error::usage(format!("directory {directory} is not absolute: write ${{PWD}}/{below}")))
}

/// One service that is to come up.
struct Asked<'a> {
    context: &'a Context,
    session: Session,
    reference: Reference,
    up: &'a UpArgs,
    project: &'a str,
}

impl Asked<'_> {
    /// Copies, as Compose mounts a directory writable unless it is told otherwise.
    async fn directory(&self, directory: &Path) -> Result<Listing> {
        let artifact = self.session.find(&self.reference, self.up.pull.into()).await?;
        let snapshot = fetch_and_check_out(&self.session, &self.reference, artifact).await?;
        let (copied, directory) = (snapshot.clone(), directory.to_owned());
        let owner = owner(self.project, &self.up.service);
        let copying = tokio::task::spawn_blocking(move || copied.copy_to(&directory, &owner));
        tokio::select! {
            copied = copying => copied.map_err(Error::internal)??,
            () = self.session.interrupt.heard() => return Err(pull::Error::Interrupted.into()),
        }
        Ok(snapshot.listing)
    }

    async fn volume(&self, name: &str) -> Result<Listing> {
        let (engine, part) = (self.context.docker().await?, self.part());
        let service = Service { project: self.project, name: &self.up.service, part: &part };
        let locks = self.context.locks();
        let Some(volume) = ProjectVolume::find(&engine, service, name, &locks).await? else {
            let text = format!(
                "project {} has no volume {name}: declare it under volumes, and mount it in a service that depends on {}",
                self.project, self.up.service
            );
            return Err(Error::usage(text));
        };
        let is_content = matches!(self.up.pull, PullPolicy::Missing | PullPolicy::Never);
        let held = if is_content { volume.held(&self.reference).await? } else { None };
        if let Some(listing) = held.filter(|listing| self.is_remembered(listing)) {
            return Ok(listing);
        }
        let artifact = self.session.find(&self.reference, self.up.pull.into()).await?;
        if self.shows_store(&engine).await? {
            let snapshot = fetch_and_check_out(&self.session, &self.reference, artifact).await?;
            volume.show(&self.reference, &snapshot).await?;
            return Ok(snapshot.listing);
        }
        let source = Source { session: &self.session, reference: &self.reference, artifact: &artifact };
        Ok(volume.fill(&source).await?)
    }

    /// What was asked for, in words.
    fn part(&self) -> String {
        let (part, platform) = (&self.up.part, &self.context.global.registry.platform);
        let platform = platform
            .as_ref()
            .map(|it| [it.os.clone(), it.architecture.clone(), it.variant.clone().unwrap_or_default()]);
        serde_json::json!([part.include, part.exclude, part.entry_only, part.entry, platform]).to_string()
    }

    /// Whether a volume's files are those that the store means by the name, where nothing else is asked for.
    fn is_remembered(&self, listing: &Listing) -> bool {
        let entry = self.session.store.find(&self.reference.to_string()).ok();
        let remembered = entry.as_ref().and_then(|entry| entry.selection());
        self.session.part != Part::Remembered || listing.selection.as_deref() == remembered
    }

    /// Whether a volume is to show our files instead of copies. Podman would let containers write to them.
    async fn shows_store(&self, engine: &Engine) -> Result<bool> {
        if self.context.wish()?.0 == Some(Delivery::Volume) || engine.kind != EngineKind::Docker {
            return Ok(false);
        }
        let store = self.session.store.root();
        Ok(engine.sees_path(store, store, &self.context.cache()).await?)
    }

    /// Gives the services that depend on this one what they start a server with.
    fn tell(&self, listing: &Listing) -> Result<()> {
        let target = self.up.target.trim_end_matches('/');
        let entry = match &self.up.part.entry {
            Some(entry) => Some(packaging::named_entry(listing, entry)?),
            None => packaging::entry(listing).ok().map(str::to_owned),
        };
        let at = |path: String| if path == "." { target.to_owned() } else { format!("{target}/{path}") };
        let variables = [
            ("DIRECTORY", Some(target.to_owned())),
            ("MODEL", entry.map(at)),
            ("MMPROJ", listing.mmproj.clone().map(at)),
            ("CHAT_TEMPLATE_FILE", listing.chat_template.clone().map(at)),
        ];
        for (name, value) in variables {
            if let Some(value) = value {
                self.context.ui.tell_compose(Kind::SetEnv, &format!("{name}={value}"));
            }
        }
        Ok(())
    }
}
