//! Read-only bind mounts of a snapshot's files: nothing is copied.

use super::{MANY_FILES, Result, is_whole};
use crate::mount::{ArtifactMount, DestinationState, Dialect, EngineMount};
use crate::store::Snapshot;

/// The engine's `--mount` values that show `snapshot` as `mount` asks.
pub fn mounts(
    dialect: Dialect,
    snapshot: &Snapshot,
    mount: &ArtifactMount,
    state: DestinationState,
) -> Result<Vec<String>> {
    let files = &snapshot.listing.files;
    let targets = mount.targets(files, state)?;
    let bind = |source: &std::path::Path, destination: &str| {
        let (source, destination) = (source.display().to_string(), destination.to_owned());
        EngineMount::Bind { source, destination }.to_value(dialect)
    };
    if targets.len() > MANY_FILES && is_whole(mount, state, files.len()) {
        return Ok(vec![bind(&snapshot.path, &mount.destination)]);
    }
    let values = targets.iter().map(|target| bind(&snapshot.path.join(&files[target.file].path), &target.path));
    Ok(values.collect())
}
