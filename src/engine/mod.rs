//! The container engine: which one it is, and what the deliveries need of it.
//!
//! Podman on this machine is spoken to by its command line, everything else by its API socket: Docker, a Podman
//! service, either of them far away. [`detect()`] finds the engine, [`decision::decide`] says what is done with it.
//!
//! An [`Engine`] may have either way or both. What needs the one it lacks fails with [`Error::NoApi`] or
//! [`Error::NoCli`]; a local Podman never needs an API, because it sees our files.

mod cache;
mod cli;
pub mod decision;
mod detect;
mod docker;
mod endpoint;
mod error;
mod podman;
mod probe;
mod scratch;
mod tape;
mod version;

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::str::FromStr;

use bytes::Bytes;
use futures_util::Stream;

pub use cache::Cache;
pub use cli::{Cli, program};
pub use detect::{OwnDocker, detect, docker_of_this_machine};
pub use docker::{Api, Container, Labels, Volume};
pub use endpoint::{DockerEndpointFlags, Endpoint, Environment, Tls};
pub use error::{Error, Result};
pub use version::Version;

use crate::mount::Dialect;
use crate::process;

/// Where a loader container has its volume.
pub const LOADER_PATH: &str = "/v";
/// The most that is read of a file in a container: markers and manifests.
pub const MAX_READ: usize = 16 * 1024 * 1024;

/// The image without files that our containers are made of, where no other will do.
const EMPTY_IMAGE: &str = "localhost/artishim-empty";

/// The engine a user asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Choice {
    /// Podman if its command line answers, else Docker.
    #[default]
    Auto,
    /// Podman.
    Podman,
    /// Docker.
    Docker,
    /// No engine.
    None,
    /// The docker or podman at this path.
    Path(PathBuf),
    /// The engine at this address.
    Url(String),
}

impl FromStr for Choice {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "auto" | "" => Ok(Self::Auto),
            "podman" => Ok(Self::Podman),
            "docker" => Ok(Self::Docker),
            "none" => Ok(Self::None),
            url if url.contains("://") => Ok(Self::Url(url.to_owned())),
            path if path.contains('/') => Ok(Self::Path(path.into())),
            _ => Err(Error::Choice(text.to_owned())),
        }
    }
}

/// Whose engine it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Podman, by itself or behind Docker's API.
    Podman,
    /// Docker.
    Docker,
}

impl Kind {
    /// The name of its command line.
    pub const fn program(self) -> &'static str {
        match self {
            Self::Podman => "podman",
            Self::Docker => "docker",
        }
    }

    /// How its command line writes mounts.
    pub const fn dialect(self) -> Dialect {
        match self {
            Self::Podman => Dialect::Podman,
            Self::Docker => Dialect::Docker,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Podman => "Podman",
            Self::Docker => "Docker",
        })
    }
}

/// What a path is in an image, symbolic links followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathState {
    /// It does not exist.
    Missing,
    /// A file, or anything else that is no directory.
    File,
    /// A directory.
    Directory,
}

/// A Podman or a Docker we can talk to.
#[derive(Clone, Debug)]
pub struct Engine {
    /// Whose engine it is.
    pub kind: Kind,
    /// The command line's version, where podman's is used.
    pub client_version: Option<Version>,
    /// The engine's version.
    pub server_version: Version,
    /// The newest version of Docker's API it speaks, where that is used.
    pub api_version: Option<Version>,
    /// Where it was found, for people: an address or a program.
    pub endpoint: String,
    /// Whether it runs without root's rights.
    pub rootless: bool,
    /// Tells this engine from every other one.
    pub id: String,
    /// Whether it is no service: its command line itself opens the files it is told.
    is_local: bool,
    cli: Option<Cli>,
    api: Option<Api>,
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} at {}", self.kind, self.server_version, self.endpoint)
    }
}

impl Engine {
    /// The command line that reaches this engine.
    pub fn cli(&self) -> Result<&Cli> {
        self.cli.as_ref().ok_or_else(|| Error::NoCli { endpoint: self.endpoint.clone() })
    }

