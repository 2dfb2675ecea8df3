use std::hash::{BuildHasher, Hasher, RandomState};

use super::docker::{Api, Labels, Mount};
use super::error::Result;
use crate::process;

/// `prefix-` and 16 hex digits nobody can guess.
pub(super) fn unique_name(prefix: &str) -> String {
    format!("{prefix}-{:016x}", RandomState::new().build_hasher().finish())
}

/// A container that is removed, also when the work on it is dropped half-way.
pub(super) struct Scratch {
    api: Api,
    name: String,
    is_being_removed: bool,
}

impl Scratch {
    /// Makes a container that is never started, with a name that begins with `prefix`.
    ///
    /// A task of its own does it: an engine goes on making a container whose maker hung up, and one can only be removed
    /// when it is there.
    pub(super) async fn create(api: &Api, prefix: &str, image: &str, mounts: Vec<Mount>) -> Result<Self> {
        let (api, name, image) = (api.clone(), unique_name(prefix), image.to_owned());
        let created = tokio::spawn(async move {
            api.create_container(&name, &image, mounts, Labels::new()).await?;
            Ok(Self { api, name, is_being_removed: false })
        });
        process::joined(created).await
    }

    /// The container's name.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Removes the container now, and says how that went.
    ///
    /// A task of its own does this too: an engine that is hung up on may leave a container half removed, and refuses to
    /// be asked again meanwhile.
    pub(super) async fn remove(mut self) -> Result<()> {
        self.is_being_removed = true;
        let (api, name) = (self.api.clone(), std::mem::take(&mut self.name));
        process::joined(tokio::spawn(async move { api.remove_container(&name).await })).await
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if self.is_being_removed {
            return;
        }
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let (api, name) = (self.api.clone(), std::mem::take(&mut self.name));
        runtime.spawn(async move {
            if let Err(error) = api.remove_container(&name).await {
                tracing::debug!(container = %name, %error, "a container of ours stays");
            }
        });
    }
}
