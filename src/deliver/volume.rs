//! A named volume in the engine, filled once with an artifact's files through a container that never starts.
//!
//! The volume's name is the manifest's digest, or for a part of the artifact a digest of that and of the part
//! ([`Extent::key`]). The listing comes last in the tar: a volume without it, or with one of another manifest or of
//! another part in it, is half-filled by somebody who was interrupted, and is thrown away and filled anew; a volume that is
//! not ours by its label is never touched. Whoever fills holds a file lock on his machine and, against all others, the
//! fixed name of the loader container. A loader that bears our own mark while we hold the lock is left over from a
//! killed process.

use std::collections::HashMap;
use std::path::Path;
use std::time::{Duration, Instant};

use super::archive::{Layout, archive};
use super::{Error, Result, is_whole, lock};
use crate::engine::{Engine, LOADER_PATH};
use crate::listing::{Extent, Listing, MARKER};
use crate::mount::{ArtifactMount, DestinationState, Dialect, EngineMount};
use crate::pull::{Artifact, Session};
use crate::reference::Reference;

/// The label that says which artifact a volume or loader container is for.
pub const DIGEST_LABEL: &str = "io.artishim.digest";
/// The label with the reference the artifact was asked for by.
pub const REFERENCE_LABEL: &str = "io.artishim.reference";

/// The label with the machine and lock of whoever fills a volume through a loader container.
const FILLER_LABEL: &str = "io.artishim.filler";
/// The label that tells a volume made for one attempt from all others of its name.
const BIRTH_LABEL: &str = "io.artishim.birth";
/// How long somebody elsewhere is waited for: a large model over a slow line.
const PATIENCE: Duration = Duration::from_secs(15 * 60);
/// How often is looked whether he is done.
const POLL: Duration = Duration::from_millis(300);

/// A volume that holds all of an artifact, or the part that was pulled.
#[derive(Clone, Debug)]
pub struct Volume {
    /// Its name in the engine.
    pub name: String,
    /// The files in it.
    pub listing: Listing,
}

impl Volume {
    /// The engine's `--mount` values that show the volume as `mount` asks.
    ///
    /// Without `subpaths` the whole volume is mounted, which shows the same only where all files are wanted at a
    /// destination the image does not have.
    pub fn mounts(
        &self,
        dialect: Dialect,
        mount: &ArtifactMount,
        state: DestinationState,
        subpaths: bool,
    ) -> Result<Vec<String>> {
        let files = &self.listing.files;
        let value = |destination: &str, subpath: Option<String>| {
            let (name, destination) = (self.name.clone(), destination.to_owned());
            EngineMount::Volume { name, destination, subpath }.to_value(dialect)
        };
        if !subpaths || is_whole(mount, state, files.len()) {
            return Ok(vec![value(&mount.destination, None)]);
        }
        let targets = mount.targets(files, state)?;
        Ok(targets.iter().map(|target| value(&target.path, Some(files[target.file].path.clone()))).collect())
    }
}

/// The name of the volume for an extent.
pub fn volume_name(extent: &Extent) -> String {
    format!("artishim-{}", extent.key().file_name())
}

/// What a volume is filled with, and from where.
pub struct Source<'a> {
    /// Registries and store.
    pub session: &'a Session,
    /// What was asked for.
    pub reference: &'a Reference,
    /// Its blobs and layout.
    pub artifact: &'a Artifact,
}

/// A volume of the engine that was filled with `reference`, or with the part of it that `selection` names, before,
/// without asking any registry.
pub async fn find(engine: &Engine, reference: &Reference, selection: Option<&str>) -> Result<Option<Volume>> {
    for volume in engine.list_volumes(&format!("{REFERENCE_LABEL}={reference}")).await? {
        let Some(manifest) = volume.labels.get(DIGEST_LABEL).and_then(|digest| digest.parse().ok()) else { continue };
        let extent = Extent { manifest, selection: selection.map(str::to_owned) };
        let loader = Loader::new(engine, &volume.name, String::new(), reference, extent);
        if let Some(listing) = loader.look().await? {
            return Ok(Some(Volume { name: volume.name, listing }));
        }
    }
    Ok(None)
}

/// Makes sure the engine has a filled volume called `name` (or by the digest); `locks` is a directory for the turns.
pub async fn fill(engine: &Engine, source: &Source<'_>, name: Option<&str>, locks: &Path) -> Result<Volume> {
    let extent = source.artifact.extent();
    let name = name.map_or_else(|| volume_name(&extent), str::to_owned);
    let mut loader = Loader::new(engine, &name, String::new(), source.reference, extent.clone());
    let listing = match loader.look().await? {
        Some(listing) => listing,
        None => {
            let turn = lock::Turn::new(locks, &format!("{}-{name}", engine.id)).wait().await?;
            loader = Loader::new(engine, &name, turn.owner(), source.reference, extent);
            loader.fill(source).await?
        }
    };
    Ok(Volume { name, listing })
}

