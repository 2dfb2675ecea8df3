//! One artifact mount of a command line, from the user's words to what the engine is told.

use std::borrow::Cow;
use std::path::PathBuf;

use super::accelerate::{Accelerate, PodmanPull};
use super::copy::Copy;
use super::native::RegistryFlags;
use super::{Error, Result, bind, is_whole, native, volume};
use crate::cause::one_line;
use crate::checkout::fetch_and_check_out;
use crate::engine::decision::{self, Decision, Delivery, ReferenceKind, Wanted, Wish};
use crate::engine::{self, Cache, Engine, PathState};
use crate::listing::File;
use crate::mount::{self, ArtifactMount, DestinationState, EngineMount};
use crate::packaging::Packaging;
use crate::pull::{Artifact, Policy, Session};
use crate::reference::{self, Reference};
use crate::store::Entry;

/// What all mounts of a command line have in common.
pub struct Preparation<'a> {
    /// The engine that runs the container.
    pub engine: &'a Engine,
    /// Registries and store.
    pub session: &'a Session,
    /// The container's image, which the engine has; an id lets answers about it be remembered. Without one, no
    /// destination exists.
    pub image: Option<&'a str>,
    /// Where the command line mounts other things.
    pub others: &'a [String],
    /// When the registry is asked.
    pub policy: Policy,
    /// `--deliver`.
    pub wish: Wish,
    /// What was found out about engines and images before.
    pub cache: &'a Cache,
    /// A directory for the turns of those who fill a volume.
    pub locks: PathBuf,
    /// What podman is told about the registry.
    pub podman_flags: RegistryFlags,
    /// Whether our engine fetches what podman keeps.
    pub accelerate: Accelerate,
}

/// What becomes of a mount.
pub enum Prepared {
    /// `--mount` values in its place.
    Mounts(Vec<String>),
    /// Nothing in its place; the files are copied once the container is there.
    Copy(Box<Copy>),
}

/// A mount with what is known about it.
struct Job<'a> {
    mount: &'a ArtifactMount,
    reference: Reference,
    artifact: Artifact,
    state: DestinationState,
}

