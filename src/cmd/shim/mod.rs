//! In podman's place on a machine that has only Docker: what RamaLama and people ask of podman 5.8, done with docker.
//!
//! Artifacts are ours. What docker knows under the same words is docker's at once; what it knows under others is put
//! into docker's words ([`words`]); what it does not know is refused by name, never dropped.

mod container;
mod words;

use std::ffi::OsString;
use std::path::Path;

use clap::{CommandFactory as _, FromArgMatches as _};
use serde_json::json;

use self::container::{Container, ImageMount};
use self::words::{Call as Words, Images};
use super::args::GlobalArgs;
use super::context::Context;
use super::run::{self, RunArgs, Verb};
use super::{Cli, Command, Error, FAILURE, Result, usage};
use crate::deliver;
use crate::engine::Kind;
use crate::process::{self, Call};
use crate::template;
use crate::ui::Ui;

/// The podman we answer as: artifacts came with 5.7.
const VERSION: &str = "5.8.0";

/// Does what podman would; `docker` is the program to do it with.
pub(super) fn enter(docker: &Path, arguments: &[OsString]) -> Result<()> {
    let ui = Ui::new(false);
    match words::read(&texts(arguments)?).map_err(Error::usage)? {
        Words::Version(format) => version(&ui, format.as_deref()),
        Words::Artifact(rest) => artifact(&ui, &rest),
        Words::Run(verb, rest) => run(&ui, docker, &verb, &rest),
        Words::Docker(rest) => Err(docker_call(docker, &rest).exec().into()),
        Words::Each { command, names, mind_missing } => each(&ui, docker, &command, &names, mind_missing),
        Words::Images(images) => list_images(&ui, docker, &images),
        Words::RemoveImages(rest) => remove_images(&ui, docker, &rest),
        Words::WithoutHeading(rest) => without_heading(&ui, docker, &rest),
        Words::Nothing => Ok(()),
    }
}

fn texts(arguments: &[OsString]) -> Result<Vec<String>> {
    let text = |word: &OsString| word.to_str().map(str::to_owned);
    let odd = |word: &OsString| Error::usage(format!("podman on Docker: the argument {word:?} is not UTF-8"));
    arguments.iter().map(|word| text(word).ok_or_else(|| odd(word))).collect()
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

/// A container, after one whose place it takes is gone and an image that is to be renewed was asked for.
fn run(ui: &Ui, docker: &Path, verb: &str, rest: &[String]) -> Result<()> {
    let podmans: Vec<OsString> = rest.iter().map(OsString::from).collect();
    let mut container = Container::read(&podmans).map_err(Error::usage)?;
    if let Some(name) = &container.replaces {
        remove(docker, name)?;
    }
    if !container.image_mounts.is_empty() {
        let context = context(ui)?;
        context.block_on(mount_images(&context, docker, &mut container))?;
    }
    let mut arguments = container.arguments;
    if crate::rewrite::mentions_artifact(&arguments) {
        let verb = if verb == "create" { Verb::Create } else { Verb::Run };
        let context = context(ui)?;
        return context.block_on(run::run(&context, verb, RunArgs { arguments }));
    }
    if container.renews_image {
        container.image.map_or(Ok(()), |image| renew(ui, docker, &image))?;
        crate::rewrite::set_pull(Kind::Docker.dialect(), &mut arguments, "missing");
    }
    Err(Call::new(docker).arg(verb).args(arguments).exec().into())
}

fn context(ui: &Ui) -> Result<Context> {
    let global = GlobalArgs { engine: Some(Kind::Docker.program().to_owned()), ..GlobalArgs::default() };
    Context::new(global, ui.clone())
}

/// Puts volumes with the images' files in the place of the images, which docker pulls if need be.
async fn mount_images(context: &Context, docker: &Path, container: &mut Container) -> Result<()> {
    let engine = context.engine().await?;
    for ImageMount { image, directory, destination } in std::mem::take(&mut container.image_mounts) {
        let id = match engine.image_id(&image).await? {
            Some(id) => Some(id),
            None if docker_call(docker, &[String::from("pull"), image.clone()]).status_on_stderr()?.success() => {
                engine.image_id(&image).await?
            }
            None => None,
        };
        let id = id.ok_or(Error::Silent)?;
        let volume = deliver::image::fill(&engine, &id, &directory, &context.locks()).await?;
        let mount = format!("--mount=type=volume,src={volume},dst={destination},readonly");
        container.arguments.insert(0, mount.into());
    }
    Ok(())
}

/// Removes images, and then the volumes that were filled from them.
fn remove_images(ui: &Ui, docker: &Path, words: &[String]) -> Result<()> {
    let removed = docker_call(docker, words).status()?;
    let context = context(ui)?;
    let swept = context.block_on(async { Ok(deliver::image::sweep(&context.engine().await?).await?) });
    if let Err(error) = swept {
        tracing::warn!(%error, "volumes of images that are gone may stay");
    }
    match removed.code() {
        Some(0) => Ok(()),
        Some(status) => Err(Error::Ended(u8::try_from(status).unwrap_or(FAILURE))),
        None => Err(Error::Silent),
    }
}

/// Removes a container, if it is there.
fn remove(docker: &Path, name: &str) -> Result<()> {
    match docker_call(docker, &["rm", "--force", name].map(str::to_owned)).capture() {
        Err(process::Error::Failed { stderr, .. }) if is_missing(&stderr) => Ok(()),
        removed => Ok(removed.map(drop)?),
    }
}

/// Asks a registry for an image; where that does not work, what is here serves, as it does podman.
fn renew(ui: &Ui, docker: &Path, image: &str) -> Result<()> {
    let is_here = docker_call(docker, &["image", "inspect", image].map(str::to_owned)).capture().is_ok();
    let is_pulled = docker_call(docker, &["pull", image].map(str::to_owned)).status_on_stderr()?.success();
    if !is_pulled && is_here {
        ui.note(&format!("{image}: using the image that is here"));
    }
    if is_pulled || is_here { Ok(()) } else { Err(Error::Silent) }
}

fn is_missing(stderr: &str) -> bool {
    let text = stderr.to_lowercase();
    text.contains("no such") || text.contains("not found")
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
            Err(process::Error::Failed { stderr, .. }) if is_missing(&stderr) => {}
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
