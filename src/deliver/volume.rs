//! A named volume in the engine, filled once with an artifact's files.
//!
//! The volume's name is the manifest's digest, or for a part of the artifact a digest of that and of the part
//! ([`Extent::key`]), unless the user gives it one.

use std::path::Path;

use super::loader::Loader;
use super::project::SERVICE_LABEL;
use super::{Result, is_whole, lock};
use crate::engine::Engine;
use crate::listing::{Extent, Listing};
use crate::mount::{ArtifactMount, DestinationState, Dialect, EngineMount};
use crate::pull::{Artifact, Session};
use crate::reference::Reference;

/// The label that says which artifact a volume or loader container is for.
pub const DIGEST_LABEL: &str = "io.artishim.digest";
/// The label with the reference the artifact was asked for by.
pub const REFERENCE_LABEL: &str = "io.artishim.reference";

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
        // One of a project is its own, and in its way when it goes.
        if volume.labels.contains_key(SERVICE_LABEL) {
            continue;
        }
        let Some(manifest) = volume.labels.get(DIGEST_LABEL).and_then(|digest| digest.parse().ok()) else { continue };
        let extent = Extent { manifest, selection: selection.map(str::to_owned) };
        let loader = Loader::new(engine, &volume.name, reference, extent);
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
    let loader = Loader::new(engine, &name, source.reference, extent);
    let listing = match loader.look().await? {
        Some(listing) => listing,
        None => {
            let turn = turn(engine, &name, locks).wait().await?;
            loader.owned_by(turn.owner()).fill(source).await?
        }
    };
    Ok(Volume { name, listing })
}

/// The turn of those on this machine who fill a volume.
pub(super) fn turn(engine: &Engine, volume: &str, locks: &Path) -> lock::Turn {
    lock::Turn::new(locks, &format!("{}-{volume}", engine.id))
}
