//! The way into a volume: a container that never starts.
//!
//! The listing comes last in the tar: a volume without it, or with one of another manifest or of another part in it, is
//! half-filled by somebody who was interrupted, and is thrown away and filled anew; a volume that is not ours by its
//! label is never touched. Whoever fills holds a file lock on his machine and, against all others, the fixed name of
//! the loader container. A loader that bears our own mark while we hold the lock is left over from a killed process.

use std::time::{Duration, Instant};

use super::archive::{Layout, archive};
use super::image::IMAGE_LABEL;
use super::volume::{DIGEST_LABEL, REFERENCE_LABEL, Source};
use super::{Error, Result};
use crate::engine::{self, Engine, Kind, LOADER_PATH, Labels};
use crate::listing::{Extent, Listing, MARKER};
use crate::reference::Reference;

/// The label with the machine and lock of whoever fills a volume through a loader container.
const FILLER_LABEL: &str = "io.artishim.filler";
/// The label that tells a volume made for one attempt from all others of its name.
const BIRTH_LABEL: &str = "io.artishim.birth";
/// How long somebody elsewhere is waited for: a large model over a slow line.
const PATIENCE: Duration = Duration::from_secs(15 * 60);
/// How long a loader on a Docker may lie idle. Docker tells of a container only when nobody unpacks in it, and whoever
/// fills asks for little before he unpacks and nothing after it: one that is told of for so long is nobody's.
const IDLE: Duration = Duration::from_secs(20);
/// How long others who only look into a volume may hold it.
const GLANCE: Duration = Duration::from_secs(3);
/// How often is looked whether he is done.
const POLL: Duration = Duration::from_millis(300);

/// The way into one volume.
pub(super) struct Loader<'a> {
    engine: &'a Engine,
    volume: engine::Volume,
    container: String,
    owner: String,
    extent: Extent,
    labels: Labels,
    /// What the volume gets from the engine itself.
    copied: Option<Copied>,
}

/// A directory of an image that the engine has.
#[derive(Clone)]
pub(super) struct Copied {
    pub(super) image: String,
    pub(super) path: String,
}

impl<'a> Loader<'a> {
    /// For an artifact's files.
    pub(super) fn new(engine: &'a Engine, volume: &str, reference: &Reference, extent: Extent) -> Self {
        Self::labelled(engine, volume, extent, (REFERENCE_LABEL, reference.to_string()))
    }

    /// For a directory of an image.
    pub(super) fn of_image(engine: &'a Engine, volume: &str, extent: Extent, copied: Copied) -> Self {
        let loader = Self::labelled(engine, volume, extent, (IMAGE_LABEL, copied.image.clone()));
        Self { copied: Some(copied), ..loader }
    }

    fn labelled(engine: &'a Engine, volume: &str, extent: Extent, source: (&str, String)) -> Self {
        let labels = [(DIGEST_LABEL, extent.manifest.to_string()), source];
        let labels: Labels = labels.map(|(key, value)| (key.to_owned(), value)).into();
        let container = format!("{volume}-loader");
        let volume = engine::Volume::new(volume, labels.clone());
        Self { engine, volume, container, owner: String::new(), extent, labels, copied: None }
    }

    /// The same for whoever holds the turn.
    pub(super) fn owned_by(mut self, owner: String) -> Self {
        self.labels.insert(FILLER_LABEL.to_owned(), owner.clone());
        self.volume.labels.insert(FILLER_LABEL.to_owned(), owner.clone());
        Self { owner, ..self }
    }

    /// The same for a volume that has more labels.
    pub(super) fn keeping(mut self, labels: Labels) -> Self {
        self.volume.labels.extend(labels);
        self
    }

    /// The labels of the volume.
    pub(super) fn volume_labels(&self) -> Labels {
        self.volume.labels.clone()
    }

