//! `artishim add`.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use jiff::Timestamp;

use super::tag::new_name;
use super::{Context, Error, Result};
use crate::add::{self, Existing, Form, Request, Source};
use crate::reference::Reference;

/// Make an artifact of files
///
/// Prints the digest of its manifest. A file keeps its name as its title; a directory becomes one layer that ORAS
/// unpacks, or with --packaging modelpack a layer for each of its files. The bytes are copied, or share their blocks
/// with the files where the filesystem can.
///
/// On Podman 5.7 and newer the artifact goes to Podman's own store, one at a time, as Podman loses artifacts that are
/// added at once; directories, standard input and --packaging modelpack go to artishim's.
#[derive(Args, Debug)]
pub struct AddArgs {
    /// Name of the artifact
    pub artifact: String,
    /// Files and directories; - is standard input, whose name is that of --annotation org.opencontainers.image.title=NAME
    #[arg(required = true)]
    pub paths: Vec<PathBuf>,
    /// Annotation of the artifact and of each file added, as KEY=VALUE; may be given several times
    #[arg(long, value_name = "KEY=VALUE")]
    pub annotation: Vec<String>,
    /// Add to an artifact that is there
    #[arg(short, long)]
    pub append: bool,
    /// Take the name from an artifact that has it
    #[arg(long)]
    pub replace: bool,
    /// Type of the artifact
    #[arg(long = "type", value_name = "TYPE")]
    pub artifact_type: Option<String>,
    /// Media type of the files, instead of what their content looks like
    #[arg(long, value_name = "TYPE")]
    pub file_type: Option<String>,
    /// How the files become layers
    #[arg(long, value_name = "PACKAGING", default_value = "oras")]
    pub packaging: AddPackaging,
}

/// How files become layers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum AddPackaging {
    /// Files with titles, as podman and oras have it
    #[default]
    Oras,
    /// Files with paths, and what model they are, read from the GGUF or from config.json
    Modelpack,
}

pub(super) async fn run(context: &Context, args: AddArgs) -> Result<()> {
    let name = new_name(&args.artifact)?;
    let request = request(&args)?;
    if is_podmans(&args)
        && let Some(podman) = context.artifact_podman().await
    {
        let added = context.add_by_podman(&podman, podman_arguments(&args, &name)).await?;
        return Ok(context.ui.data(&added)?);
    }
    let added = add::add(&context.session()?, &name, request).await?;
    Ok(context.ui.data(added.hex())?)
}

fn request(args: &AddArgs) -> Result<Request> {
    if args.append && args.replace {
        return Err(Error::usage(String::from("--append and --replace options cannot be used together")));
    }
    if args.append && args.artifact_type.is_some() {
        return Err(Error::usage(String::from("append option is not compatible with type option")));
    }
    let existing = match (args.append, args.replace) {
        (true, _) => Existing::Append,
        (_, true) => Existing::Replace,
        _ => Existing::Refuse,
    };
    Ok(Request {
        sources: args.paths.iter().map(|path| source(path)).collect(),
        annotations: args.annotation.iter().map(|text| annotation(text)).collect::<Result<BTreeMap<_, _>>>()?,
        artifact_type: args.artifact_type.clone(),
        file_type: args.file_type.clone(),
        form: if args.packaging == AddPackaging::Modelpack { Form::ModelPack } else { Form::Files },
        existing,
        now: Timestamp::now().to_string(),
    })
}

fn source(path: &Path) -> Source {
    if is_input(path) { Source::Stream(Box::new(std::io::stdin())) } else { Source::Path(path.to_owned()) }
}

fn is_input(path: &Path) -> bool {
    path.as_os_str() == "-"
}

fn annotation(text: &str) -> Result<(String, String)> {
    match text.split_once('=') {
        Some((key, value)) => Ok((key.to_owned(), value.to_owned())),
        None => Err(Error::usage(format!("no value given for annotation {text:?}"))),
    }
}

/// Whether podman can do it, and does it right: it loses the first bytes of what it cannot read twice.
fn is_podmans(args: &AddArgs) -> bool {
    let is_plain = |path: &PathBuf| !is_input(path) && (path.is_file() || !path.exists());
    args.packaging == AddPackaging::Oras && args.paths.iter().all(is_plain)
}

fn podman_arguments(args: &AddArgs, name: &Reference) -> Vec<OsString> {
    let mut arguments = Vec::new();
    let flags = [("--append", args.append), ("--replace", args.replace)];
    arguments.extend(flags.iter().filter(|(_, is_set)| *is_set).map(|(flag, _)| OsString::from(flag)));
    let values = args.annotation.iter().map(|text| ("--annotation", text));
    let types = [("--type", &args.artifact_type), ("--file-type", &args.file_type)];
    let types = types.into_iter().filter_map(|(flag, value)| Some((flag, value.as_ref()?)));
    arguments.extend(values.chain(types).map(|(flag, value)| OsString::from(format!("{flag}={value}"))));
    arguments.push(OsString::from("--"));
    arguments.push(OsString::from(name.to_string()));
    arguments.extend(args.paths.iter().map(OsString::from));
    arguments
}