impl Preparation<'_> {
    /// Finds out what `mount` becomes, and does all that must be done before the container is made.
    pub async fn prepare(&self, mount: &ArtifactMount) -> Result<Prepared> {
        self.carry_out(mount).await.map_err(|error| match error {
            Error::Mount(source @ mount::Error::NoMatch(_)) if self.selection(mount).is_some() => {
                Error::Part { artifact: mount.source.clone(), source }
            }
            error => error,
        })
    }

    async fn carry_out(&self, mount: &ArtifactMount) -> Result<Prepared> {
        if let Some(value) = self.kept_by_podman(mount).await? {
            return Ok(Prepared::Mounts(vec![value]));
        }
        let full = self.full(mount).await?;
        if full.source != mount.source
            && let Some(value) = self.kept_by_podman(&full).await?
        {
            return Ok(Prepared::Mounts(vec![value]));
        }
        let mount = &*full;
        self.accelerate.check(Some(self.engine))?;
        let reference = self.reference(mount)?;
        let state = self.state(mount).await?;
        if let Some(mounts) = self.filled_volume(mount, &reference, state).await? {
            return Ok(Prepared::Mounts(mounts));
        }
        let artifact = self.find(&reference).await?;
        let job = Job { mount, reference, artifact, state };
        let decision = self.decide(&job, estimate(&job)).await?;
        tracing::info!(artifact = %job.reference, delivery = %decision.delivery, reason = decision.reason, "delivering");
        match decision.delivery {
            Delivery::Native => self.native(job).await,
            Delivery::Image => self.image(job).await,
            Delivery::Bind => self.bind(job).await,
            Delivery::Volume => self.volume(job).await,
            Delivery::Copy => self.copy(job).await,
        }
    }

    /// What is to be mounted, whatever signatures it must have where podman may check them.
    async fn find(&self, reference: &Reference) -> Result<Artifact> {
        Ok(match self.engine.checks_signatures() {
            true => self.session.leaving_signatures().find(reference, self.policy).await?,
            false => self.session.find(reference, self.policy).await?,
        })
    }

    /// The same job, once its artifact has the signatures that it must have to be pulled by us.
    async fn admitted<'b>(&self, job: Job<'b>) -> Result<Job<'b>> {
        let is_checked = job.artifact.is_stored || !self.engine.checks_signatures();
        if is_checked || !self.session.gate.asks_for_signatures(&job.reference) {
            return Ok(job);
        }
        let artifact = self.session.resolve(&job.reference).await?;
        Ok(Job { artifact, ..job })
    }

    /// The value of `mount` where podman has the artifact already; nothing of the image need be known for that.
    pub async fn kept_by_podman(&self, mount: &ArtifactMount) -> Result<Option<String>> {
        let is_native = self.engine.mounts_artifacts() && matches!(self.wish, Wish(None | Some(Delivery::Native)));
        if is_native && self.selection(mount).is_none() {
            native::stored(self.engine, mount, self.policy).await
        } else {
            Ok(None)
        }
    }

    /// The mount with the full name that a short one stands for; the first letters of a digest are no name.
    async fn full<'a>(&self, mount: &'a ArtifactMount) -> Result<Cow<'a, ArtifactMount>> {
        let is_digest = |entry: &Entry| entry.descriptor.digest.hex().starts_with(&mount.source);
        let is_short = reference::short_name(&mount.source).is_some();
        if !is_short || self.session.store.find(&mount.source).is_ok_and(|entry| is_digest(&entry)) {
            return Ok(Cow::Borrowed(mount));
        }
        let source = self.session.reference(&mount.source, self.policy).await?.to_string();
        Ok(Cow::Owned(ArtifactMount { source, ..mount.clone() }))
    }

    /// The stored artifact's full name where the user gave a digest or a short name.
    fn reference(&self, mount: &ArtifactMount) -> Result<Reference> {
        let stored = self.session.store.find(&mount.source).ok().and_then(|entry| entry.name);
        let text = stored.as_deref().unwrap_or(&mount.source);
        text.parse().map_err(Error::Reference)
    }

    /// The part that the artifact's name stands for in our store, which podman cannot hold.
    fn selection(&self, mount: &ArtifactMount) -> Option<String> {
        let entry = self.session.store.find(&mount.source).ok()?;
        entry.selection().map(str::to_owned)
    }

    async fn sees_store(&self) -> Result<bool> {
        let store = self.session.store.root();
        Ok(self.engine.sees_path(store, store, self.cache).await?)
    }

    /// What an engine far away was given before is there without asking any registry.
    async fn filled_volume(
        &self,
        mount: &ArtifactMount,
        reference: &Reference,
        state: DestinationState,
    ) -> Result<Option<Vec<String>>> {
        let is_content = matches!(self.policy, Policy::Missing | Policy::Never);
        let may_be_volume = matches!(self.wish, Wish(None | Some(Delivery::Volume)));
        if !is_content || !may_be_volume || !self.engine.has_api() || self.sees_store().await? {
            return Ok(None);
        }
        let Some(volume) = volume::find(self.engine, reference, self.selection(mount).as_deref()).await? else {
            return Ok(None);
        };
        let subpaths = self.engine.mounts_volume_subpaths().await?;
        if !subpaths && !is_whole(mount, state, volume.listing.files.len()) {
            return Ok(None);
        }
        Ok(Some(volume.mounts(self.engine.kind.dialect(), mount, state, subpaths)?))
    }

    async fn state(&self, mount: &ArtifactMount) -> Result<DestinationState> {
        let Some(image) = self.image else { return Ok(DestinationState::Missing) };
        let state = self.engine.path_in_image(image, &mount.destination, self.cache).await?;
        Ok(match state {
            PathState::Missing => DestinationState::Missing,
            PathState::File => DestinationState::File,
            PathState::Directory => DestinationState::Directory,
        })
    }

    async fn decide(&self, job: &Job<'_>, files: usize) -> Result<Decision> {
        let mut facts = self.engine.facts(self.sees_store().await?, self.wish).await?;
        // What our store has already need not be pulled a second time by podman.
        facts.mounts_artifacts &= !job.artifact.is_stored || self.policy == Policy::Always;
        let wanted = Wanted {
            reference: match job.artifact.plan.packaging {
                Packaging::Image => ReferenceKind::Image,
                _ => ReferenceKind::Artifact,
            },
            podman_safe: job.artifact.plan.is_named_as_by_podman(),
            files,
            destination: match job.state {
                DestinationState::Missing => PathState::Missing,
                DestinationState::File => PathState::File,
                DestinationState::Directory => PathState::Directory,
            },
            wish: self.wish,
        };
        let decision = decision::decide(&facts, &wanted)?;
        if facts.mounts_artifacts && decision.delivery != Delivery::Native && wanted.wish == Wish(None) {
            self.session.progress.note(&format!("{}: {}: {}", job.reference, decision.delivery, decision.reason));
        }
        Ok(decision)
    }

    async fn native(&self, job: Job<'_>) -> Result<Prepared> {
        let pull = PodmanPull {
            engine: self.engine,
            session: self.session,
            reference: &job.reference,
            artifact: &job.artifact,
            flags: &self.podman_flags,
            accelerate: self.accelerate,
            cache: self.cache,
        };
        match pull.run().await {
            Ok(()) => Ok(Prepared::Mounts(vec![native::value(job.mount, &job.reference.to_string())])),
            Err(Error::Engine(error)) => self.instead(job, error).await,
            Err(error) => Err(error),
        }
    }

    /// Pulls by ourselves what podman refused, unless podman's way was asked for.
    async fn instead(&self, job: Job<'_>, error: engine::Error) -> Result<Prepared> {
        if self.wish != Wish(None) {
            return Err(error.into());
        }
        let reason = one_line(&error);
        self.session.progress.note(&format!("{}: pulled by artishim, as podman refused: {reason}", job.reference));
        if self.sees_store().await? { self.bind(job).await } else { self.volume(job).await }
    }

    async fn image(&self, job: Job<'_>) -> Result<Prepared> {
        if let Err(error) = native::pull_image(self.engine, &job.reference, self.policy, &self.podman_flags).await {
            return self.instead(job, error).await;
        }
        let mount = EngineMount::Image {
            name: job.reference.to_string(),
            destination: job.mount.destination.clone(),
            subpath: String::from("/models"),
        };
        Ok(Prepared::Mounts(vec![mount.to_value(self.engine.kind.dialect())]))
    }

    async fn bind(&self, job: Job<'_>) -> Result<Prepared> {
        let job = self.admitted(job).await?;
        let snapshot = fetch_and_check_out(self.session, &job.reference, job.artifact).await?;
        let mounts = bind::mounts(self.engine.kind.dialect(), &snapshot, job.mount, job.state)?;
        Ok(Prepared::Mounts(mounts))
    }

    async fn volume(&self, job: Job<'_>) -> Result<Prepared> {
        let job = self.admitted(job).await?;
        let volume = volume::fill(self.engine, &self.source(&job), None, &self.locks).await?;
        let files = &volume.listing.files;
        let subpaths = self.engine.mounts_volume_subpaths().await?;
        if subpaths || is_whole(job.mount, job.state, files.len()) {
            return Ok(Prepared::Mounts(volume.mounts(self.engine.kind.dialect(), job.mount, job.state, subpaths)?));
        }
        // Only now it is known how many files the archives held: one, and this engine cannot mount it alone.
        self.copied(job, files)
    }

    fn source<'a>(&'a self, job: &'a Job<'_>) -> volume::Source<'a> {
        volume::Source { session: self.session, reference: &job.reference, artifact: &job.artifact }
    }

    async fn copy(&self, job: Job<'_>) -> Result<Prepared> {
        let job = self.admitted(job).await?;
        if let Some(files) = job.artifact.plan.files() {
            return self.copied(job, &files);
        }
        let snapshot = fetch_and_check_out(self.session, &job.reference, job.artifact.clone()).await?;
        self.copied(job, &snapshot.listing.files)
    }

    /// Where each file goes; under another mount it would be hidden, or written to somebody's disk.
    fn copied(&self, job: Job<'_>, files: &[File]) -> Result<Prepared> {
        let targets = job.mount.targets(files, job.state)?;
        let cover = |path: &str| self.others.iter().find(|other| is_below(path, other));
        if let Some((path, mount)) = targets.iter().find_map(|target| Some((&target.path, cover(&target.path)?))) {
            return Err(Error::Covered { path: path.clone(), mount: mount.clone() });
        }
        let targets = targets.into_iter().map(|target| (files[target.file].path.clone(), target.path)).collect();
        Ok(Prepared::Copy(Box::new(Copy { reference: job.reference, artifact: job.artifact, targets })))
    }
}

fn is_below(path: &str, directory: &str) -> bool {
    path.strip_prefix(directory).is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || directory == "/")
}

/// How many files the mount shows, before archives are opened: a filter leaves one, an archive counts as several.
fn estimate(job: &Job<'_>) -> usize {
    let is_filtered = job.mount.title.is_some() || job.mount.digest.is_some();
    match job.artifact.plan.files() {
        _ if is_filtered => 1,
        Some(files) => files.len(),
        None => 2,
    }
}