    /// Whether there is an API socket, which volumes and copies need.
    pub const fn has_api(&self) -> bool {
        self.api.is_some()
    }

    /// Whether `--mount type=artifact` works: podman 5.7 on both ends, with its own command line.
    pub fn mounts_artifacts(&self) -> bool {
        self.is_podman_since(5, 7)
    }

    /// Whether it holds what it pulls against the policy of this machine: a podman elsewhere has one of its own, and docker
    /// has none.
    pub fn checks_signatures(&self) -> bool {
        self.kind == Kind::Podman && self.is_local
    }

    /// Whether it is no service: its command line itself opens files.
    pub const fn is_local(&self) -> bool {
        self.is_local
    }

    /// Where podman keeps its things, as it names the place itself.
    pub async fn graph_root(&self) -> Result<PathBuf> {
        Ok(podman::info(self.cli()?).await?.root.into())
    }

    /// Whether `--mount type=image,subpath=` works (podman 5.1). Docker's is left out: moby#50999 empties the mount.
    pub fn mounts_images(&self) -> bool {
        self.is_podman_since(5, 1)
    }

    /// Whether one file or directory of a volume can be mounted.
    ///
    /// Docker calls it `volume-subpath` since API 1.45, and older ones silently mount all of the volume; its command
    /// line knows the word since 26.0. podman calls it `subpath` since 5.4.
    pub async fn mounts_volume_subpaths(&self) -> Result<bool> {
        match (self.kind, &self.cli) {
            (Kind::Podman, _) => Ok(self.is_podman_since(5, 4)),
            (Kind::Docker, _) if !self.api_version.as_ref().is_some_and(|version| version.is_at_least(1, 45)) => {
                Ok(false)
            }
            (Kind::Docker, Some(cli)) => Ok(cli.version().await?.is_at_least(26, 0)),
            (Kind::Docker, None) => Ok(true),
        }
    }

    fn is_podman_since(&self, major: u64, minor: u64) -> bool {
        let is_new = |version: &Version| version.is_at_least(major, minor);
        self.kind == Kind::Podman && is_new(&self.server_version) && self.client_version.as_ref().is_some_and(is_new)
    }

    /// The id of an image, if the engine has it.
    pub async fn image_id(&self, image: &str) -> Result<Option<String>> {
        match &self.api {
            Some(api) => api.image_id(image).await,
            None => podman::image_id(self.cli()?, image).await,
        }
    }

    /// Whether the engine has an image.
    pub async fn image_exists(&self, image: &str) -> Result<bool> {
        Ok(self.image_id(image).await?.is_some())
    }

    /// Has the engine pull an image, with the user's `pull` flags; its words go to our stderr.
    ///
    /// The engine says itself what went wrong, so the caller adds nothing but the status.
    pub async fn pull_image(&self, image: &str, arguments: &[String]) -> Result<ExitStatus> {
        let call = self.cli()?.call().arg("pull").args(arguments).arg(image);
        Ok(process::run_blocking(move || call.status_on_stderr()).await?)
    }

    /// What `path` is in an image the engine has. Images given by id are remembered in `cache`, as they never change.
    pub async fn path_in_image(&self, image: &str, path: &str, cache: &Cache) -> Result<PathState> {
        let key = format!("path {} {image} {path}", self.id);
        if let Some(state) = cache.recall(&key, cache::FOREVER).as_deref().and_then(parse_path_state) {
            return Ok(state);
        }
        let state = match &self.api {
            Some(api) => api.path_in_image(image, path).await?,
            None => podman::path_in_image(self.cli()?, image, path).await?,
        };
        if is_image_id(image) {
            cache.remember(&key, path_state_text(state));
        }
        Ok(state)
    }

    /// Makes a volume; one of that name stays as it is, with its labels.
    pub async fn create_volume(&self, volume: &Volume) -> Result<()> {
        self.api()?.create_volume(volume).await
    }

