//! Where Docker is, found as the docker command line finds it.
//!
//! The order is docker/cli's (`resolveContextName`): `--context`, `-H`, DOCKER_HOST, DOCKER_CONTEXT, `currentContext`
//! of config.json, the default socket. The context called `default` is what DOCKER_HOST says, or the default socket.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::error::{At, Error, Result};
use crate::digest::Digest;

/// Where Docker listens when nothing else is said.
pub const DEFAULT_SOCKET: &str = "unix:///var/run/docker.sock";
/// Where rootful Podman listens.
const PODMAN_SOCKET: &str = "unix:///run/podman/podman.sock";
/// The context that stands for the environment and the default socket.
const DEFAULT_CONTEXT: &str = "default";

/// What the environment says about engines; empty variables count as unset.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    /// DOCKER_HOST.
    pub docker_host: Option<String>,
    /// DOCKER_CONTEXT.
    pub docker_context: Option<String>,
    /// DOCKER_CONFIG, or `~/.docker`.
    pub docker_config_dir: PathBuf,
    /// Whether DOCKER_TLS_VERIFY is set.
    pub docker_tls_verify: bool,
    /// DOCKER_CERT_PATH.
    pub docker_cert_path: Option<PathBuf>,
    /// CONTAINER_HOST, podman's own DOCKER_HOST.
    pub container_host: Option<String>,
    /// XDG_RUNTIME_DIR.
    pub xdg_runtime_dir: Option<PathBuf>,
    /// PATH.
    pub path: Option<std::ffi::OsString>,
    /// The program that is running: a `docker` or `podman` in PATH that leads to it is passed over.
    pub own_program: Option<PathBuf>,
}

/// The flags of the docker command line that say where Docker is; podman has them as `--connection` and `--url`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DockerEndpointFlags {
    /// `-c`, `--context`.
    pub context: Option<String>,
    /// `-H`, `--host`.
    pub host: Option<String>,
    /// Other flags that stand before the command and must reach the engine's command line (`--tlsverify`, `--root` ...).
    pub others: Vec<String>,
}

impl DockerEndpointFlags {
    /// Whether nothing was said about where the engine is.
    pub fn is_empty(&self) -> bool {
        self.context.is_none() && self.host.is_none()
    }

    /// The flags as arguments of the docker command line.
    pub fn arguments(&self) -> Vec<String> {
        self.with_names("--context", "-H")
    }

    /// The same for podman, whose words are other.
    pub fn podman_arguments(&self) -> Vec<String> {
        self.with_names("--connection", "--url")
    }

    fn with_names(&self, context_flag: &str, host_flag: &str) -> Vec<String> {
        let endpoint = match (&self.context, &self.host) {
            (Some(context), _) => vec![context_flag.to_owned(), context.clone()],
            (None, Some(host)) => vec![host_flag.to_owned(), host.clone()],
            (None, None) => Vec::new(),
        };
        endpoint.into_iter().chain(self.others.iter().cloned()).collect()
    }
}

/// The files of a TLS connection; one that does not exist is not used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// The authority that signed the daemon's certificate.
    pub authority: PathBuf,
    /// Our certificate.
    pub certificate: PathBuf,
    /// Our key.
    pub key: PathBuf,
}

impl Tls {
    fn in_directory(directory: &Path) -> Self {
        let file = |name| directory.join(name);
        Self { authority: file("ca.pem"), certificate: file("cert.pem"), key: file("key.pem") }
    }
}

/// An address of an engine's API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// A URL: `unix://`, `tcp://`, `http://`, `https://` or `ssh://`.
    pub host: String,
    /// How to speak TLS, if so.
    pub tls: Option<Tls>,
    /// Whether nobody asked for it: then others may be tried when it is not there.
    pub is_default: bool,
}

impl Endpoint {
    /// The endpoint a user wrote, with what TLS the environment asks for.
    pub fn new(host: &str, environment: &Environment) -> Self {
        let tls = needs_tls(host, environment).then(|| environment.tls());
        Self { host: normalise(host, tls.is_some()), tls, is_default: false }
    }

    /// The socket's path, for an endpoint that is one.
    pub fn socket(&self) -> Option<&Path> {
        self.host.strip_prefix("unix://").map(Path::new)
    }

    fn unix(socket: &Path) -> Self {
        Self { host: format!("unix://{}", socket.display()), tls: None, is_default: true }
    }
}

impl Environment {
    /// Where rootless Docker listens, which its command line does not try by itself.
    pub(super) fn rootless_docker(&self) -> Option<Endpoint> {
        self.xdg_runtime_dir.as_deref().map(|directory| Endpoint::unix(&directory.join("docker.sock")))
    }

    /// Where Podman's API may be.
    pub(super) fn podman_sockets(&self) -> Vec<Endpoint> {
        let named = self.container_host.as_deref().map(|host| Endpoint::new(host, self));
        let runtime = self.xdg_runtime_dir.as_deref();
        let rootless = runtime.map(|directory| Endpoint::unix(&directory.join("podman/podman.sock")));
        let rootful = Endpoint { host: PODMAN_SOCKET.to_owned(), tls: None, is_default: true };
        named.into_iter().chain(rootless).chain([rootful]).collect()
    }

