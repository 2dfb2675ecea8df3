use std::collections::HashMap;
use std::path::Path;

use bollard::models::VolumeCreateRequest;
use bollard::query_parameters::{ListVolumesOptionsBuilder, RemoveVolumeOptionsBuilder};

use super::container::{self, Labels};
use super::{Api, found};
use crate::engine::error::Result;

/// A named volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Volume {
    /// Its name.
    pub name: String,
    /// Its labels, as they were when it was made.
    pub labels: Labels,
    /// Who keeps its files: `local`, or a plugin.
    pub driver: String,
    /// What the driver was told.
    pub options: Labels,
}

/// The driver of the engine itself.
const LOCAL: &str = "local";
/// Its option that names what is mounted.
const DEVICE: &str = "device";

impl Volume {
    /// An empty one that the engine itself keeps.
    pub fn new(name: &str, labels: Labels) -> Self {
        Self { name: name.to_owned(), labels, driver: LOCAL.to_owned(), options: Labels::new() }
    }

    /// One that shows a directory of the engine's machine, read-only however it is mounted.
    pub fn view(name: &str, labels: Labels, directory: &Path) -> Self {
        let options = [("type", "none"), ("o", "bind,ro"), (DEVICE, &directory.to_string_lossy())];
        let options = options.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
        Self { options, ..Self::new(name, labels) }
    }

    /// The directory that it shows, if it is a [`Self::view`].
    pub fn directory(&self) -> Option<&Path> {
        self.options.get(DEVICE).map(Path::new)
    }

    /// Whether the engine itself keeps its files, in a place of its own.
    pub fn is_plain(&self) -> bool {
        self.driver == LOCAL && self.options.is_empty()
    }
}

impl From<bollard::models::Volume> for Volume {
    fn from(volume: bollard::models::Volume) -> Self {
        Self { name: volume.name, labels: volume.labels, driver: volume.driver, options: volume.options }
    }
}

impl Api {
    /// Makes a volume; one of that name stays as it is, with its labels.
    pub async fn create_volume(&self, volume: &Volume) -> Result<()> {
        let Volume { name, labels, driver, options } = volume.clone();
        let request = VolumeCreateRequest {
            name: Some(name),
            labels: Some(labels),
            driver: Some(driver),
            driver_opts: Some(options),
            cluster_volume_spec: None,
        };
        let name = &volume.name;
        let created = self.docker.create_volume(request).await;
        created.map(drop).map_err(|source| self.error(format!("create volume {name}"), source))
    }

    /// Looks a volume up by its name.
    pub async fn find_volume(&self, name: &str) -> Result<Option<Volume>> {
        let inspected = self.docker.inspect_volume(name).await;
        let inspected = found(inspected.map_err(|source| self.error(format!("inspect volume {name}"), source)))?;
        Ok(inspected.map(Volume::from))
    }

    /// The volumes that have `label`, which is `key` or `key=value`.
    pub async fn list_volumes(&self, label: &str) -> Result<Vec<Volume>> {
        let filters = HashMap::from([("label".to_owned(), vec![label.to_owned()])]);
        let options = ListVolumesOptionsBuilder::default().filters(&filters).build();
        let listed = self.docker.list_volumes(Some(options)).await;
        let listed = listed.map_err(|source| self.error("list its volumes", source))?;
        Ok(listed.volumes.unwrap_or_default().into_iter().map(Volume::from).collect())
    }

    /// Removes a volume; one that is gone is fine, one in use is a conflict.
    pub async fn remove_volume(&self, name: &str) -> Result<()> {
        let options = RemoveVolumeOptionsBuilder::default().build();
        let removed = self.unhurried().remove_volume(name, Some(options)).await;
        found(removed.map_err(|source| self.error(format!("remove volume {name}"), source))).map(drop)
    }

    /// Makes a container that is never started and has `volume` at [`crate::engine::LOADER_PATH`], writable.
    ///
    /// A volume that somebody removed meanwhile is made again, on Docker with its labels too.
    pub async fn create_loader(&self, name: &str, volume: &Volume, labels: Labels) -> Result<String> {
        let image = self.empty_image().await?;
        let mounts = vec![container::volume(&volume.name, crate::engine::LOADER_PATH, volume.labels.clone())];
        self.create_container(name, &image, mounts, labels).await
    }

    /// Makes a container of `image` that is never started and has an empty volume at `path`, into which Docker copies
    /// what the image has there.
    pub async fn create_copier(
        &self,
        name: &str,
        image: &str,
        volume: &Volume,
        path: &str,
        labels: Labels,
    ) -> Result<String> {
        let mounts = vec![container::volume(&volume.name, path, volume.labels.clone())];
        self.create(&self.unhurried(), name, image, mounts, labels).await
    }
}
