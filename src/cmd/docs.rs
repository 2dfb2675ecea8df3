//! Hidden commands that print completions and man pages from the definition of the command line.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::{Cli, Context, Error, Result};

/// The page of the program itself, and what the definition of the command line cannot say there.
const MAIN_PAGE: (&str, &str) = ("artishim.1", include_str!("artishim.roff"));

/// Print completions for a shell
#[derive(Args, Debug)]
pub struct CompletionsArgs {
    /// Shell to complete in
    pub shell: Shell,
}

/// Write a man page for every command into a directory
#[derive(Args, Debug)]
pub struct ManArgs {
    /// Directory for the pages
    pub directory: PathBuf,
}

pub(super) fn completions(context: &Context, args: &CompletionsArgs) -> Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "artishim", &mut script);
    Ok(context.ui.data_bytes(&script)?)
}

pub(super) fn man(_: &Context, args: &ManArgs) -> Result<()> {
    clap_mangen::generate_to(Cli::command(), &args.directory).map_err(|error| Error::io(&args.directory, error))?;
    let (name, sections) = MAIN_PAGE;
    let path = args.directory.join(name);
    let appended = OpenOptions::new().append(true).open(&path).and_then(|mut page| page.write_all(sections.as_bytes()));
    appended.map_err(|error| Error::io(&path, error))
}
