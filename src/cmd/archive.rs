//! `artishim save` and `load`.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use clap::Args;

use super::tag::new_name;
use super::{Context, Error, Result};
use crate::oci_archive;
use crate::process::run_blocking;
use crate::store::{Entry, Store};

/// Write artifacts of artishim's store to one file, to be carried to where no registry is
///
/// The file is an OCI archive: a tar with an OCI image layout. skopeo reads it as oci-archive:FILE.
#[derive(Args, Debug)]
pub struct SaveArgs {
    /// Artifacts, by name or digest
    #[arg(required = true)]
    pub artifacts: Vec<String>,
    /// File to write instead of stdout
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// Read artifacts from a file that `artishim save`, skopeo or docker has written
///
/// Prints their names; what has none is found by its digest. The file is an OCI archive, compressed by gzip or not.
#[derive(Args, Debug)]
pub struct LoadArgs {
    /// Name for the artifact, where there is only one in the file
    pub name: Option<String>,
    /// File to read instead of stdin
    #[arg(short, long, value_name = "FILE")]
    pub input: Option<PathBuf>,
}

pub(super) async fn save(context: &Context, args: SaveArgs) -> Result<()> {
    let store = context.store()?;
    let entries = args.artifacts.iter().map(|artifact| store.find(artifact)).collect::<Result<Vec<_>, _>>()?;
    match args.output {
        Some(path) => run_blocking(move || save_to(&store, &entries, &path)).await,
        None if context.ui.stdout_is_terminal() => Err(Error::usage(String::from(
            "an archive is nothing for a terminal: name a file with --output, or use a pipe",
        ))),
        None => {
            let output = std::io::BufWriter::with_capacity(1 << 20, context.ui.output());
            Ok(run_blocking(move || oci_archive::write(&store, &entries, output)).await?)
        }
    }
}

/// Writes beside the file and renames: what has the name is whole.
fn save_to(store: &Store, entries: &[Entry], path: &Path) -> Result<()> {
    let failed = |error| Error::io(path, error);
    let path = &if path.is_symlink() { path.canonicalize().map_err(failed)? } else { path.to_owned() };
    // A pipe or a device is written to, and stays.
    if path.exists() && !path.is_file() {
        let output = File::options().write(true).open(path).map_err(failed)?;
        return Ok(oci_archive::write(store, entries, std::io::BufWriter::with_capacity(1 << 20, output))?);
    }
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o666);
    let mut draft = tempfile::Builder::new().permissions(mode).tempfile_in(directory).map_err(failed)?;
    oci_archive::write(store, entries, std::io::BufWriter::with_capacity(1 << 20, draft.as_file_mut()))?;
    draft.flush().map_err(failed)?;
    draft.as_file().sync_all().map_err(failed)?;
    draft.persist(path).map_err(|error| failed(error.error))?;
    Ok(())
}

pub(super) async fn load(context: &Context, args: LoadArgs) -> Result<()> {
    let store = context.store()?;
    let name = args.name.as_deref().map(new_name).transpose()?;
    let loaded = match args.input {
        Some(path) => {
            let file = File::open(&path).map_err(|error| Error::io(&path, error))?;
            run_blocking(move || oci_archive::read(&store, file, name.as_ref())).await?
        }
        None => run_blocking(move || oci_archive::read(&store, std::io::stdin().lock(), name.as_ref())).await?,
    };
    loaded.iter().try_for_each(|name| Ok(context.ui.data(name)?))
}
