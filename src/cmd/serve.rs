//! `artishim serve`.

use std::fs;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use tokio::net::TcpListener;

use super::{Context, Error, Result};
use crate::driver::{self, Driver, Settings};

/// How long requests may take to end when the user wants to stop.
const PATIENCE: Duration = Duration::from_secs(1);

/// Serve volumes to Docker and Podman: the volume driver "artishim"
///
/// With it, `docker volume create -d artishim -o ref=REF NAME` makes a volume that shows an artifact, and so do
/// `docker run --mount type=volume,dst=PATH,volume-driver=artishim,volume-opt=ref=REF …`, `driver_opts` of Compose and
/// services of Swarm. Options of a volume: ref (a full name: without a registry it is Docker Hub's),
/// pull=missing|always|never, include=GLOB[,GLOB]..., entry-only=true, authfile=FILE, tls-verify=BOOL. Creating one begins
/// to pull in the background; starting a container waits for the end of it, and where that takes too long fails with how
/// far it is, so that the next try goes on.
///
/// What containers see is a read-only overlay, whatever they are told; without the right to mount one it is a copy.
#[derive(Args, Debug)]
pub struct ServeArgs {
    /// Socket to answer on, where systemd has not opened one
    ///
    /// Docker looks for /run/docker/plugins/artishim.sock, root's default; others name theirs in a file
    /// ~/.local/lib/docker/plugins/artishim.spec, as unix://PATH.
    #[arg(long, value_name = "PATH")]
    pub socket: Option<PathBuf>,
    /// Directory below which volumes are shown, where the engine sees it under the same path; default: in the store
    #[arg(long, value_name = "DIR")]
    pub mounts: Option<PathBuf>,
    /// How many seconds a container's start may wait for a pull; Docker gives up after 120, and Podman after 5
    #[arg(long, value_name = "SECONDS", default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub mount_timeout: u64,
    /// Tell Prometheus of pulls, bytes, mounts and the store at http://ADDRESS/metrics
    #[arg(long, value_name = "ADDRESS")]
    pub metrics: Option<SocketAddr>,
}

pub(super) async fn run(context: &Context, args: &ServeArgs) -> Result<()> {
    let path = args.socket.clone().unwrap_or_else(|| context.environment.plugin_socket());
    let (listener, _own) = match listenfd::ListenFd::from_env().take_unix_listener(0) {
        Ok(Some(listener)) => (listener, None),
        Ok(None) => open(&path).map(|(listener, own)| (listener, Some(own)))?,
        Err(source) => return Err(driver::Error::Socket { path, source }.into()),
    };
    let socket = |source| driver::Error::Socket { path: path.clone(), source };
    listener.set_nonblocking(true).map_err(socket)?;
    let listener = tokio::net::UnixListener::from_std(listener).map_err(socket)?;
    let sessions = context.clone();
    let sessions = Box::new(move |options: &driver::Options, progress| sessions.volume_session(options, progress));
    let store = context.store()?;
    let mounts = args.mounts.clone().unwrap_or_else(|| store.volumes());
    let mounts = std::path::absolute(&mounts).map_err(|error| Error::io(&mounts, error))?;
    let driver = Driver::open(store, &mounts, sessions, context.interrupt())?;
    let settings = Settings { mount_timeout: Duration::from_secs(args.mount_timeout) };
    if let Some(address) = args.metrics {
        let metrics = TcpListener::bind(address).await.map_err(|source| Error::address(address, source))?;
        tokio::spawn(driver::serve_metrics(driver.clone(), metrics));
    }
    context.ui.status(&format!("Serving volumes on {}", path.display()));
    let (interrupt, stop) = (context.interrupt(), context.interrupt());
    let served = driver::serve(driver.clone(), settings, listener, async move { stop.heard().await });
    let out_of_patience = async {
        interrupt.heard().await;
        tokio::time::sleep(PATIENCE).await;
    };
    tokio::select! {
        served = served => served.map_err(Error::internal)?,
        // Somebody began a request and does not end it.
        () = out_of_patience => {}
    }
    driver.close().await;
    Ok(())
}

/// A socket of ours, which goes with us: engines wait long for one that nobody answers.
struct Own {
    path: PathBuf,
    inode: Option<u64>,
}

impl Drop for Own {
    fn drop(&mut self) {
        // Who came after us may have put his in its place.
        if inode(&self.path) == self.inode {
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn inode(path: &Path) -> Option<u64> {
    fs::metadata(path).ok().map(|metadata| metadata.ino())
}

fn open(path: &Path) -> Result<(UnixListener, Own), driver::Error> {
    let at = |source| driver::Error::Socket { path: path.to_owned(), source };
    path.parent().map_or(Ok(()), fs::create_dir_all).map_err(at)?;
    match UnixStream::connect(path) {
        Ok(_) => return Err(driver::Error::Served(path.to_owned())),
        // Somebody who was killed left it.
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => fs::remove_file(path).map_err(at)?,
        Err(_) => {}
    }
    let listener = UnixListener::bind(path).map_err(at)?;
    let own = Own { path: path.to_owned(), inode: inode(path) };
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).map_err(at)?;
    Ok((listener, own))
}
