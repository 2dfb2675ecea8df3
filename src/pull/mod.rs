//! The only pull: resolve, manifest, plan, blobs, commit, tag.
//!
//! A lease names every blob before it is looked for, so a sweep running beside us takes nothing we count on. Blobs are
//! fetched several at once and each in several ranges at once, through the store's staged files, and are visible only
//! when verified. The manifest is stored after its blobs and the name moves last: who finds a name finds everything
//! below it, or below the [`part`] it stands for.
//!
//! A blob's way: [`blob`] claims it in the store, [`download`] fetches it with the [`connections`] there are, range by
//! range as [`work`] hands them out, as long as [`failures`] bears with the registry; [`shares`] are what other pulls
//! leave of the connections, and a [`scout`] looks for a faster place beside a slow mirror. [`stream`] sends the same
//! downloads in order to a reader, and nothing is staged; [`opener`] begins them one ahead of the other. [`arrivals`]
//! lets archives be unpacked while they come. [`prefix`] brings the first bytes of a blob for who only wants to know what
//! it is. [`gate`] holds what policy.json says against the signatures that [`attached`] finds in the registry, before any blob.

mod arrivals;
mod attached;
mod batch;
mod blob;
mod connections;
mod download;
mod error;
mod failures;
mod gate;
mod interrupt;
mod memory;
mod names;
mod opener;
mod part;
mod prefix;
mod ramp;
mod scout;
mod settings;
mod shares;
mod stream;
mod work;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use bytes::Bytes;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

pub use self::arrivals::Arrivals;
use self::connections::Connections;
pub use self::error::{Error, Result};
pub use self::gate::{Gate, read_key};
pub use self::interrupt::{Interrupt, Interrupter};
pub use self::part::{Part, load};
pub use self::settings::Settings;
pub(crate) use self::stream::verified;
use crate::cause::one_line;
use crate::digest::Mismatch;
use crate::manifest::{self, Descriptor, Manifest, Platform};
use crate::media;
use crate::packaging::{self, Plan};
use crate::progress::Progress;
use crate::reference::Reference;
use crate::registries_conf::short_names::ShortNames;
use crate::registry::Client;
use crate::store::{Lease, Store};

/// A blob that one request brings; those go first.
const SMALL: u64 = 1024 * 1024;
/// How deep indexes may nest.
const MAX_DEPTH: usize = 4;
/// How many children of one index are asked what they are.
const MAX_UNTOLD: usize = 16;

/// When the registry is asked, as for the engines' `--pull`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Policy {
    /// Only for what the store does not have.
    #[default]
    Missing,
    /// Always; it is an error when the registry does not answer.
    Always,
    /// Always, but what the store has serves when the registry does not answer.
    Newer,
    /// Never.
    Never,
}

/// What a pull works with.
#[derive(Clone)]
pub struct Session {
    /// The registries.
    pub client: Client,
    /// Where blobs go.
    pub store: Store,
    /// Who watches.
    pub progress: Arc<dyn Progress>,
    /// How it goes about it.
    pub settings: Settings,
    /// Which child of an index is wanted.
    pub platform: Option<Platform>,
    /// Which files are wanted.
    pub part: Part,
    /// Whether the store gives what is pulled the name it was asked for by; else the caller keeps it from being swept.
    pub names: bool,
    /// What names without a registry stand for.
    pub short_names: ShortNames,
    /// What an artifact must have so that it may be pulled.
    pub gate: Arc<Gate>,
    /// What the user typed, where references are pinned since: that counts for the gate.
    pub typed: Option<Reference>,
    /// The user's wish to stop.
    pub interrupt: Interrupt,
}

/// A manifest with all that is needed to lay its files out.
#[derive(Clone, Debug)]
pub struct Artifact {
    /// The manifest's own descriptor.
    pub descriptor: Descriptor,
    /// The manifest as it came.
    pub bytes: Bytes,
    /// The manifest, parsed.
    pub manifest: Manifest,
    /// The config's bytes; empty where there is none.
    pub config: Bytes,
    /// Its packaging and those of its files that are wanted.
    pub plan: Plan,
    /// Whether all blobs of these files were in the store when it was looked up.
    pub is_stored: bool,
    /// Whether the reference is an index's, from which it was chosen.
    pub is_child: bool,
}

impl Session {
    /// Makes sure the store has the artifact, asking the registry as `policy` says.
    pub async fn pull(&self, reference: &Reference, policy: Policy) -> Result<Artifact> {
        let found = self.find(reference, policy).await?;
        self.fetch(reference, found).await
    }

