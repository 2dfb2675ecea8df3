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
    let script = with_names(args.shell, &String::from_utf8_lossy(&script));
    Ok(context.ui.data_bytes(script.as_bytes())?)
}

/// The script with the names of the store's artifacts where a command takes one.
fn with_names(shell: Shell, script: &str) -> String {
    match shell {
        Shell::Bash => format!("{script}{}", include_str!("completions/bash")),
        Shell::Fish => format!("{script}{}", include_str!("completions/fish")),
        Shell::Zsh => {
            let (head, rest) = script.split_once('\n').unwrap_or((script, ""));
            let lines = rest.lines().map(|line| {
                if takes_name(line) { line.replace(":_default'", ":_artishim_names'") } else { line.to_owned() }
            });
            format!("{head}\n{}\n{}\n", include_str!("completions/zsh"), lines.collect::<Vec<_>>().join("\n"))
        }
        _ => script.to_owned(),
    }
}

/// Whether a line of zsh's script is about an artifact.
fn takes_name(line: &str) -> bool {
    let arguments = ["':artifact -- ", "':reference -- ", "'*::artifacts -- ", "'*::names -- "];
    arguments.iter().any(|argument| line.starts_with(argument))
}

pub(super) fn man(_: &Context, args: &ManArgs) -> Result<()> {
    clap_mangen::generate_to(Cli::command(), &args.directory).map_err(|error| Error::io(&args.directory, error))?;
    let (name, sections) = MAIN_PAGE;
    let path = args.directory.join(name);
    let appended = OpenOptions::new().append(true).open(&path).and_then(|mut page| page.write_all(sections.as_bytes()));
    appended.map_err(|error| Error::io(&path, error))
}
