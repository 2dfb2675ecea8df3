//! In podman's place on a machine that has only Docker: what RamaLama and people ask of podman 5.8, done with docker.
//!
//! Artifacts are ours. What docker knows under the same words is docker's at once; what it knows under others is put
//! into docker's words ([`words`]); what it does not know is refused by name, never dropped.

mod words;

use std::ffi::OsString;
use std::path::Path;

use clap::{CommandFactory as _, FromArgMatches as _};
use serde_json::json;

use self::words::{Call as Words, Images};
use super::args::GlobalArgs;
use super::context::Context;
use super::run::{self, RunArgs, Verb};
use super::{Cli, Command, Error, Result, usage};
use crate::engine::Kind;
use crate::process::{self, Call};
use crate::template;
use crate::ui::Ui;

/// The podman we answer as: artifacts came with 5.7.
const VERSION: &str = "5.8.0";

/// Does what podman would; `docker` is the program to do it with.
pub(super) fn enter(docker: &Path, arguments: &[OsString]) -> Result<()> {
    let ui = Ui::new(false);
    let words: Vec<String> = arguments.iter().map(|word| word.to_string_lossy().into_owned()).collect();
    match words::read(&words).map_err(Error::usage)? {
        Words::Version(format) => version(&ui, format.as_deref()),
        Words::Artifact(rest) => artifact(&ui, &rest),
        Words::Run(verb, rest) => run(docker, &verb, &rest),
        Words::Docker(rest) => Err(docker_call(docker, &rest).exec().into()),
        Words::Each { command, names, mind_missing } => each(&ui, docker, &command, &names, mind_missing),
        Words::Images(images) => list_images(&ui, docker, &images),
        Words::WithoutHeading(rest) => without_heading(&ui, docker, &rest),
        Words::Nothing => Ok(()),
    }
}

fn docker_call(docker: &Path, words: &[String]) -> Call {
    Call::new(docker).args(words.iter().cloned())
}

fn version(ui: &Ui, format: Option<&str>) -> Result<()> {
    let Some(format) = format else { return Ok(ui.data(&format!("podman version {VERSION}"))?) };
    let known =
        json!({ "Version": VERSION, "APIVersion": VERSION, "OsArch": format!("linux/{}", std::env::consts::ARCH) });
    Ok(ui.data(&template::render(format, &json!({ "Client": known, "Version": VERSION }))?)?)
}

/// `podman artifact …` by our own commands of the same names.
fn artifact(ui: &Ui, rest: &[String]) -> Result<()> {
    let line = std::iter::once("podman artifact").chain(rest.iter().map(String::as_str));
    let definition = Cli::command().name("podman artifact").bin_name("podman artifact");
    let parsed = definition.try_get_matches_from(line).and_then(|matches| Cli::from_arg_matches(&matches));
    let mut cli = match parsed {
        Ok(cli) => cli,
        Err(error) => {
            usage(&error, ui);
            return if error.use_stderr() { Err(Error::Silent) } else { Ok(()) };
        }
    };
    match &mut cli.command {
        Command::Inspect(args) => args.filepaths = true,
        Command::Pull(_) | Command::Ls(_) | Command::Rm(_) | Command::Extract(_) => {}
        _ => {
            return Err(Error::usage(String::from(
                "podman artifact on Docker knows pull, ls, inspect, rm and extract",
            )));
        }
    }
    cli.global.engine = Some(Kind::Docker.program().to_owned());
    let context = Context::new(cli.global, ui.clone())?;
    context.block_on(super::run(&context, cli.command))
}

/// A container, after an image that is to be renewed: docker has no word for that.
fn run(docker: &Path, verb: &str, rest: &[String]) -> Result<()> {
    let line = words::run(rest).map_err(Error::usage)?;
    let arguments: Vec<OsString> = line.arguments.iter().map(OsString::from).collect();
    if crate::rewrite::mentions_artifact(&arguments) {
        let verb = if verb == "create" { Verb::Create } else { Verb::Run };
        let global = GlobalArgs { engine: Some(Kind::Docker.program().to_owned()), ..GlobalArgs::default() };
        let context = Context::new(global, Ui::new(false))?;
        return context.block_on(run::run(&context, verb, RunArgs { arguments }));
    }
    let mut arguments = arguments;
    if line.renews_image {
        if let Some(image) = line.image {
            // Without a registry what is here serves.
            let _ = docker_call(docker, &[String::from("pull"), String::from("--quiet"), image]).status_on_stderr();
        }
        crate::rewrite::set_pull(Kind::Docker.dialect(), &mut arguments, "missing");
    }
    Err(Call::new(docker).arg(verb).args(arguments).exec().into())
}

/// A command for several containers or networks, of which some may not be there.
fn each(ui: &Ui, docker: &Path, command: &[String], names: &[String], mind_missing: bool) -> Result<()> {
    if mind_missing {
        let words = [command, names].concat();
        return Err(docker_call(docker, &words).exec().into());
    }
    for name in names {
        match docker_call(docker, command).arg(name).capture() {
            Ok(said) => ui.data(String::from_utf8_lossy(&said).trim_end())?,
            Err(process::Error::Failed { stderr, .. }) if stderr.to_lowercase().contains("no such") => {}
            Err(process::Error::Failed { stderr, .. }) if stderr.contains("not found") => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// docker's list with sizes in bytes, as podman's templates have them.
fn list_images(ui: &Ui, docker: &Path, images: &Images) -> Result<()> {
    let said = docker_call(docker, &images.arguments).capture()?;
    let mut text = String::from_utf8_lossy(&said).trim_end().to_owned();
    for id in images.ids(&text) {
        let inspect = ["image", "inspect", "--format", "{{.Size}}", &id].map(str::to_owned);
        let size = docker_call(docker, &inspect).capture()?;
        text = images.with_size(&text, &id, String::from_utf8_lossy(&size).trim());
    }
    if text.is_empty() { Ok(()) } else { Ok(ui.data(&text)?) }
}

fn without_heading(ui: &Ui, docker: &Path, words: &[String]) -> Result<()> {
    let said = docker_call(docker, words).capture()?;
    let text = String::from_utf8_lossy(&said);
    text.lines().skip(1).try_for_each(|line| Ok(ui.data(line)?))
}