    /// What the store has, or what the registry says, as `policy` asks; blobs are not fetched.
    pub async fn find(&self, reference: &Reference, policy: Policy) -> Result<Artifact> {
        match policy {
            Policy::Never => {
                let stored = self.stored(reference).map_err(|error| error.of(reference))?;
                stored.ok_or_else(|| Error::Missing(reference.clone()))
            }
            Policy::Missing => match self.healthy(reference) {
                Some(artifact) => Ok(artifact),
                None => self.resolve(reference).await,
            },
            Policy::Always => self.resolve(reference).await,
            Policy::Newer => match (self.resolve(reference).await, self.healthy(reference)) {
                (Err(error), Some(artifact)) if error.is_transient() => {
                    self.progress.note(&format!("{reference}: using the stored artifact: {}", one_line(&error)));
                    Ok(artifact)
                }
                (resolved, _) => resolved,
            },
        }
    }

    /// [`Session::stored`] where the registry can be asked instead: what is damaged is pulled again.
    pub fn healthy(&self, reference: &Reference) -> Option<Artifact> {
        self.stored(reference).unwrap_or_else(|error| {
            tracing::warn!(%reference, %error, "the stored artifact is of no use");
            None
        })
    }

    /// Asks the registry for the manifest and the config only.
    pub async fn resolve(&self, reference: &Reference) -> Result<Artifact> {
        self.ask(reference).await.map_err(|error| error.of(reference))
    }

    async fn ask(&self, reference: &Reference) -> Result<Artifact> {
        let (descriptor, bytes, manifest, is_child) = self.leaf(reference).await?;
        let config = match &manifest.config {
            Some(config) => self.small_blob(reference, config).await?,
            None => Bytes::new(),
        };
        let plan = packaging::plan(&manifest, &config)?;
        let mut artifact = Artifact { descriptor, bytes, manifest, config, plan, is_stored: false, is_child };
        if let Some(index) = reference.digest().filter(|_| is_child) {
            artifact.descriptor.annotations.insert(media::CHOSEN_FROM.to_owned(), index.to_string());
        }
        self.narrow(reference, artifact).await
    }

    /// Fetches what the store does not have of an artifact that was found, and names it `reference`.
    pub async fn fetch(&self, reference: &Reference, artifact: Artifact) -> Result<Artifact> {
        if !artifact.is_stored {
            let lease = self.collect(reference, &artifact, &Arc::default()).await?;
            self.name(reference, &artifact, &lease).await?;
        }
        Ok(artifact)
    }

    /// Fetches the blobs that the store does not have; the lease keeps them until the artifact has a name.
    pub async fn collect(
        &self,
        reference: &Reference,
        artifact: &Artifact,
        arrivals: &Arc<Arrivals>,
    ) -> Result<Arc<Lease>> {
        let lease = self.prepare(artifact).await?;
        artifact.manifest.config.iter().for_each(|config| arrivals.here(&config.digest));
        let blobs = artifact.blobs().into_iter();
        let blobs = blobs.filter(|blob| Some(*blob) != artifact.manifest.config.as_ref()).cloned().collect();
        self.fetch_blobs(reference, artifact, blobs, &lease, arrivals).await?;
        Ok(lease)
    }

    /// Leases all that is about to be fetched, and stores the config, which was read to know the packaging.
    async fn prepare(&self, artifact: &Artifact) -> Result<Arc<Lease>> {
        let (store, config) = (self.store.clone(), artifact.config.clone());
        let described = artifact.manifest.config.as_ref().map(|config| config.digest.clone());
        let blobs = artifact.blobs().into_iter().chain([&artifact.descriptor]);
        let digests = blobs.map(|blob| blob.digest.clone()).chain([artifact.extent().key()]).collect::<Vec<_>>();
        blocking(move || {
            let lease = store.lease(&digests)?;
            described.map_or(Ok(()), |digest| store.put_blob(&lease, &config, &digest))?;
            Ok(Arc::new(lease))
        })
        .await
    }

    /// Names an artifact whose blobs were collected: who finds the name finds everything.
    pub async fn name(&self, reference: &Reference, artifact: &Artifact, lease: &Arc<Lease>) -> Result<()> {
        let (store, lease, reference) = (self.store.clone(), Arc::clone(lease), reference.clone());
        let (bytes, descriptor, names) = (artifact.bytes.clone(), artifact.descriptor.clone(), self.names);
        blocking(move || {
            store.put_blob(&lease, &bytes, &descriptor.digest)?;
            if !names {
                return Ok(());
            }
            let guard = store.exclusive()?;
            Ok(store.tag(&guard, &reference, descriptor)?)
        })
        .await
    }