    fn tls(&self) -> Tls {
        Tls::in_directory(self.docker_cert_path.as_deref().unwrap_or(&self.docker_config_dir))
    }
}

/// Where the docker command line with these flags, in this environment, finds its daemon.
pub fn resolve(flags: &DockerEndpointFlags, environment: &Environment) -> Result<Endpoint> {
    match context_name(flags, environment)? {
        Some(name) => context(&name, &environment.docker_config_dir),
        None => {
            let host = flags.host.as_deref().or(environment.docker_host.as_deref());
            let endpoint = Endpoint::new(host.unwrap_or(DEFAULT_SOCKET), environment);
            Ok(Endpoint { is_default: host.is_none(), ..endpoint })
        }
    }
}

/// The context to use, unless it is the default one.
fn context_name(flags: &DockerEndpointFlags, environment: &Environment) -> Result<Option<String>> {
    let name = if flags.context.is_some() {
        flags.context.clone()
    } else if flags.host.is_some() || environment.docker_host.is_some() {
        None
    } else if environment.docker_context.is_some() {
        environment.docker_context.clone()
    } else {
        current_context(&environment.docker_config_dir)?
    };
    Ok(name.filter(|name| !name.is_empty() && name != DEFAULT_CONTEXT))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Config {
    current_context: Option<String>,
}

fn current_context(config_dir: &Path) -> Result<Option<String>> {
    let path = config_dir.join("config.json");
    let Some(bytes) = read_if_there(&path)? else { return Ok(None) };
    let config: Config = serde_json::from_slice(&bytes).map_err(|source| Error::Settings { path, source })?;
    Ok(config.current_context)
}

/// `meta.json` of a context, and what `docker context inspect` prints of it.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Context {
    endpoints: ContextEndpoints,
    /// Only printed by `docker context inspect`.
    #[serde(default)]
    storage: ContextStorage,
}

#[derive(Deserialize)]
struct ContextEndpoints {
    docker: Option<ContextEndpoint>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ContextEndpoint {
    #[serde(default)]
    host: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ContextStorage {
    #[serde(rename = "TLSPath", default)]
    tls_path: PathBuf,
}

fn context(name: &str, config_dir: &Path) -> Result<Endpoint> {
    let contexts = config_dir.join("contexts");
    let directory = Digest::sha256(name.as_bytes());
    let path = contexts.join("meta").join(directory.hex()).join("meta.json");
    let Some(bytes) = read_if_there(&path)? else { return Err(Error::NoContext { name: name.to_owned() }) };
    let context = serde_json::from_slice(&bytes).map_err(|source| Error::Settings { path, source })?;
    Ok(endpoint_of(context, &contexts.join("tls").join(directory.hex())))
}

/// Parses what `docker context inspect --format '{{json .}}'` prints.
pub(super) fn parse_inspected(json: &[u8]) -> Result<Endpoint, serde_json::Error> {
    let context: Context = serde_json::from_slice(json)?;
    let tls_path = context.storage.tls_path.clone();
    Ok(endpoint_of(context, &tls_path))
}

fn endpoint_of(context: Context, tls_path: &Path) -> Endpoint {
    let host = context.endpoints.docker.map(|endpoint| endpoint.host).unwrap_or_default();
    let host = if host.is_empty() { DEFAULT_SOCKET } else { &host };
    let directory = tls_path.join("docker");
    let tls = (is_tcp(host) && directory.is_dir()).then(|| Tls::in_directory(&directory));
    Endpoint { host: normalise(host, tls.is_some()), tls, is_default: false }
}

fn needs_tls(host: &str, environment: &Environment) -> bool {
    host.starts_with("https://") || (is_tcp(host) && environment.docker_tls_verify)
}

fn is_tcp(host: &str) -> bool {
    host.starts_with("tcp://") || host.starts_with("https://") || !host.contains("://") && !host.starts_with('/')
}

/// Fills in what docker lets its users leave out: the scheme, a port, the path of a socket.
fn normalise(host: &str, tls: bool) -> String {
    let host = match host {
        "unix://" => DEFAULT_SOCKET.to_owned(),
        path if path.starts_with('/') => format!("unix://{path}"),
        address if !address.contains("://") => format!("tcp://{address}"),
        url => url.to_owned(),
    };
    match host.strip_prefix("tcp://").map(|address| address.trim_end_matches('/')) {
        Some(address) if !has_port(address) => format!("tcp://{address}:{}", if tls { 2376 } else { 2375 }),
        _ => host,
    }
}

fn has_port(address: &str) -> bool {
    address.rsplit_once(':').is_some_and(|(_, port)| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()))
}

fn read_if_there(path: &Path) -> Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
        Err(error) => Err(error).at(path),
    }
}

#[cfg(test)]
mod tests;