    /// Looks a volume up by its name.
    pub async fn find_volume(&self, name: &str) -> Result<Option<Volume>> {
        self.api()?.find_volume(name).await
    }

    /// The volumes that have `label`, which is `key` or `key=value`.
    pub async fn list_volumes(&self, label: &str) -> Result<Vec<Volume>> {
        self.api()?.list_volumes(label).await
    }

    /// Removes a volume; one that is gone is fine, one in use is a conflict.
    pub async fn remove_volume(&self, name: &str) -> Result<()> {
        self.api()?.remove_volume(name).await
    }

    /// Makes a container that is never started and has `volume` at [`LOADER_PATH`]; returns its id.
    ///
    /// A name that is taken is a conflict ([`Error::is_conflict`]), so the name is a lock among all who fill the volume.
    pub async fn create_loader(&self, name: &str, volume: &Volume, labels: Labels) -> Result<String> {
        self.api()?.create_loader(name, volume, labels).await
    }

    /// Makes a container of `image` that is never started and has `volume` at `path`; Docker fills it, where it is empty,
    /// with what the image has there.
    pub async fn create_copier(
        &self,
        name: &str,
        image: &str,
        volume: &Volume,
        path: &str,
        labels: Labels,
    ) -> Result<String> {
        self.api()?.create_copier(name, image, volume, path, labels).await
    }

    /// Looks a container up by its name or id; waits as long as somebody unpacks an archive in it.
    pub async fn find_container(&self, name: &str) -> Result<Option<Container>> {
        self.api()?.find_container(name).await
    }

    /// Removes a container, running or not, with its anonymous volumes; one that is gone is fine.
    pub async fn remove_container(&self, container: &str) -> Result<()> {
        self.api()?.remove_container(container).await
    }

    /// Removes the containers that were never started, have a label, and whose names begin with `name_prefix`: what a
    /// killed process left, and what a living one is using.
    pub async fn remove_created_containers(&self, name_prefix: &str, label: &str) -> Result<()> {
        self.api()?.remove_created_containers(name_prefix, label).await
    }

    /// The content of a file of a container, of at most [`MAX_READ`] bytes.
    pub async fn read_file(&self, container: &str, path: &str) -> Result<Option<Vec<u8>>> {
        self.api()?.read_file(container, path, MAX_READ).await
    }

    /// Whether a directory of a container has nothing in it.
    pub async fn is_empty(&self, container: &str, path: &str) -> Result<bool> {
        self.api()?.is_empty(container, path).await
    }

    /// What `path` is in a container, symbolic links followed.
    pub async fn path_in_container(&self, container: &str, path: &str) -> Result<PathState> {
        self.api()?.path_in_container(container, path).await
    }

    /// Unpacks a tar archive, as it arrives, into the directory `path` of a container, started or not.
    ///
    /// Nothing is undone on an error: what was unpacked stays, the last file cut short, under its final name.
    pub async fn put_archive(
        &self,
        container: &str,
        path: &str,
        archive: impl Stream<Item = io::Result<Bytes>> + Send + 'static,
    ) -> Result<()> {
        self.api()?.put_archive(container, path, archive).await
    }

    fn api(&self) -> Result<&Api> {
        self.api.as_ref().ok_or_else(|| Error::NoApi { engine: self.to_string() })
    }
}

fn is_image_id(image: &str) -> bool {
    let hex = image.strip_prefix("sha256:").unwrap_or(image);
    hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_hexdigit())
}

const fn path_state_text(state: PathState) -> &'static str {
    match state {
        PathState::Missing => "missing",
        PathState::File => "file",
        PathState::Directory => "directory",
    }
}

fn parse_path_state(text: &str) -> Option<PathState> {
    match text {
        "missing" => Some(PathState::Missing),
        "file" => Some(PathState::File),
        "directory" => Some(PathState::Directory),
        _ => None,
    }
}

#[cfg(test)]
mod real_tests;
#[cfg(test)]
mod tests;