    /// The listing of a volume that is filled already, read through a container of its own without any turn.
    pub(super) async fn look(&self) -> Result<Option<Listing>> {
        if self.birth().await?.is_none() {
            return Ok(None);
        }
        self.with_look(async |container| self.marker(container, LOADER_PATH).await).await
    }

    /// The listing of a volume that is filled with the manifest, whichever part of the artifact that is.
    pub(super) async fn look_for_any_part(&self) -> Result<Option<Listing>> {
        Ok(self.look_for_anything().await?.filter(|listing| listing.digest == self.extent.manifest))
    }

    /// The listing of a volume that is filled with whatever it is.
    pub(super) async fn look_for_anything(&self) -> Result<Option<Listing>> {
        self.with_look(async |container| self.listing(container, LOADER_PATH).await).await
    }

    /// Whether the volume has nothing in it.
    pub(super) async fn is_empty(&self) -> Result<bool> {
        self.with_look(async |container| Ok(self.engine.is_empty(container, LOADER_PATH).await?)).await
    }

    async fn with_look<T>(&self, look: impl AsyncFnOnce(&str) -> Result<T>) -> Result<T> {
        let container = format!("{}{}", self.look_prefix(), unique());
        self.engine.create_loader(&container, &self.volume, self.labels.clone()).await?;
        let seen = look(&container).await;
        self.engine.remove_container(&container).await?;
        seen
    }

    fn look_prefix(&self) -> String {
        format!("{}-look-", self.volume.name)
    }

    /// Makes the volume anew with all of an artifact's files, or finds that somebody else did.
    pub(super) async fn fill(&self, source: &Source<'_>) -> Result<Listing> {
        self.fill_by(async || self.upload(source).await).await
    }

    /// The same with what the engine itself puts into it, which is given the listing.
    pub(super) async fn fill_with(&self, listing: &Listing) -> Result<Listing> {
        self.fill_by(async || self.mark(listing).await).await
    }

    async fn fill_by(&self, fill: impl AsyncFn() -> Result<Listing>) -> Result<Listing> {
        let since = Instant::now();
        loop {
            let birth = unique();
            self.acquire(&birth).await?;
            match self.attempt(&birth, &fill).await? {
                Some(listing) => return self.remove_loader().await.map(|()| listing),
                None => self.remove_loader().await?,
            }
            // It is half-filled, or filled with something else: it makes room, once nobody looks into it any more.
            match self.remove_volume().await {
                Err(Error::InUse { .. }) if since.elapsed() < GLANCE => tokio::time::sleep(POLL).await,
                removed => removed?,
            }
        }
    }

    /// Fills the volume, if it is the one that was born for this attempt: only that is certainly empty. What is half-filled
    /// then goes; what could not be looked at stays.
    async fn attempt(&self, birth: &str, fill: &impl AsyncFn() -> Result<Listing>) -> Result<Option<Listing>> {
        let seen = match self.marker(&self.container, self.place()).await {
            Ok(None) => self.birth().await.map(|found| (None, found.is_some_and(|found| found == birth))),
            other => other.map(|listing| (listing, false)),
        };
        let filled = match seen {
            Ok((None, true)) => fill().await,
            Ok((listing, _)) => return Ok(listing),
            Err(error) => {
                self.remove_loader().await?;
                return Err(error);
            }
        };
        match filled {
            Ok(listing) => Ok(Some(listing)),
            Err(error) => {
                self.remove_loader().await?;
                self.remove_volume().await?;
                Err(error)
            }
        }
    }

    /// When the volume was made, if it exists; one that is not ours is an error.
    async fn birth(&self) -> Result<Option<String>> {
        match self.engine.find_volume(&self.volume.name).await? {
            None => Ok(None),
            Some(volume) if volume.labels.contains_key(DIGEST_LABEL) => {
                Ok(Some(volume.labels.get(BIRTH_LABEL).cloned().unwrap_or_default()))
            }
            Some(volume) => Err(Error::Foreign { volume: volume.name }),
        }
    }

