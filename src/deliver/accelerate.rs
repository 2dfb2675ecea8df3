//! Podman's pull with our own engine before it: we fetch and verify the layers, podman finds them and does the rest.
//!
//! 1. The layers podman lacks are fetched into a [`Staging`] store beside podman's blobs, where a killed pull goes on.
//! 2. Under podman's own lock they are renamed to where podman looks for them.
//! 3. `podman artifact pull` asks the registry for the manifest and the config, as always, and fetches no layer again.
//! 4. If podman did not take the artifact after all, what no other artifact of its refers to is taken back.
//!
//! The staging store is removed once podman has answered; after an interruption, or an error before that, it is what the
//! next pull goes on with.

use std::path::Path;

use futures_util::FutureExt as _;

use super::native::{self, RegistryFlags};
use super::{Error, Result};
use crate::cause::one_line;
use crate::engine::{Cache, Engine, Kind};
use crate::manifest::Descriptor;
use crate::process;
use crate::pull::{self, Artifact, Session};
use crate::reference::Reference;
use crate::store::{self, PodmanStore, Staging};

/// Whether our engine fetches what podman keeps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Accelerate {
    /// It does not.
    #[default]
    No,
    /// It does where it can; elsewhere a note says why not, and podman does all of it.
    IfPossible,
    /// It does, or the pull fails.
    Must,
}

/// Why podman must do all of a pull.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// Without an engine there is no podman either.
    #[error("no Podman 5.7 or newer was found")]
    NoPodman,
    /// Docker, or a podman that is too old.
    #[error("{0} does not keep artifacts itself, so artishim pulls for it anyway")]
    Keepless(String),
    /// Podman behind an API.
    #[error("{0} is reached as a service, so its artifact store cannot be written from here")]
    Service(String),
    /// Podman sees another directory by that name.
    #[error("{directory} is not the directory that {engine} sees under that name")]
    Elsewhere {
        /// The podman.
        engine: String,
        /// Its artifact store.
        directory: String,
    },
    /// Podman has not made what it says it has.
    #[error("{0} has made no artifact store in {1}")]
    NoStore(String, String),
    /// Podman answers nothing of use.
    #[error("{0} does not say where its artifacts are: {1}")]
    Silent(String, String),
    /// The layout.
    #[error(transparent)]
    Layout(#[from] store::Unfamiliar),
    /// Podman keeps whole artifacts.
    #[error("Podman cannot hold a part of an artifact, so artishim pulls {0} anyway")]
    Part(String),
    /// Podman would choose, and not by our rules.
    #[error("{0} is an index, from which Podman chooses by itself")]
    Index(String),
}

impl Accelerate {
    /// Refuses what must be accelerated on an engine that cannot be helped.
    pub fn check(self, engine: Option<&Engine>) -> Result<()> {
        match (self, refusal(engine)) {
            (Self::Must, Some(refusal)) => Err(refusal.into()),
            _ => Ok(()),
        }
    }
}

fn refusal(engine: Option<&Engine>) -> Option<Refusal> {
    match engine {
        None => Some(Refusal::NoPodman),
        Some(podman) if podman.kind == Kind::Podman && !podman.is_local() => Some(Refusal::Service(podman.to_string())),
        Some(engine) if !engine.mounts_artifacts() => Some(Refusal::Keepless(engine.to_string())),
        Some(_) => None,
    }
}

/// A pull by podman.
pub struct PodmanPull<'a> {
    /// The podman.
    pub engine: &'a Engine,
    /// Registries, and who watches.
    pub session: &'a Session,
    /// What is pulled.
    pub reference: &'a Reference,
    /// What the registry says it is.
    pub artifact: &'a Artifact,
    /// What podman is told about the registry.
    pub flags: &'a RegistryFlags,
    /// Whether our engine fetches the layers.
    pub accelerate: Accelerate,
    /// What was found out about engines before.
    pub cache: &'a Cache,
}

