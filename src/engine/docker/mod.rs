//! The API of Docker, which Podman speaks too; the only place that uses bollard.
//!
//! What the two differ in, and what bollard 0.21 does on its own, is dealt with here:
//!
//! * Podman answers 201 to a bind of a path it does not have and makes an empty directory there;
//! * Podman 4 ignores the tag of an imported image, so images are named by the id that comes back;
//! * a HEAD that finds nothing has no message, so `404` alone means missing;
//! * bollard's timeout covers an upload as a whole, so uploads run without one;
//! * bollard reads DOCKER_TLS_VERIFY by itself in `connect_with_host`, so the transport is chosen here.

mod archive;
mod cause;
mod container;
mod volume;

pub use container::{Container, Labels};
pub use volume::Volume;

pub(super) use bollard::models::Mount;

use std::error::Error as _;
use std::io;
use std::path::Path;
use std::time::Duration;

use bollard::models::{SystemInfo, SystemVersion};
use bollard::{API_DEFAULT_VERSION, Docker};

use self::cause::Cause;
use super::Kind;
use super::endpoint::{Endpoint, Tls};
use super::error::{Error, Result};
use super::version::Version;

/// How long an engine may take to answer a question, in seconds; a start through ssh takes a few.
const ANSWER: u64 = 60;
/// How long an upload or a removal may take: as long as it needs.
const UNHURRIED: Duration = Duration::from_secs(30 * 86_400);

/// The HTTP status for a name that is taken.
const CONFLICT: u16 = 409;

/// A connection to an engine's API, with the version negotiated.
#[derive(Clone, Debug)]
pub struct Api {
    docker: Docker,
    endpoint: String,
}

/// Who answers at an endpoint.
#[derive(Clone, Debug)]
pub struct Server {
    /// Docker, or a Podman that speaks its API.
    pub kind: Kind,
    /// The engine's version.
    pub version: Version,
    /// The newest version of Docker's API it speaks.
    pub api_version: Version,
    /// What it says about itself.
    pub info: Info,
}

/// What an engine says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Info {
    /// Tells this engine from every other one, for as long as it keeps its images.
    pub id: String,
    /// The host's name as the engine sees it.
    pub host_name: String,
    /// Where the engine keeps its images, on its own side.
    pub root: String,
    /// Whether it runs without root's rights.
    pub rootless: bool,
}

impl Api {
    /// Connects and asks who is there; the questions go out at once, because Podman takes a while for each.
    pub async fn connect(endpoint: &Endpoint) -> Result<(Self, Server)> {
        let docker = open(endpoint)?;
        let answers = tokio::try_join!(docker.clone().negotiate_version(), docker.version(), docker.info());
        let (docker, version, info) = answers.map_err(|source| connection_error(&endpoint.host, source))?;
        let server = server(version, info, &endpoint.host)?;
        Ok((Self { docker, endpoint: endpoint.host.clone() }, server))
    }

    /// The address, for people.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// The same connection for a request that takes as long as it takes.
    fn unhurried(&self) -> Docker {
        self.docker.clone().with_timeout(UNHURRIED)
    }

    /// `action` continues `refused to` and `did not`.
    fn error(&self, action: impl Into<String>, source: bollard::errors::Error) -> Error {
        let (endpoint, action) = (self.endpoint.clone(), action.into());
        match source {
            bollard::errors::Error::DockerResponseServerError { status_code, message } => {
                let status = if is_conflict(&message) { CONFLICT } else { status_code };
                Error::Refused { endpoint, action, status, message: message.trim().to_owned() }
            }
            source => Error::Broken { endpoint, action, source: Cause::of(&source).into() },
        }
    }
}

/// Podman 4 says 500 where Docker and Podman 5 say 409.
fn is_conflict(message: &str) -> bool {
    message.contains("is already in use")
}

/// Turns "it is not there" into `None`.
fn found<T>(result: Result<T>) -> Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.is_missing() => Ok(None),
        Err(error) => Err(error),
    }
}

fn open(endpoint: &Endpoint) -> Result<Docker> {
    let host = endpoint.host.as_str();
    let scheme = host.split_once("://").map_or("", |(scheme, _)| scheme);
    let opened = match (scheme, &endpoint.tls) {
        ("unix", _) => Docker::connect_with_unix(host, ANSWER, API_DEFAULT_VERSION),
        ("ssh", _) => Docker::connect_with_ssh(host, ANSWER, API_DEFAULT_VERSION, None),
        ("tcp" | "https", Some(tls)) => open_tls(host, tls),
        ("tcp" | "http", None) => Docker::connect_with_http(host, ANSWER, API_DEFAULT_VERSION),
        _ => Err(bollard::errors::Error::UnsupportedURISchemeError { uri: host.to_owned() }),
    };
    opened.map_err(|source| match source {
        bollard::errors::Error::SocketNotFoundError(_) => missing_socket(endpoint),
        source => Error::Endpoint { endpoint: endpoint.host.clone(), source: Cause::of(&source).into() },
    })
}

/// A context may lack an authority (then the system's are used) or a certificate of its own.
fn open_tls(host: &str, tls: &Tls) -> Result<Docker, bollard::errors::Error> {
    let nothing = Path::new("/dev/null");
    let authority = if tls.authority.exists() { tls.authority.as_path() } else { nothing };
    Docker::connect_with_ssl(host, &tls.key, &tls.certificate, authority, ANSWER, API_DEFAULT_VERSION)
}

