//! Which engine it is; the order is the table of the design.

use std::path::{Path, PathBuf};

use super::cli::{self, Cli};
use super::docker::{Api, Server};
use super::endpoint::{self, DockerEndpointFlags, Endpoint, Environment};
use super::error::{Error, Result};
use super::podman;
use super::version::Version;
use super::{Choice, Engine, Kind};
use crate::process;

/// The oldest podman we know: 3 has another API and other words.
const PODMAN_NEEDED: (&str, u64, u64) = ("4.0", 4, 0);
/// The API of Docker 19.03, the first with mounts as we use them.
const DOCKER_API_NEEDED: (&str, u64, u64) = ("1.40", 1, 40);

/// Finds the engine that is meant.
pub async fn detect(choice: &Choice, environment: &Environment, flags: &DockerEndpointFlags) -> Result<Engine> {
    match choice {
        Choice::None => Err(Error::Unwanted),
        Choice::Auto if flags.is_empty() => any(environment).await,
        Choice::Auto | Choice::Docker => docker(environment, flags).await,
        Choice::Podman => podman(environment, flags).await,
        Choice::Path(path) => at_path(path, environment, flags).await,
        Choice::Url(url) => at_url(&Endpoint::new(url, environment), environment).await,
    }
}

/// A Docker on this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OwnDocker {
    /// The system's.
    System,
    /// The user's, without root.
    Rootless,
}

/// The Docker on this machine that is meant, or that is the only engine; it is not asked anything.
pub fn docker_of_this_machine(
    choice: &Choice,
    environment: &Environment,
    flags: &DockerEndpointFlags,
) -> Option<OwnDocker> {
    let find = |kind| cli::program(kind, environment.path.as_deref(), environment.own_program.as_deref()).ok();
    let is_podman = |program: &PathBuf| cli::kind_by_name(program) == Some(Kind::Podman);
    let is_docker = match choice {
        Choice::Podman | Choice::Url(_) => false,
        Choice::Path(path) => cli::kind_by_name(path) == Some(Kind::Docker),
        Choice::Auto | Choice::None if flags.is_empty() && find(Kind::Podman).is_some() => false,
        Choice::Auto | Choice::None | Choice::Docker => !find(Kind::Docker).as_ref().is_some_and(is_podman),
    };
    let endpoint = is_docker.then(|| endpoint::resolve(flags, environment).ok())??;
    let socket = endpoint.socket()?;
    let rootless = environment.rootless_docker();
    let rootless = rootless.as_ref().and_then(Endpoint::socket);
    match rootless == Some(socket) || (endpoint.is_default && !socket.exists() && rootless.is_some_and(Path::exists)) {
        true => Some(OwnDocker::Rootless),
        false => Some(OwnDocker::System),
    }
}

async fn any(environment: &Environment) -> Result<Engine> {
    let podman = match podman(environment, &DockerEndpointFlags::default()).await {
        Ok(engine) => return Ok(engine),
        Err(error) => error,
    };
    tracing::debug!(error = %podman, "no podman");
    match docker(environment, &DockerEndpointFlags::default()).await {
        Ok(engine) => Ok(engine),
        Err(docker) => Err(neither(podman, docker)),
    }
}

/// An engine that is there and broken says more than one that is not there.
fn neither(podman: Error, docker: Error) -> Error {
    match (podman.is_absence(), docker.is_absence()) {
        (true, false) => docker,
        (false, true) => podman,
        _ => Error::NotFound { podman: Box::new(podman), docker: Box::new(docker) },
    }
}

async fn podman(environment: &Environment, flags: &DockerEndpointFlags) -> Result<Engine> {
    let missing = match Cli::find(Kind::Podman, environment).await {
        Ok(cli) => return by_podman(cli.leading(flags.podman_arguments()), environment).await,
        Err(missing) => missing,
    };
    match first_of(environment.podman_sockets()).await {
        Ok((api, server)) if server.kind == Kind::Podman => {
            let cli = cli_for(Kind::Podman, api.endpoint(), environment).await;
            by_api(api, server, cli).await
        }
        _ => Err(missing),
    }
}

async fn docker(environment: &Environment, flags: &DockerEndpointFlags) -> Result<Engine> {
    match Cli::find(Kind::Docker, environment).await {
        Ok(cli) => by_docker(Some(cli), environment, flags).await,
        Err(Error::NoProgram { .. }) => by_docker(None, environment, flags).await,
        Err(error) => Err(error),
    }
}

async fn at_path(path: &Path, environment: &Environment, flags: &DockerEndpointFlags) -> Result<Engine> {
    let cli = Cli::at(path.to_owned()).await?;
    by_docker(Some(cli), environment, flags).await
}

async fn at_url(endpoint: &Endpoint, environment: &Environment) -> Result<Engine> {
    let (api, server) = Api::connect(endpoint).await?;
    let cli = cli_for(server.kind, &endpoint.host, environment).await;
    by_api(api, server, cli).await
}

/// The command line to use with an address: the engine's own, or docker's with a Podman.
async fn cli_for(kind: Kind, host: &str, environment: &Environment) -> Option<Cli> {
    if kind == Kind::Podman
        && let Ok(cli) = Cli::find(Kind::Podman, environment).await
    {
        return Some(cli.leading(["--url", host]));
    }
    let cli = Cli::find(Kind::Docker, environment).await.ok()?;
    let flag = if cli.kind == Kind::Podman { "--url" } else { "-H" };
    (cli.kind == Kind::Docker || kind == Kind::Podman).then(|| cli.leading([flag, host]))
}

