//! How a user's wish to stop is heard: by a signal, or by docker, whose plugin we may be.

use std::ffi::OsStr;
use std::io::{self, Read as _};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixStream};
use std::sync::Arc;

use tokio::signal::unix::{SignalKind, signal};

use crate::pull::Interrupter;

/// Turns the first SIGINT or SIGTERM into a wish to stop; the second ends the process at once.
///
/// Signals count from the call on, and not from when the future is first asked: a terminal may be silenced by then.
pub(super) fn on_signals(interrupter: Arc<Interrupter>) -> impl Future<Output = ()> {
    let signals = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()));
    async move {
        let (Ok(mut interrupt), Ok(mut terminate)) = signals else { return };
        for is_last in [false, true] {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            interrupter.interrupt();
            if is_last {
                rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL).ok();
            }
        }
    }
}

/// Takes it for a wish to stop when docker closes the socket it named (docker/cli, cli-plugins/socket). Blocks.
///
/// A plugin may be in another process group, or another terminal, than the docker the user stops.
pub(super) fn on_hang_up(socket: &OsStr, interrupter: &Interrupter) {
    match wait_for_end(socket) {
        Ok(()) => interrupter.interrupt(),
        // A name inherited from a docker that is long gone.
        Err(error) => tracing::debug!(%error, ?socket, "nobody tells us by this socket when to stop"),
    }
}

fn wait_for_end(socket: &OsStr) -> io::Result<()> {
    let address = match socket.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(socket)?,
    };
    let mut stream = UnixStream::connect_addr(&address)?;
    let mut ignored = [0; 64];
    while stream.read(&mut ignored)? > 0 {}
    Ok(())
}