    async fn fetch_blobs(
        &self,
        reference: &Reference,
        artifact: &Artifact,
        mut blobs: Vec<Descriptor>,
        lease: &Arc<Lease>,
        arrivals: &Arc<Arrivals>,
    ) -> Result<()> {
        let bytes = manifest::total(&blobs);
        self.store.check_space(&blobs)?;
        self.progress.planned(blobs.len(), bytes);
        // The small ones first, as nothing waits for them then; the others as the artifact has them.
        blobs.sort_by_key(|blob| blob.size > SMALL);
        let connections = Connections::new(self, reference, blobs.len(), bytes);
        // No more blobs at once than connections: what is begun is to be finished.
        let slots = Arc::new(Semaphore::new(self.settings.connections.max(1)));
        let (stopper, stop) = Interrupter::new();
        let mut tasks = JoinSet::new();
        for descriptor in blobs {
            let fetch = blob::Fetch {
                session: self.clone(),
                connections: Arc::clone(&connections),
                reference: reference.clone(),
                name: artifact.plan.name_of(&descriptor.digest).to_owned(),
                lease: Arc::clone(lease),
                arrivals: Arc::clone(arrivals),
                stop: stop.clone(),
                was_resumed: AtomicBool::new(false),
                has_left_mirrors: AtomicBool::new(false),
                received: Arc::default(),
                blob: descriptor,
            };
            let slots = Arc::clone(&slots);
            tasks.spawn(async move {
                let _slot = slots.acquire_owned().await.map_err(|_| Error::Interrupted)?;
                fetch.run().await
            });
        }
        let fetched = tokio::select! {
            fetched = join(&mut tasks) => fetched,
            () = self.interrupt.heard() => Err(Error::Interrupted),
        };
        // After an error or a wish to stop, what has arrived is still written and noted.
        slots.close();
        stopper.interrupt();
        while tasks.join_next().await.is_some() {}
        fetched
    }

    /// Follows indexes down to a manifest that may be pulled; says whether there were any.
    async fn leaf(&self, reference: &Reference) -> Result<(Descriptor, Bytes, Manifest, bool)> {
        let admission = self.gate.open(self.typed(reference))?;
        let (mut child, mut digests): (Option<Descriptor>, _) = (None, Vec::new());
        for depth in 0..=MAX_DEPTH {
            let raw = match &child {
                Some(child) => self.client.manifest_at(reference, &child.digest).await?,
                None => self.client.manifest(reference).await?,
            };
            if let Some(child) = child.filter(|child| child.size != raw.bytes.len() as u64) {
                let (digest, size, seen) = (child.digest, child.size, raw.bytes.len() as u64);
                return Err(Mismatch::Size { digest, size, seen }.into());
            }
            let mut manifest = Manifest::parse(&raw.bytes, &raw.digest)?;
            digests.push(raw.digest.clone());
            if manifest.manifests.is_none() {
                self.admit(reference, admission, &digests).await?;
                let descriptor = Descriptor::new(manifest.kind(), raw.digest, raw.bytes.len() as u64);
                return Ok((descriptor, raw.bytes, manifest, depth > 0));
            }
            self.tell_children(reference, &mut manifest).await;
            child = Some(packaging::choose_child(&manifest, self.platform.as_ref())?.clone());
        }
        Err(Error::Nesting { reference: reference.clone(), depth: MAX_DEPTH })
    }

    /// Asks for the manifests of an index's children that it says nothing of; one that does not come stays untold.
    async fn tell_children(&self, reference: &Reference, index: &mut Manifest) {
        for digest in packaging::untold_children(index).into_iter().take(MAX_UNTOLD) {
            let Ok(raw) = self.client.manifest_at(reference, &digest).await else { continue };
            if let Ok(child) = Manifest::parse(&raw.bytes, &raw.digest) {
                packaging::tell_child(index, &digest, &child);
            }
        }
    }

    /// Reads a blob that is small by nature, from the store or the registry, and checks it.
    async fn small_blob(&self, reference: &Reference, blob: &Descriptor) -> Result<Bytes> {
        if blob.size > manifest::MAX_BYTES {
            return Err(manifest::Error::TooLarge(blob.digest.to_string()).into());
        }
        if self.store.has_blob(blob)? {
            return Ok(self.store.read_blob(blob)?.into());
        }
        self.read_remote(reference, blob).await
    }
}

/// Works on a thread that may wait: for a disk, or for another process that has a lock.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(Error::Stopped)?
}

/// Waits for all tasks, or for the first that fails.
async fn join(tasks: &mut JoinSet<Result<()>>) -> Result<()> {
    while let Some(finished) = tasks.join_next().await {
        finished.map_err(Error::Stopped)??;
    }
    Ok(())
}