/// The engine behind podman's command line: this machine, unless podman is a client.
async fn by_podman(cli: Cli, environment: &Environment) -> Result<Engine> {
    let versions = podman::versions(&cli).await?;
    let server_version = versions.server.clone().unwrap_or_else(|| versions.client.clone());
    let program = cli.program().display().to_string();
    check_podman(&server_version, &program)?;
    let mut engine = Engine {
        kind: Kind::Podman,
        api: None,
        client_version: Some(versions.client),
        server_version,
        api_version: None,
        id: format!("{program}:{}", rustix::process::geteuid().as_raw()),
        endpoint: program,
        rootless: !rustix::process::geteuid().is_root(),
        is_local: versions.server.is_none(),
        cli: Some(cli),
    };
    if !engine.is_local {
        engine.find_service(environment).await?;
    }
    Ok(engine)
}

/// The engine behind docker's command line, or the one it would talk to if it were there.
async fn by_docker(cli: Option<Cli>, environment: &Environment, flags: &DockerEndpointFlags) -> Result<Engine> {
    let cli = match cli {
        Some(cli) if cli.kind == Kind::Podman => {
            return by_podman(cli.leading(flags.podman_arguments()), environment).await;
        }
        cli => cli.map(|cli| cli.leading(flags.arguments())),
    };
    let endpoint = match &cli {
        Some(cli) if cli.is_wrapped() => ask_docker(cli).await?,
        _ => endpoint::resolve(flags, environment)?,
    };
    let chosen = endpoint.host.clone();
    let others = if endpoint.is_default { environment.rootless_docker() } else { None };
    let (api, server) = first_of(std::iter::once(endpoint).chain(others)).await?;
    let cli = match cli {
        // The command line would not find this one by itself.
        Some(cli) if api.endpoint() != chosen => Some(cli.leading(["-H", api.endpoint()])),
        Some(cli) => Some(cli),
        None => cli_for(server.kind, api.endpoint(), environment).await,
    };
    by_api(api, server, cli).await
}

/// A script called docker may name an endpoint of its own.
async fn ask_docker(cli: &Cli) -> Result<Endpoint> {
    let call = cli.call().args(["context", "inspect", "--format", "{{json .}}"]);
    let program = call.to_string();
    let answer = process::capture(call).await?;
    endpoint::parse_inspected(&answer).map_err(|source| process::Error::Json { program, source }.into())
}

async fn first_of(endpoints: impl IntoIterator<Item = Endpoint>) -> Result<(Api, Server)> {
    let mut looked = Vec::new();
    for endpoint in endpoints {
        match Api::connect(&endpoint).await {
            Err(Error::NoSocket { .. }) => looked.push(endpoint.host),
            answer => return answer,
        }
    }
    Err(Error::NoSocket { looked })
}

async fn by_api(api: Api, server: Server, cli: Option<Cli>) -> Result<Engine> {
    check_server(&server, api.endpoint())?;
    let client_version = match &cli {
        Some(cli) if cli.kind == Kind::Podman => Some(cli.version().await?),
        _ => None,
    };
    tracing::debug!(endpoint = api.endpoint(), version = %server.version, "engine found");
    Ok(Engine {
        kind: server.kind,
        endpoint: api.endpoint().to_owned(),
        client_version,
        server_version: server.version,
        api_version: Some(server.api_version),
        rootless: server.info.rootless,
        id: server.info.id,
        is_local: false,
        api: Some(api),
        cli,
    })
}

fn check_server(server: &Server, endpoint: &str) -> Result<()> {
    if server.kind == Kind::Podman {
        return check_podman(&server.version, endpoint);
    }
    let (needed, major, minor) = DOCKER_API_NEEDED;
    check("the Docker API", &server.api_version, needed, server.api_version.is_at_least(major, minor), endpoint)
}

fn check_podman(version: &Version, endpoint: &str) -> Result<()> {
    let (needed, major, minor) = PODMAN_NEEDED;
    check("Podman", version, needed, version.is_at_least(major, minor), endpoint)
}

fn check(engine: &'static str, found: &Version, needed: &'static str, is_enough: bool, endpoint: &str) -> Result<()> {
    if is_enough {
        return Ok(());
    }
    Err(Error::TooOld { engine, found: found.clone(), needed, endpoint: endpoint.to_owned() })
}

impl Engine {
    /// Completes a podman that is a client: who serves it, and how else that can be reached.
    ///
    /// The service's own socket is no proof: the same path may be another engine's on this side. So an address counts
    /// only if what answers there keeps its images in the same place of the same host.
    async fn find_service(&mut self, environment: &Environment) -> Result<()> {
        let Some(cli) = &self.cli else { return Ok(()) };
        let info = podman::info(cli).await?;
        self.rootless = info.rootless;
        self.id = format!("{}:{}", info.host_name, info.root);
        let socket = info.socket.as_ref().map(|socket| format!("unix://{}", socket.display()));
        let connection = podman::default_connection(cli).await?;
        for host in [cli.url(), environment.container_host.clone(), socket, connection].into_iter().flatten() {
            let endpoint = Endpoint::new(&host, environment);
            let Some((api, server)) = self.api_at(&endpoint).await else { continue };
            self.endpoint = api.endpoint().to_owned();
            self.api_version = Some(server.api_version);
            self.api = Some(api);
            return Ok(());
        }
        Ok(())
    }

    /// The API at `endpoint`, if it is this engine's.
    async fn api_at(&self, endpoint: &Endpoint) -> Option<(Api, Server)> {
        if endpoint.host.starts_with("ssh://") {
            // Through ssh, `docker system dial-stdio` is run on the far side, which a Podman host does not have.
            return None;
        }
        let (api, server) = Api::connect(endpoint).await.ok()?;
        (server.kind == Kind::Podman && server.info.id == self.id).then_some((api, server))
    }
}