    /// Makes volume and loader, waiting for somebody on another machine who has the loader.
    async fn acquire(&self, birth: &str) -> Result<()> {
        let mut volume = self.volume.clone();
        volume.labels.insert(BIRTH_LABEL.to_owned(), birth.to_owned());
        let (since, mut seen) = (Instant::now(), None);
        loop {
            self.engine.create_volume(&volume).await?;
            let created = match &self.copied {
                None => self.engine.create_loader(&self.container, &volume, self.labels.clone()).await,
                Some(Copied { image, path }) => {
                    self.engine.create_copier(&self.container, image, &volume, path, self.labels.clone()).await
                }
            };
            match created {
                Ok(_) => return Ok(()),
                Err(error) if error.is_conflict() => self.wait_for_other(since, &mut seen).await?,
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Waits a little for whoever has the loader, or takes away one that nobody uses; `seen` is the one that was there the
    /// last time, and since when.
    async fn wait_for_other(&self, since: Instant, seen: &mut Option<(String, Instant)>) -> Result<()> {
        if since.elapsed() > PATIENCE {
            return Err(Error::Busy { volume: self.volume.name.clone(), container: self.container.clone() });
        }
        let Some(other) = self.engine.find_container(&self.container).await? else {
            // It is being made, or gone by now.
            tokio::time::sleep(POLL).await;
            return Ok(());
        };
        let idle = match seen {
            Some((id, idle)) if *id == other.id => *idle,
            _ => seen.insert((other.id.clone(), Instant::now())).1,
        };
        let is_left_over = self.engine.kind == Kind::Docker && idle.elapsed() > IDLE;
        if is_left_over || other.labels.get(FILLER_LABEL).is_some_and(|owner| *owner == self.owner) {
            return Ok(self.engine.remove_container(&other.id).await?);
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

    /// Puts the listing behind what is in the volume, which is something.
    async fn mark(&self, listing: &Listing) -> Result<Listing> {
        if let Some(Copied { image, path }) = &self.copied
            && self.engine.is_empty(&self.container, path).await?
        {
            return Err(Error::Empty { image: image.clone(), path: path.clone() });
        }
        let marker = super::archive::marker(listing).map_err(Error::Stream)?;
        let archive = futures_util::stream::iter([Ok(marker)]);
        self.engine.put_archive(&self.container, self.place(), archive).await?;
        Ok(listing.clone())
    }

    /// Where the loader container has the volume.
    fn place(&self) -> &str {
        self.copied.as_ref().map_or(LOADER_PATH, |copied| &copied.path)
    }

    async fn remove_loader(&self) -> Result<()> {
        Ok(self.engine.remove_container(&self.container).await?)
    }

    /// Removes the volume, which no container may use.
    pub(super) async fn remove_volume(&self) -> Result<()> {
        // A killed process may have left containers that looked into it, which hold the volume.
        self.engine.remove_created_containers(&self.look_prefix(), DIGEST_LABEL).await?;
        match self.engine.remove_volume(&self.volume.name).await {
            Err(error) if error.is_conflict() => Err(Error::InUse { volume: self.volume.name.clone() }),
            removed => Ok(removed?),
        }
    }

    async fn marker(&self, container: &str, place: &str) -> Result<Option<Listing>> {
        let listing = self.listing(container, place).await?;
        Ok(listing.filter(|listing| listing.extent() == self.extent))
    }

    async fn listing(&self, container: &str, place: &str) -> Result<Option<Listing>> {
        let bytes = match self.engine.read_file(container, &format!("{place}/{MARKER}")).await {
            // The container was swept while we looked: then the volume was not filled either.
            Err(error) if error.is_missing() => None,
            read => read?,
        };
        Ok(bytes.and_then(|bytes| serde_json::from_slice::<Listing>(&bytes).ok()))
    }
}

/// A text no other attempt has, on this machine or any other.
fn unique() -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    format!("{}-{}", std::process::id(), now.as_nanos())
}
