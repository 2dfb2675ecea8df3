//! `artishim save` and `load`.

use std::fs::File;
use std::io::{IsTerminal as _, Read};
use std::path::PathBuf;

use clap::Args;

use super::output::{Stoppable, write_file};
use super::tag::new_name;
use super::{Context, Error, Result};
use crate::oci_archive;
use crate::process::run_blocking;

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
    let (store, interrupt) = (context.store()?, context.interrupt());
    let find = |artifact: &String| Ok(store.find(&context.stored(&store, artifact)?)?);
    let entries = args.artifacts.iter().map(find).collect::<Result<Vec<_>>>()?;
    match args.output {
        Some(path) => {
            let write =
                move || write_file(&path, &interrupt, |output| Ok(oci_archive::write(&store, &entries, output)?));
            run_blocking(write).await
        }
        None if context.ui.stdout_is_terminal() => Err(Error::usage(String::from(
            "an archive is nothing for a terminal: name a file with --output, or use a pipe",
        ))),
        None => {
            let output = Stoppable { stream: context.ui.output(), interrupt };
            let output = std::io::BufWriter::with_capacity(1 << 20, output);
            Ok(run_blocking(move || oci_archive::write(&store, &entries, output)).await?)
        }
    }
}

pub(super) async fn load(context: &Context, args: LoadArgs) -> Result<()> {
    let (store, interrupt) = (context.store()?, context.interrupt());
    let name = args.name.as_deref().map(new_name).transpose()?;
    let input: Box<dyn Read + Send> = match &args.input {
        Some(path) if path.is_dir() => {
            return Err(Error::usage(format!("{} is a directory: expected an archive", path.display())));
        }
        Some(path) => Box::new(File::open(path).map_err(|error| Error::io(path, error))?),
        None if std::io::stdin().is_terminal() => {
            return Err(Error::usage(String::from("no archive: name a file with --input, or use a pipe")));
        }
        None => Box::new(std::io::stdin()),
    };
    let input = Stoppable { stream: input, interrupt };
    let loaded = run_blocking(move || oci_archive::read(&store, input, name.as_ref())).await?;
    loaded.iter().try_for_each(|name| Ok(context.ui.data(name)?))
}
