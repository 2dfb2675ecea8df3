//! A volume that Compose made for a project, given an artifact's files.
//!
//! Compose makes a project's volumes, empty, before it asks providers. As labels and options cannot be changed, such a
//! volume is made anew, with Compose's labels and ours: where the engine sees our files it shows the snapshot, else it is
//! filled as any other. A volume that is neither empty nor one that shows a snapshot stays as it is: what containers
//! wrote into it is theirs.

use std::path::Path;

use super::loader::Loader;
use super::volume::{DIGEST_LABEL, REFERENCE_LABEL, Source, turn};
use super::{Error, Result};
use crate::engine::{Engine, Labels, Volume};
use crate::listing::{Extent, Listing};
use crate::reference::Reference;
use crate::store::Snapshot;

/// The label with the project and the service that a volume is filled for.
pub const SERVICE_LABEL: &str = "io.artishim.service";

/// The label with what part of the artifact was asked for.
const PART_LABEL: &str = "io.artishim.part";
/// What all our labels begin with.
const OUR_LABELS: &str = "io.artishim.";
/// Compose's labels.
const PROJECT: &str = "com.docker.compose.project";
const VOLUME: &str = "com.docker.compose.volume";

/// A service that an artifact is provided as.
#[derive(Clone, Copy)]
pub struct Service<'a> {
    /// Its project.
    pub project: &'a str,
    /// Its name.
    pub name: &'a str,
    /// What part of the artifact it asks for, in words that are the same for the same part.
    pub part: &'a str,
}

/// A volume of a project.
pub struct ProjectVolume<'a> {
    engine: &'a Engine,
    volume: Volume,
    service: Service<'a>,
    locks: &'a Path,
}

impl<'a> ProjectVolume<'a> {
    /// The volume that the project calls `name`, or one of no project that really has this name; `locks` is a directory for the turns.
    pub async fn find(
        engine: &'a Engine,
        service: Service<'a>,
        name: &str,
        locks: &'a Path,
    ) -> Result<Option<ProjectVolume<'a>>> {
        let own = engine.list_volumes(&format!("{VOLUME}={name}")).await?;
        let own =
            own.into_iter().find(|volume| volume.labels.get(PROJECT).is_some_and(|found| found == service.project));
        let found = match own {
            Some(volume) => Some(volume),
            None => engine.find_volume(name).await?.filter(|volume| !volume.labels.contains_key(PROJECT)),
        };
        let Some(volume) = found else { return Ok(None) };
        let found = Self { engine, volume, service, locks };
        found.check_service().map(|()| Some(found))
    }

    /// The listing, if the volume was filled with the same before.
    pub async fn held(&self, reference: &Reference) -> Result<Option<Listing>> {
        let label = |name| self.volume.labels.get(name).map(String::as_str);
        let is_same =
            label(REFERENCE_LABEL) == Some(&reference.to_string()) && label(PART_LABEL) == Some(self.service.part);
        match label(DIGEST_LABEL).and_then(|digest| digest.parse().ok()) {
            Some(manifest) if is_same && self.volume.is_plain() => {
                let extent = Extent { manifest, selection: None };
                Loader::new(self.engine, &self.volume.name, reference, extent).look_for_any_part().await
            }
            _ => Ok(None),
        }
    }

    /// Fills the volume.
    pub async fn fill(self, source: &Source<'_>) -> Result<Listing> {
        let loader = self.loader(source.reference, source.artifact.extent());
        if self.is_ours()
            && let Some(listing) = loader.look().await?
        {
            return Ok(listing);
        }
        let turn = turn(self.engine, &self.volume.name, self.locks).wait().await?;
        let current = self.current().await?;
        if !current.is_ours() || !current.volume.is_plain() {
            current.clear(&loader).await?;
        } else if let Some(listing) = loader.look_for_anything().await? {
            current.check_listing(&listing, source)?;
        }
        loader.owned_by(turn.owner()).fill(source).await
    }

    /// Makes the volume show a snapshot that the engine sees under the same path; only Docker keeps it read-only.
    pub async fn show(self, reference: &Reference, snapshot: &Snapshot) -> Result<()> {
        let _turn = turn(self.engine, &self.volume.name, self.locks).wait().await?;
        let current = self.current().await?;
        if current.is_ours() && current.volume.directory() == Some(&snapshot.path) {
            return Ok(());
        }
        let loader = current.loader(reference, snapshot.listing.extent());
        current.clear(&loader).await?;
        Ok(self.engine.create_volume(&Volume::view(&self.volume.name, loader.volume_labels(), &snapshot.path)).await?)
    }

    /// Removes the volume, if nothing is lost with it: it shows a snapshot, or is empty.
    async fn clear(&self, loader: &Loader<'_>) -> Result<()> {
        let volume = self.volume.name.clone();
        if self.volume.is_plain() {
            match loader.look_for_anything().await? {
                Some(_) if self.is_ours() => return Err(self.holds()),
                _ if self.is_ours() || loader.is_empty().await? => {}
                _ => return Err(Error::Occupied { volume }),
            }
        } else if !self.is_ours() {
            return Err(Error::Driven { volume });
        }
        loader.remove_volume().await
    }

    /// A volume that was filled with something else may have been written to since: it does not give way.
    fn check_listing(&self, listing: &Listing, source: &Source<'_>) -> Result<()> {
        if listing.extent() == source.artifact.extent() { Ok(()) } else { Err(self.holds()) }
    }

    fn holds(&self) -> Error {
        let reference = self.volume.labels.get(REFERENCE_LABEL).cloned().unwrap_or_default();
        Error::Holds { volume: self.volume.name.clone(), reference }
    }

    fn loader(&self, reference: &Reference, extent: Extent) -> Loader<'_> {
        Loader::new(self.engine, &self.volume.name, reference, extent).keeping(self.labels())
    }

    /// Compose's labels, and who the volume is for.
    fn labels(&self) -> Labels {
        let mut labels = self.volume.labels.clone();
        labels.retain(|name, _| !name.starts_with(OUR_LABELS));
        labels.insert(SERVICE_LABEL.to_owned(), self.service.full_name());
        labels.insert(PART_LABEL.to_owned(), self.service.part.to_owned());
        labels
    }

    fn is_ours(&self) -> bool {
        self.volume.labels.contains_key(DIGEST_LABEL)
    }

    /// The volume as it is now.
    async fn current(&self) -> Result<ProjectVolume<'a>> {
        let found = self.engine.find_volume(&self.volume.name).await?;
        // Gone again: then an empty one of the same labels is as good.
        let volume = found.unwrap_or_else(|| Volume::new(&self.volume.name, self.labels()));
        let current = Self { engine: self.engine, volume, service: self.service, locks: self.locks };
        current.check_service().map(|()| current)
    }

    fn check_service(&self) -> Result<()> {
        match self.volume.labels.get(SERVICE_LABEL) {
            Some(service) if *service != self.service.full_name() => {
                Err(Error::Taken { volume: self.volume.name.clone(), service: service.clone() })
            }
            None if self.is_ours() => {
                let service = String::from("`artishim volume` or `artishim run`");
                Err(Error::Taken { volume: self.volume.name.clone(), service })
            }
            _ => Ok(()),
        }
    }
}

impl Service<'_> {
    fn full_name(&self) -> String {
        format!("{}/{}", self.project, self.name)
    }
}
