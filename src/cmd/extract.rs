//! `artishim extract`.

use std::ffi::OsString;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use clap::Args;

use super::output::{Stoppable, write_file};
use super::{Context, Error, Result};
use crate::cause::one_line;
use crate::checkout::checkout;
use crate::listing::File;
use crate::store::Snapshot;
use crate::{mount, packaging};

/// Copy an artifact's files out of the store
#[derive(Args, Debug)]
pub struct ExtractArgs {
    /// Artifact in the store, by name or digest
    pub artifact: String,
    /// Directory for the files, the file to write where there is one, or - for a tar on stdout
    pub target: PathBuf,
    /// Copy only the file of this title or path
    #[arg(long, conflicts_with_all = ["digest", "entry"])]
    pub title: Option<String>,
    /// Copy only the blob of this digest, under the name that the digest gives it
    #[arg(long, conflicts_with = "entry")]
    pub digest: Option<String>,
    /// Copy only the file that an inference server is started with
    #[arg(long)]
    pub entry: bool,
}

pub(super) async fn run(context: &Context, args: &ExtractArgs) -> Result<()> {
    let store = context.store()?;
    let is_tar = args.target.as_os_str() == "-";
    let entry = match store.find(&context.stored(&store, &args.artifact)?) {
        Ok(entry) => entry,
        Err(error) if is_tar || args.entry => return Err(error.into()),
        Err(error) => return Err(context.hand_over(error, &args.artifact, |name| podman_arguments(args, name)).await),
    };
    let artifact = crate::pull::load(&store, &entry)?.ok_or_else(|| Error::Incomplete(args.artifact.clone()))?;
    let snapshot = checkout(&store, &artifact)?;
    let wanted = wanted(&snapshot, args)?;
    let mut files = wanted.iter().map(|&at| &snapshot.listing.files[at]);
    if is_tar {
        return write_tar(context, &snapshot, files);
    }
    if args.target.is_dir() {
        return files.try_for_each(|file| copy(context, &snapshot, file, &args.target.join(name(file, args))));
    }
    match wanted.as_slice() {
        [] => Err(mount::Error::Empty.into()),
        [at] => copy(context, &snapshot, &snapshot.listing.files[*at], &args.target),
        _ => Err(Error::usage(format!(
            "the artifact consists of several blobs and the target {:?} is not a directory and neither digest or title \
             was specified to only copy a single blob",
            args.target.display().to_string()
        ))),
    }
}

fn wanted(snapshot: &Snapshot, args: &ExtractArgs) -> Result<Vec<usize>> {
    let files = &snapshot.listing.files;
    let entry = args.entry.then(|| packaging::entry(&snapshot.listing)).transpose();
    let entry = entry.map_err(|error| Error::usage(format!("{}: choose it with --title", one_line(&error))))?;
    let digest = args.digest.as_deref().map(str::parse).transpose()?;
    Ok(mount::select(files, args.title.as_deref().or(entry), digest.as_ref())?)
}

/// What a file is called in a directory: podman's name for a blob that was asked for by its digest.
fn name(file: &File, args: &ExtractArgs) -> PathBuf {
    if args.digest.is_some() { file.blob.file_name().into() } else { PathBuf::from(&file.path) }
}

fn write_tar<'a>(context: &Context, snapshot: &Snapshot, files: impl Iterator<Item = &'a File>) -> Result<()> {
    if context.ui.stdout_is_terminal() {
        return Err(Error::usage(String::from("a tar is nothing for a terminal: use a pipe, or name a directory")));
    }
    let output = Stoppable { stream: context.ui.output(), interrupt: context.interrupt() };
    let mut tar = tar::Builder::new(std::io::BufWriter::with_capacity(1 << 20, output));
    for file in files {
        let source = snapshot.path.join(&file.path);
        let content = fs::File::open(&source).map_err(|error| Error::io(&source, error))?;
        let metadata = content.metadata().map_err(|error| Error::io(&source, error))?;
        let mut header = tar::Header::new_gnu();
        header.set_size(metadata.len());
        header.set_mode(if metadata.permissions().mode() & 0o111 == 0 { 0o644 } else { 0o755 });
        tar.append_data(&mut header, &file.path, content).map_err(Error::Output)?;
    }
    Ok(tar.into_inner().and_then(|mut output| output.flush())?)
}

fn podman_arguments(args: &ExtractArgs, name: String) -> Vec<OsString> {
    let mut arguments = vec![OsString::from("extract")];
    arguments.extend(args.title.iter().map(|title| OsString::from(format!("--title={title}"))));
    arguments.extend(args.digest.iter().map(|digest| OsString::from(format!("--digest={digest}"))));
    arguments.extend([OsString::from(name), OsString::from(&args.target)]);
    arguments
}

fn copy(context: &Context, snapshot: &Snapshot, file: &File, target: &Path) -> Result<()> {
    if let Some(parent) = target.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        fs::create_dir_all(parent).map_err(|error| Error::io(parent, error))?;
    }
    let source = snapshot.path.join(&file.path);
    let mut input = fs::File::open(&source).map_err(|error| Error::io(&source, error))?;
    write_file(target, &context.interrupt(), |output| {
        std::io::copy(&mut input, output).map(drop).map_err(|error| Error::io(target, error))
    })
}
