//! How an artifact's files become visible in a container.
//!
//! [`Delivery`] is decided in [`crate::engine::decision`]; here each one is carried out and turned into the engine's
//! own `--mount` values, or into a volume of a Compose `project`: `native` leaves the mount to podman (with `accelerate` for its pull), `bind` mounts files of a snapshot, `volume` files of a
//! volume filled in the engine, `copy` puts them into a container that was created and not yet started.

pub mod accelerate;
mod archive;
pub mod bind;
pub mod copy;
mod error;
pub mod image;
mod loader;
mod lock;
pub mod native;
mod prepare;
pub mod project;
pub mod volume;

pub use self::error::{Error, Result};
pub use self::prepare::{Preparation, Prepared};
use crate::mount::{ArtifactMount, DestinationState};

/// From how many files on one mount of the whole directory serves better than one mount for each file.
///
/// Below it, mounts of single files keep what the image has beside them visible, and stay readable in a running
/// container when the artifact is removed.
const MANY_FILES: usize = 64;

/// Whether mounting all files as one directory at the destination shows the same as mounting each.
fn is_whole(mount: &ArtifactMount, state: DestinationState, files: usize) -> bool {
    let is_filtered = mount.title.is_some() || mount.digest.is_some() || mount.name.is_some();
    !is_filtered && state == DestinationState::Missing && files > 1
}