/// The way into one volume: a container that is never started.
struct Loader<'a> {
    engine: &'a Engine,
    volume: &'a str,
    container: String,
    owner: String,
    extent: Extent,
    labels: HashMap<String, String>,
}

impl<'a> Loader<'a> {
    fn new(engine: &'a Engine, volume: &'a str, owner: String, reference: &Reference, extent: Extent) -> Self {
        let labels = [
            (DIGEST_LABEL, extent.manifest.to_string()),
            (REFERENCE_LABEL, reference.to_string()),
            (FILLER_LABEL, owner.clone()),
        ];
        let labels = labels.map(|(key, value)| (key.to_owned(), value)).into();
        Self { engine, volume, container: format!("{volume}-loader"), owner, extent, labels }
    }

    /// The listing of a volume that is filled already, read through a container of its own without any turn.
    async fn look(&self) -> Result<Option<Listing>> {
        if self.birth().await?.is_none() {
            return Ok(None);
        }
        let container = format!("{}{}", self.look_prefix(), unique());
        self.engine.create_loader(&container, self.volume, self.labels.clone()).await?;
        let listing = self.marker(&container).await;
        self.engine.remove_container(&container).await?;
        listing
    }

    fn look_prefix(&self) -> String {
        format!("{}-look-", self.volume)
    }

    async fn fill(&self, source: &Source<'_>) -> Result<Listing> {
        loop {
            // Only a volume that was born for this attempt is certainly empty.
            let birth = unique();
            self.acquire(&birth).await?;
            let filled = match self.marker(&self.container).await {
                Ok(None) if self.birth().await?.is_some_and(|found| found == birth) => {
                    self.upload(source).await.map(Some)
                }
                other => other,
            };
            let released = self.release(matches!(filled, Ok(Some(_)))).await;
            match filled? {
                Some(listing) => return released.map(|()| listing),
                None => released?,
            }
        }
    }

    /// When the volume was made, if it exists; one that is not ours is an error.
    async fn birth(&self) -> Result<Option<String>> {
        match self.engine.find_volume(self.volume).await? {
            None => Ok(None),
            Some(volume) if volume.labels.contains_key(DIGEST_LABEL) => {
                Ok(Some(volume.labels.get(BIRTH_LABEL).cloned().unwrap_or_default()))
            }
            Some(_) => Err(Error::Foreign { volume: self.volume.to_owned() }),
        }
    }

    /// Makes volume and loader, waiting for somebody on another machine who has the loader.
    async fn acquire(&self, birth: &str) -> Result<()> {
        let mut labels = self.labels.clone();
        labels.insert(BIRTH_LABEL.to_owned(), birth.to_owned());
        let since = Instant::now();
        loop {
            self.engine.create_volume(self.volume, labels.clone()).await?;
            match self.engine.create_loader(&self.container, self.volume, labels.clone()).await {
                Ok(_) => return Ok(()),
                Err(error) if error.is_conflict() => self.wait_for_other(since).await?,
                Err(error) => return Err(error.into()),
            }
        }
    }

    async fn wait_for_other(&self, since: Instant) -> Result<()> {
        let Some(other) = self.engine.find_container(&self.container).await? else { return Ok(()) };
        let owner = other.labels.get(FILLER_LABEL).cloned().unwrap_or_default();
        if owner == self.owner {
            return Ok(self.engine.remove_container(&other.id).await?);
        }
        if since.elapsed() > PATIENCE {
            return Err(Error::Busy { volume: self.volume.to_owned(), container: self.container.clone() });
        }
        tokio::time::sleep(POLL).await;
        Ok(())
    }

    async fn upload(&self, source: &Source<'_>) -> Result<Listing> {
        let open = source.session.opener(source.reference, source.artifact);
        let archive = archive(source.reference, source.artifact, open, Layout::Marked);
        tokio::select! {
            uploaded = archive.upload(self.engine, &self.container, LOADER_PATH) => uploaded,
            () = source.session.interrupt.heard() => Err(crate::pull::Error::Interrupted.into()),
        }
    }

    /// Removes the loader, and the volume with it unless it is filled.
    async fn release(&self, is_filled: bool) -> Result<()> {
        self.engine.remove_container(&self.container).await?;
        if is_filled {
            return Ok(());
        }
        // A killed process may have left containers that looked into it, which hold the volume.
        self.engine.remove_created_containers(&self.look_prefix()).await?;
        Ok(self.engine.remove_volume(self.volume).await?)
    }

    async fn marker(&self, container: &str) -> Result<Option<Listing>> {
        let bytes = match self.engine.read_file(container, &format!("{LOADER_PATH}/{MARKER}")).await {
            // The container was swept while we looked: then the volume was not filled either.
            Err(error) if error.is_missing() => None,
            read => read?,
        };
        let listing = bytes.and_then(|bytes| serde_json::from_slice::<Listing>(&bytes).ok());
        Ok(listing.filter(|listing| listing.extent() == self.extent))
    }
}

/// A text no other attempt has, on this machine or any other.
fn unique() -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    format!("{}-{}", std::process::id(), now.as_nanos())
}