impl PodmanPull<'_> {
    /// Has podman pull the artifact. What podman itself refused is an [`Error::Engine`].
    pub async fn run(&self) -> Result<()> {
        match self.podman_store().await? {
            Some(store) if self.lacks_any(&store) || self.was_begun(&store) => self.accelerated(store).await,
            _ => self.plain().await,
        }
    }

    async fn plain(&self) -> Result<()> {
        Ok(native::pull(self.engine, self.reference, self.flags).await?)
    }

    /// Where podman's blobs are, if they are to be put there by us.
    async fn podman_store(&self) -> Result<Option<PodmanStore>> {
        if self.accelerate == Accelerate::No {
            return Ok(None);
        }
        match self.find_store().await {
            Ok(store) => Ok(Some(store)),
            Err(Error::Accelerate(refusal)) if self.accelerate == Accelerate::IfPossible => {
                self.session.progress.note(&format!("not accelerated: {refusal}"));
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    async fn find_store(&self) -> Result<PodmanStore> {
        match self.artifact.is_child {
            true => Err(Refusal::Index(self.reference.to_string()).into()),
            false => find_store(self.engine, self.cache).await,
        }
    }

    fn lacks_any(&self, store: &PodmanStore) -> bool {
        self.artifact.manifest.layers.iter().any(|layer| store.lacks(layer))
    }

    /// Whether an earlier pull left something, which then goes with this one.
    fn was_begun(&self, store: &PodmanStore) -> bool {
        Staging::is_there(&store.staging(), &self.artifact.descriptor.digest)
    }

    async fn accelerated(&self, store: PodmanStore) -> Result<()> {
        let staging = self.staging(&store).await?;
        let layers = self.fetch(&store, &staging).await?;
        self.put(&store, &staging, layers.clone()).await?;
        let pulled = self.plain().await;
        let is_taken = pulled.is_ok() && !store.lacks(&self.artifact.descriptor);
        let finished = self.finish(&store, staging, if is_taken { Vec::new() } else { layers }).await;
        // What podman says comes first.
        pulled.and(finished)
    }

    async fn finish(&self, store: &PodmanStore, staging: Staging, untaken: Vec<Descriptor>) -> Result<()> {
        if !untaken.is_empty() {
            self.take_back(store, &staging, untaken).await?;
        }
        if self.is_interrupted() {
            return Ok(());
        }
        Ok(process::run_blocking(move || staging.remove()).await?)
    }

    async fn staging(&self, store: &PodmanStore) -> Result<Staging> {
        let (base, digest) = (store.staging(), self.artifact.descriptor.digest.clone());
        let wait = self.note("waiting for another pull of the same artifact");
        self.unless_interrupted(move || Staging::open(&base, &digest, wait)).await
    }

    /// Fetches the layers that podman lacks, and says which.
    async fn fetch(&self, store: &PodmanStore, staging: &Staging) -> Result<Vec<Descriptor>> {
        let session = Session { store: staging.store().clone(), ..self.session.clone() };
        let mut artifact = Artifact { is_stored: false, ..self.artifact.clone() };
        let (missing, present) = artifact.manifest.layers.into_iter().partition(|layer| store.lacks(layer));
        let present: Vec<Descriptor> = present;
        for layer in &present {
            session.progress.skipped(layer, self.artifact.plan.name_of(&layer.digest));
        }
        artifact.manifest.layers = missing;
        Ok(session.fetch(self.reference, artifact).await?.manifest.layers)
    }

    async fn put(&self, store: &PodmanStore, staging: &Staging, layers: Vec<Descriptor>) -> Result<()> {
        let (store, from) = (store.clone(), staging.store().clone());
        let wait = self.note("waiting for Podman, which is at work on its artifacts");
        self.unless_interrupted(move || store.lock(wait)?.put(&from, &layers)).await
    }

    async fn take_back(&self, store: &PodmanStore, staging: &Staging, layers: Vec<Descriptor>) -> Result<()> {
        let (store, to) = (store.clone(), staging.store().clone());
        Ok(process::run_blocking(move || store.lock(|| ())?.take_back(&to, &layers)).await?)
    }

    fn note(&self, text: &str) -> impl FnOnce() + Send + use<> {
        let (progress, text) = (self.session.progress.clone(), format!("{}: {text}", self.reference));
        move || progress.note(&text)
    }

    /// Does what may wait for others.
    async fn unless_interrupted<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> store::Result<T> + Send + 'static,
    ) -> Result<T> {
        tokio::select! {
            done = process::run_blocking(work) => Ok(done?),
            () = self.session.interrupt.heard() => Err(pull::Error::Interrupted.into()),
        }
    }

    fn is_interrupted(&self) -> bool {
        self.session.interrupt.heard().now_or_never().is_some()
    }
}

/// The artifact store of a podman on this machine, if blobs can be put there.
pub async fn find_store(engine: &Engine, cache: &Cache) -> Result<PodmanStore> {
    if let Some(refusal) = refusal(Some(engine)) {
        return Err(refusal.into());
    }
    let store = own_store(engine).await?;
    let root = store.root();
    if !engine.sees_path(root, root, cache).await? {
        let (engine, directory) = (engine.to_string(), root.display().to_string());
        return Err(Refusal::Elsewhere { engine, directory }.into());
    }
    Ok(store)
}

/// The artifact store that podman names, and makes if it has none yet.
async fn own_store(engine: &Engine) -> Result<PodmanStore> {
    let silent = |error| Refusal::Silent(engine.to_string(), one_line(&error));
    let graph_root = engine.graph_root().await.map_err(silent)?;
    if let Some(store) = open(&graph_root)? {
        return Ok(store);
    }
    let listed = process::capture(engine.cli()?.call().args(["artifact", "ls"])).await;
    listed.map_err(|error| silent(error.into()))?;
    open(&graph_root)?.ok_or_else(|| Refusal::NoStore(engine.to_string(), graph_root.display().to_string()).into())
}

fn open(graph_root: &Path) -> Result<Option<PodmanStore>> {
    Ok(PodmanStore::open(graph_root).map_err(Refusal::from)?)
}