/// bollard asks whether the socket exists, and takes "may not look" for no.
fn missing_socket(endpoint: &Endpoint) -> Error {
    let denied = endpoint.socket().map(|socket| socket.metadata());
    match denied {
        Some(Err(error)) if error.kind() == io::ErrorKind::PermissionDenied => {
            Error::PermissionDenied { endpoint: endpoint.host.clone() }
        }
        _ => Error::NoSocket { looked: vec![endpoint.host.clone()] },
    }
}

fn connection_error(endpoint: &str, source: bollard::errors::Error) -> Error {
    let endpoint = endpoint.to_owned();
    if io_kind(&source) == Some(io::ErrorKind::PermissionDenied) {
        return Error::PermissionDenied { endpoint };
    }
    match source {
        bollard::errors::Error::DockerResponseServerError { status_code, message } => {
            Error::Refused { endpoint, action: "tell its version".to_owned(), status: status_code, message }
        }
        source => Error::NotAnswering { endpoint, source: Cause::of(&source).into() },
    }
}

fn io_kind(error: &bollard::errors::Error) -> Option<io::ErrorKind> {
    if let bollard::errors::Error::IOError { err } = error {
        return Some(err.kind());
    }
    let mut cause = error.source();
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<io::Error>() {
            return Some(error.kind());
        }
        cause = error.source();
    }
    None
}

fn server(version: SystemVersion, info: SystemInfo, endpoint: &str) -> Result<Server> {
    let podman = version.components.iter().flatten().any(|component| component.name == "Podman Engine");
    let parse = |text: Option<String>| {
        let parsed = text.unwrap_or_default().parse::<Version>();
        parsed.map_err(|source| Error::Version { endpoint: endpoint.to_owned(), source })
    };
    let kind = if podman { Kind::Podman } else { Kind::Docker };
    Ok(Server {
        kind,
        version: parse(version.version)?,
        api_version: parse(version.api_version)?,
        info: describe(info, kind),
    })
}

/// Podman makes up a new `ID` for every answer, so host and root stand for it.
fn describe(info: SystemInfo, kind: Kind) -> Info {
    let host_name = info.name.unwrap_or_default();
    let root = info.docker_root_dir.unwrap_or_default();
    let id = match (kind, info.id) {
        (Kind::Docker, Some(id)) if !id.is_empty() => id,
        _ => format!("{host_name}:{root}"),
    };
    let rootless = info.security_options.iter().flatten().any(|option| option == "name=rootless");
    Info { id, host_name, root, rootless }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(json: &str) -> Server {
        server(serde_json::from_str(json).expect("is a version"), SystemInfo::default(), "unix:///x")
            .expect("is a server")
    }

    #[test]
    fn the_components_tell_docker_from_podman() {
        let docker = parse(
            r#"{"Platform":{"Name":""},"Components":[{"Name":"Engine","Version":"20.10.24+dfsg1","Details":
            {"ApiVersion":"1.41","MinAPIVersion":"1.12"}},{"Name":"containerd","Version":"1.6.20"}],
            "Version":"20.10.24+dfsg1","ApiVersion":"1.41","MinAPIVersion":"1.12","Os":"linux","Arch":"amd64"}"#,
        );
        assert_eq!((docker.kind, docker.version.to_string()), (Kind::Docker, "20.10.24+dfsg1".to_owned()));
        let podman = parse(
            r#"{"Platform":{"Name":"linux/amd64/debian-12"},"Components":[{"Name":"Podman Engine","Version":"4.3.1",
            "Details":{"APIVersion":"4.3.1","MinAPIVersion":"4.0.0"}},{"Name":"Conmon","Version":"conmon 2.1.6"}],
            "Version":"4.3.1","ApiVersion":"1.41","MinAPIVersion":"1.24","Os":"linux","Arch":"amd64"}"#,
        );
        assert_eq!((podman.kind, podman.api_version.to_string()), (Kind::Podman, "1.41".to_owned()));
    }

    #[test]
    fn podmans_id_is_where_it_keeps_its_images() {
        let json = r#"{"ID":"9a7b","Name":"host","DockerRootDir":"/var/lib/containers/storage",
            "SecurityOptions":["name=seccomp,profile=default","name=rootless"]}"#;
        let info: SystemInfo = serde_json::from_str(json).expect("is an info");
        let podman = describe(info.clone(), Kind::Podman);
        assert_eq!((podman.id.as_str(), podman.rootless), ("host:/var/lib/containers/storage", true));
        assert_eq!(describe(info, Kind::Docker).id, "9a7b");
    }

    #[tokio::test]
    async fn a_socket_without_a_daemon_is_told_from_no_socket() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let path = directory.path().join("docker.sock");
        drop(std::os::unix::net::UnixListener::bind(&path).expect("binds"));
        let endpoint =
            |path: &Path| Endpoint { host: format!("unix://{}", path.display()), tls: None, is_default: true };
        let error = Api::connect(&endpoint(&path)).await.expect_err("nobody listens");
        assert!(matches!(error, Error::NotAnswering { .. }), "{error:?}");
        let cause = error.source().expect("has one");
        assert_eq!((cause.to_string().as_str(), cause.source().is_none()), ("connection refused", true));
        let error = Api::connect(&endpoint(&directory.path().join("none"))).await.expect_err("does not exist");
        assert!(matches!(error, Error::NoSocket { .. }), "{error:?}");
    }

    #[test]
    fn tls_is_opened_without_a_certificate_of_our_own() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let file = |name| directory.path().join(name);
        let tls = Tls { authority: file("ca.pem"), certificate: file("cert.pem"), key: file("key.pem") };
        assert!(open(&Endpoint { host: "tcp://127.0.0.1:1".into(), tls: Some(tls), is_default: false }).is_ok());
    }
}
