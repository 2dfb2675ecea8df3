//! In podman's place on a machine that has only Docker: what RamaLama and people ask of podman 5.8, done with docker.
//!
//! Artifacts are ours. What docker knows under the same words is docker's at once; what it knows under others is put
//! into docker's words ([`words`]); what it does not know is refused by name, never dropped.

mod container;
mod words;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{CommandFactory as _, FromArgMatches as _};
use serde_json::json;

use self::container::{Container, ImageMount};
use self::words::{Call as Words, Images};
use super::args::GlobalArgs;
use super::context::Context;
use super::run::{self, RunArgs, Verb};
use super::{Cli, Command, Error, FAILURE, Result, usage};
use crate::config;
use crate::deliver;
use crate::engine::Kind;
use crate::process::{self, Call};
use crate::template;
use crate::ui::Ui;

/// The podman we answer as: artifacts came with 5.7.
const VERSION: &str = "5.8.0";

/// Does what podman would; `docker` is the program to do it with.
pub(super) fn enter(docker: &Docker, arguments: &[OsString]) -> Result<()> {
    let ui = Ui::new(false);
    match words::read(&texts(arguments)?).map_err(Error::usage)? {
        Words::Version(format) => version(&ui, format.as_deref()),
        Words::Artifact(rest) => artifact(&ui, &rest),
        Words::Run(verb, rest) => run(&ui, docker, &verb, &rest),
        Words::Docker(rest) => Err(docker.call(rest).exec().into()),
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

/// The program that things are done with.
pub(super) struct Docker {
    pub program: PathBuf,
    /// What it is told of how often a line was handed on.
    pub times: String,
}

impl Docker {
    fn call<A: Into<OsString>>(&self, words: impl IntoIterator<Item = A>) -> Call {
        Call::new(&self.program).env(config::LINKS, self.times.clone()).args(words)
    }
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
    let mut definition = Cli::command().name("podman artifact").bin_name("podman artifact");
    let ours = [
        "run", "create", "mount", "path", "cp", "volume", "engines", "serve", "tag", "untag", "prune", "save", "load",
        "doctor",
    ];
    for other in ours {
        definition = definition.mut_subcommand(other, |command| command.hide(true));
    }
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
        Command::Add(_) | Command::Push(_) => {}
        Command::Pull(_) | Command::Ls(_) | Command::Rm(_) | Command::Extract(_) => {}
        _ => {
            return Err(Error::usage(String::from(
                "podman artifact on Docker knows add, push, pull, ls, inspect, rm and extract; for others type artishim",
            )));
        }
    }
    cli.global.engine = Some(Kind::Docker.program().to_owned());
    let context = Context::new(cli.global, ui.clone())?;
    context.block_on(super::run(&context, cli.command))
}

/// A container, after the images that it needs were asked for and one whose place it takes is gone.
fn run(ui: &Ui, docker: &Docker, verb: &str, rest: &[String]) -> Result<()> {
    let podmans: Vec<OsString> = rest.iter().map(OsString::from).collect();
    let mut container = Container::read(&podmans).map_err(Error::usage)?;
    if !container.image_mounts.is_empty() {
        let context = context(ui)?;
        context.block_on(mount_images(&context, docker, &mut container))?;
    }
    let replaces = container.replaces;
    let replace = || replaces.as_deref().map_or(Ok(()), |name| remove(docker, name));
    let mut arguments = container.arguments;
    if crate::rewrite::mentions_artifact(&arguments) {
        let verb = if verb == "create" { Verb::Create } else { Verb::Run };
        let context = context(ui)?;
        return context.block_on(run::run_after(&context, verb, RunArgs { arguments }, &replace));
    }
    if container.renews_image {
        container.image.as_deref().map_or(Ok(()), |image| renew(ui, docker, image))?;
        crate::rewrite::set_pull(Kind::Docker.dialect(), &mut arguments, "missing");
    }
    if let (Some(_), Some(image)) = (&replaces, &container.image) {
        ensure(docker, image)?;
    }
    replace()?;
    Err(docker.call([verb]).args(arguments).exec().into())
}

fn context(ui: &Ui) -> Result<Context> {
    let global = GlobalArgs { engine: Some(Kind::Docker.program().to_owned()), ..GlobalArgs::default() };
    Context::new(global, ui.clone())
}

/// Puts volumes with the images' files in the place of the images, which docker pulls if need be.
async fn mount_images(context: &Context, docker: &Docker, container: &mut Container) -> Result<()> {
    let engine = context.engine().await?;
    for ImageMount { image, directory, destination } in std::mem::take(&mut container.image_mounts) {
        let id = match engine.image_id(&image).await? {
            Some(id) => Some(id),
            None if docker.call(["pull", image.as_str()]).status_on_stderr()?.success() => {
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
fn remove_images(ui: &Ui, docker: &Docker, words: &[String]) -> Result<()> {
    let removed = docker.call(words).status()?;
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

/// Removes the container of this very name, if it is there: docker takes the beginning of an id for a name too.
fn remove(docker: &Docker, name: &str) -> Result<()> {
    let inspect = docker.call(["container", "inspect", "--format", "{{.Name}} {{.Id}}", name]);
    let found = match inspect.capture() {
        Err(process::Error::Failed { stderr, .. }) if is_missing(&stderr) => return Ok(()),
        found => String::from_utf8_lossy(&found?).into_owned(),
    };
    match found.trim().strip_prefix('/').and_then(|found| found.split_once(' ')) {
        Some((found, id)) if found == name => Ok(docker.call(["rm", "--force", id]).capture().map(drop)?),
        _ => Ok(()),
    }
}

/// Asks a registry for an image; where that does not work, what is here serves, as it does podman.
fn renew(ui: &Ui, docker: &Docker, image: &str) -> Result<()> {
    let is_here = docker.call(["image", "inspect", image]).capture().is_ok();
    let is_pulled = docker.call(["pull", image]).status_on_stderr()?.success();
    if !is_pulled && is_here {
        ui.note(&format!("{image}: using the image that is here"));
    }
    if is_pulled || is_here { Ok(()) } else { Err(Error::Silent) }
}

/// Makes sure that an image is here, before anything goes for its sake.
fn ensure(docker: &Docker, image: &str) -> Result<()> {
    let is_here = docker.call(["image", "inspect", image]).capture().is_ok();
    if is_here || docker.call(["pull", image]).status_on_stderr()?.success() { Ok(()) } else { Err(Error::Silent) }
}

fn is_missing(stderr: &str) -> bool {
    let text = stderr.to_lowercase();
    text.contains("no such") || text.contains("not found")
}

/// A command for several containers or networks, of which some may not be there.
fn each(ui: &Ui, docker: &Docker, command: &[String], names: &[String], mind_missing: bool) -> Result<()> {
    if mind_missing {
        let words = [command, names].concat();
        return Err(docker.call(words).exec().into());
    }
    for name in names {
        match docker.call(command).arg(name).capture() {
            Ok(said) => ui.data(String::from_utf8_lossy(&said).trim_end())?,
            Err(process::Error::Failed { stderr, .. }) if is_missing(&stderr) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// docker's list with sizes in bytes, as podman's templates have them.
fn list_images(ui: &Ui, docker: &Docker, images: &Images) -> Result<()> {
    let said = docker.call(images.arguments.clone()).capture()?;
    let mut text = String::from_utf8_lossy(&said).trim_end().to_owned();
    for id in images.ids(&text) {
        let inspect = ["image", "inspect", "--format", "{{.Size}}", &id].map(str::to_owned);
        let size = docker.call(inspect).capture()?;
        text = images.with_size(&text, &id, String::from_utf8_lossy(&size).trim());
    }
    if text.is_empty() { Ok(()) } else { Ok(ui.data(&text)?) }
}

fn without_heading(ui: &Ui, docker: &Docker, words: &[String]) -> Result<()> {
    let said = docker.call(words).capture()?;
    let text = String::from_utf8_lossy(&said);
    text.lines().skip(1).try_for_each(|line| Ok(ui.data(line)?))
}
