//! `artishim extract`.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;

use super::{Context, Error, Result};
use crate::checkout::checkout;
use crate::listing::File;
use crate::mount;
use crate::store::Snapshot;

/// Copy an artifact's files out of the store
#[derive(Args, Debug)]
pub struct ExtractArgs {
    /// Artifact in the store, by name or digest
    pub artifact: String,
    /// Directory for the files, or the file to write where there is one
    pub target: PathBuf,
    /// Copy only the file of this title or path
    #[arg(long, conflicts_with = "digest")]
    pub title: Option<String>,
    /// Copy only the blob of this digest
    #[arg(long)]
    pub digest: Option<String>,
}

pub(super) async fn run(context: &Context, args: &ExtractArgs) -> Result<()> {
    let store = context.store()?;
    let entry = match store.find(&args.artifact) {
        Ok(entry) => entry,
        Err(error) => return Err(context.hand_over(error, &args.artifact, |name| podman_arguments(args, name)).await),
    };
    let artifact = crate::pull::load(&store, &entry)?.ok_or_else(|| Error::Incomplete(args.artifact.clone()))?;
    let snapshot = checkout(&store, &artifact)?;
    let digest = args.digest.as_deref().map(str::parse).transpose()?;
    let files = &snapshot.listing.files;
    let wanted = mount::select(files, args.title.as_deref(), digest.as_ref())?;
    if args.target.is_dir() {
        return wanted.iter().try_for_each(|&at| copy(&snapshot, &files[at], &args.target.join(&files[at].path)));
    }
    match wanted.as_slice() {
        [] => Err(mount::Error::Empty.into()),
        [at] => copy(&snapshot, &files[*at], &args.target),
        _ => Err(Error::usage(format!(
            "the artifact consists of several blobs and the target {:?} is not a directory and neither digest or title \
             was specified to only copy a single blob",
            args.target.display().to_string()
        ))),
    }
}

fn podman_arguments(args: &ExtractArgs, name: String) -> Vec<OsString> {
    let mut arguments = vec![OsString::from("extract")];
    arguments.extend(args.title.iter().map(|title| OsString::from(format!("--title={title}"))));
    arguments.extend(args.digest.iter().map(|digest| OsString::from(format!("--digest={digest}"))));
    arguments.extend([OsString::from(name), OsString::from(&args.target)]);
    arguments
}

fn copy(snapshot: &Snapshot, file: &File, target: &Path) -> Result<()> {
    if let Some(parent) = target.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        fs::create_dir_all(parent).map_err(|error| Error::io(parent, error))?;
    }
    let source = snapshot.path.join(&file.path);
    let mut input = fs::File::open(&source).map_err(|error| Error::io(&source, error))?;
    let written = fs::File::create(target).and_then(|mut output| std::io::copy(&mut input, &mut output));
    written.map(drop).map_err(|error| Error::io(target, error))
}
