//! What `podman artifact` keeps, where podman is new enough to keep artifacts itself.

use std::ffi::OsString;

use super::{Context, Error, Result};
use crate::engine::Engine;
use crate::store;

/// The fields of a line of `podman artifact ls`, in the order of [`super::ls::Line`]'s.
const LS_FORMAT: &str = "{{.Repository}}\t{{.Tag}}\t{{.Digest}}\t{{.CreatedAt}}\t{{.VirtualSize}}";

impl Context {
    /// The engine, if it is a podman that keeps artifacts.
    pub(super) async fn artifact_podman(&self) -> Option<Engine> {
        match self.engine().await {
            Ok(engine) => Some(engine).filter(Engine::mounts_artifacts),
            Err(error) => {
                tracing::debug!(%error, "no engine, so only our own store counts");
                None
            }
        }
    }

    /// Hands an artifact that our store does not have to podman, which takes this process's place.
    ///
    /// Any other error, and that one without such a podman, is given back.
    pub(super) async fn hand_over(&self, error: store::Error, arguments: &[&str]) -> Error {
        if !matches!(error, store::Error::NotFound { .. }) {
            return error.into();
        }
        match self.artifact_podman().await.map(|podman| podman.cli().cloned()) {
            Some(Ok(cli)) => {
                let arguments = arguments.iter().map(OsString::from);
                cli.call().arg("artifact").args(arguments).exec().into()
            }
            Some(Err(error)) => error.into(),
            None => error.into(),
        }
    }

    /// What podman keeps: repository, tag, digest, time of creation and bytes of each artifact.
    pub(super) async fn podman_artifacts(&self) -> Result<Vec<[String; 5]>> {
        let Some(podman) = self.artifact_podman().await else { return Ok(Vec::new()) };
        let arguments = ["artifact", "ls", "--noheading", "--no-trunc", "--format", LS_FORMAT];
        let listed = crate::process::capture(podman.cli()?.call().args(arguments)).await?;
        let listed = String::from_utf8_lossy(&listed).into_owned();
        let fields = |line: &str| {
            let fields: Vec<String> = line.split('\t').map(str::to_owned).collect();
            fields.try_into().ok()
        };
        Ok(listed.lines().filter_map(fields).collect())
    }
}
