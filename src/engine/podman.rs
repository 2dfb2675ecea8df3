//! Podman by its command line.
//!
//! Each call costs some 50 ms, so there are as few as possible: `podman version` alone tells the version and, by
//! having a server's, whether podman works on another machine.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::cli::Cli;
use super::error::{At, Error, Result};
use super::scratch::unique_name;
use super::version::Version;
use super::{EMPTY_IMAGE, PathState, tape};
use crate::process::{self, Call};

/// podman's status for "no" where 125 is "error".
const NO: i32 = 1;

/// What `podman version` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Versions {
    pub(super) client: Version,
    /// Only there when podman is the client of a service.
    pub(super) server: Option<Version>,
}

/// What `podman info` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Info {
    pub(super) host_name: String,
    pub(super) root: String,
    pub(super) rootless: bool,
    /// Where the service listens, on its own side.
    pub(super) socket: Option<PathBuf>,
}

/// Asks for both versions.
pub(super) async fn versions(cli: &Cli) -> Result<Versions> {
    let call = cli.call().args(["version", "--format", "json"]);
    let program = call.program().display().to_string();
    let answer: VersionAnswer = json(call).await?;
    let parse = |component: Component| {
        let parsed = component.version.parse();
        parsed.map_err(|source| Error::Version { endpoint: program.clone(), source })
    };
    Ok(Versions { client: parse(answer.client)?, server: answer.server.map(parse).transpose()? })
}

/// Asks where podman keeps its things.
pub(super) async fn info(cli: &Cli) -> Result<Info> {
    let answer: InfoAnswer = json(cli.call().args(["info", "--format", "json"])).await?;
    let socket = answer.host.remote_socket.path.map(|path| path.trim_start_matches("unix://").into());
    Ok(Info {
        host_name: answer.host.hostname,
        root: answer.store.graph_root,
        rootless: answer.host.security.rootless,
        socket,
    })
}

/// The address of the service podman uses when none is given.
pub(super) async fn default_connection(cli: &Cli) -> Result<Option<String>> {
    let connections: Vec<Connection> =
        json(cli.call().args(["system", "connection", "list", "--format", "json"])).await?;
    Ok(connections.into_iter().find(|connection| connection.default).map(|connection| connection.uri))
}

/// The id of an image podman has.
pub(super) async fn image_id(cli: &Cli, image: &str) -> Result<Option<String>> {
    let call = cli.call().args(["image", "inspect", "--format", "{{.Id}}", image]);
    match process::capture(call).await {
        Ok(stdout) => Ok(Some(String::from_utf8_lossy(&stdout).trim().to_owned())),
        Err(process::Error::Failed { stderr, status, .. })
            if status.code() == Some(NO) || stderr.contains("no such image") || stderr.contains("image not known") =>
        {
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

/// What `path` is in an image, symbolic links followed.
pub(super) async fn path_in_image(cli: &Cli, image: &str, path: &str) -> Result<PathState> {
    let (cli, image, path) = (cli.clone(), image.to_owned(), path.to_owned());
    process::run_blocking(move || look_in_container(&cli, &image, &path)).await
}

fn look_in_container(cli: &Cli, image: &str, path: &str) -> Result<PathState> {
    let name = unique_name("artishim-look");
    create(cli, &name, image, &[])?;
    let head = copy_head(cli, &name, path, tape::HEAD)?;
    Ok(head.map_or(PathState::Missing, |head| tape::path_state(&head)))
}

/// The file `name` of `directory`, as podman sees it, unless it is much longer than `limit`.
///
/// A file is made in `directory` where podman has no image for the purpose yet.
pub(super) async fn read_through_bind(cli: &Cli, directory: &str, name: &str, limit: usize) -> Result<Option<Vec<u8>>> {
    let image = match image_id(cli, EMPTY_IMAGE).await? {
        Some(image) => image,
        None => import_empty_image(cli, directory).await?,
    };
    let (cli, directory, name) = (cli.clone(), directory.to_owned(), name.to_owned());
    process::run_blocking(move || {
        let container = unique_name("artishim-probe");
        let mount = format!("\"type=bind\",\"src={}\",\"dst=/p\",ro", directory.replace('"', "\"\""));
        let created = create(&cli, &container, &image, &["--mount", &mount]);
        match created {
            Err(process::Error::Failed { stderr, .. }) if says_missing(&stderr) => Ok(None),
            Err(error) => Err(error.into()),
            Ok(()) => read_and_remove(&cli, &container, &format!("/p/{name}"), limit),
        }
    })
    .await
}

async fn import_empty_image(cli: &Cli, directory: &str) -> Result<String> {
    let file = Path::new(directory).join("empty.tar");
    std::fs::write(&file, tape::EMPTY).at(&file)?;
    let stdout = process::capture(cli.call().args(["import", "--quiet"]).arg(&file).arg(EMPTY_IMAGE)).await?;
    Ok(String::from_utf8_lossy(&stdout).trim().to_owned())
}

fn read_and_remove(cli: &Cli, container: &str, path: &str, limit: usize) -> Result<Option<Vec<u8>>> {
    let head = copy_head(cli, container, path, tape::HEAD + limit)?;
    Ok(head.and_then(|head| tape::first_file(&head).ok().flatten()))
}

/// Makes a container that is never started.
fn create(cli: &Cli, name: &str, image: &str, arguments: &[&str]) -> process::Result<()> {
    let fixed = ["create", "--quiet", "--pull", "never", "--network", "none", "--name", name];
    cli.call().args(fixed).args(arguments.iter().copied()).args([image, "x"]).capture().map(drop)
}

/// The first `limit` bytes of the archive of `path` in a container, which is removed.
fn copy_head(cli: &Cli, container: &str, path: &str, limit: usize) -> Result<Option<Vec<u8>>> {
    let head = cli.call().args(["cp", &format!("{container}:{path}"), "-"]).head(limit);
    let removed = cli.call().args(["rm", "--force", "--volumes", container]).capture();
    let head = match head {
        Ok(head) => Some(head),
        Err(process::Error::Failed { stderr, .. }) if says_missing(&stderr) => None,
        Err(error) => return Err(error.into()),
    };
    removed?;
    Ok(head)
}

/// The words of podman 4 and of podman 5.
fn says_missing(stderr: &str) -> bool {
    ["could not be found", "no such file or directory", "not a directory"].iter().any(|words| stderr.contains(words))
}

async fn json<T: serde::de::DeserializeOwned + Send + 'static>(call: Call) -> Result<T> {
    Ok(process::run_blocking(move || call.json()).await?)
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct VersionAnswer {
    client: Component,
    server: Option<Component>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Component {
    version: String,
}

#[derive(Deserialize)]
struct InfoAnswer {
    host: HostAnswer,
    store: StoreAnswer,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct HostAnswer {
    #[serde(default)]
    hostname: String,
    #[serde(default)]
    remote_socket: SocketAnswer,
    #[serde(default)]
    security: SecurityAnswer,
}

#[derive(Default, Deserialize)]
struct SocketAnswer {
    path: Option<String>,
}

#[derive(Default, Deserialize)]
struct SecurityAnswer {
    #[serde(default)]
    rootless: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct StoreAnswer {
    graph_root: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Connection {
    #[serde(rename = "URI")]
    uri: String,
    #[serde(default)]
    default: bool,
}
