//! Files that commands write for the user: whole or not at all, and not after the user has asked to stop.

use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::{Error, Result};
use crate::pull::Interrupt;

/// How much is written at once.
const PIECE: usize = 1 << 20;

/// Writes a file by `write`. It gets its name when it is whole; a device or a pipe is written to and stays, and a link is
/// followed.
pub(super) fn write_file(
    path: &Path,
    interrupt: &Interrupt,
    write: impl FnOnce(&mut dyn Write) -> Result<()>,
) -> Result<()> {
    let failed = |error: io::Error| Error::io(path, plain(&error));
    let target = &if path.is_symlink() { path.canonicalize().map_err(failed)? } else { path.to_owned() };
    if target.exists() && !target.is_file() {
        let file = File::options().write(true).open(target).map_err(failed)?;
        return fill(&file, path, interrupt, write);
    }
    let directory = target.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    let mode = std::fs::Permissions::from_mode(0o666);
    let draft =
        tempfile::Builder::new().prefix(".artishim-").permissions(mode).tempfile_in(directory).map_err(failed)?;
    fill(draft.as_file(), path, interrupt, write)?;
    draft.as_file().sync_all().map_err(failed)?;
    draft.persist(target).map(drop).map_err(|error| failed(error.error))
}

fn fill(
    file: &File,
    path: &Path,
    interrupt: &Interrupt,
    write: impl FnOnce(&mut dyn Write) -> Result<()>,
) -> Result<()> {
    let mut output = BufWriter::with_capacity(PIECE, Stoppable { stream: file, interrupt: interrupt.clone() });
    write(&mut output)?;
    output.flush().map_err(|error| Error::io(path, error))
}

/// Without the name of the draft, which is nobody's business.
fn plain(error: &io::Error) -> io::Error {
    error
        .raw_os_error()
        .or_else(|| error.get_ref()?.downcast_ref::<io::Error>()?.raw_os_error())
        .map_or_else(|| io::Error::from(error.kind()), io::Error::from_raw_os_error)
}

/// A stream that ends with an error when the user has asked to stop.
pub(super) struct Stoppable<S> {
    pub stream: S,
    pub interrupt: Interrupt,
}

impl<S> Stoppable<S> {
    fn go_on(&self) -> io::Result<()> {
        // The kind that means so is the one that is tried again.
        if self.interrupt.is_heard() { Err(io::Error::other("stopped")) } else { Ok(()) }
    }
}

impl<S: Write> Write for Stoppable<S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.go_on()?;
        self.stream.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

impl<S: Read> Read for Stoppable<S> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.go_on()?;
        self.stream.read(bytes)
    }
}
