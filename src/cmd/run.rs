//! `artishim run` and `artishim create`: the engine's own command line with its artifact mounts carried out.

use std::ffi::{OsStr, OsString};

use clap::Args;

use super::prepare::preparation;
use super::{Context, Error, Result};
use crate::deliver::copy::{self, Copy};
use crate::deliver::{Preparation, Prepared};
use crate::engine::{Engine, Kind};
use crate::process::Call;
use crate::pull::{self, Policy, Session};
use crate::rewrite::{self, CommandLine};

/// Run or create a container with artifacts mounted into it
///
/// Everything after the command's name is the engine's own `run` or `create` command line. Each
/// `--mount type=artifact,src=ARTIFACT,dst=PATH[,title=TITLE][,digest=DIGEST][,name=NAME]` in it is carried out: the
/// artifact is pulled if need be (as `--pull missing|always|newer|never` of the same line says) and mounted
/// read-only. The rest is passed on as it is, and the engine takes this process's place.
///
/// Options of artishim itself stand before `run` or `create`.
#[derive(Args, Debug)]
#[command(override_usage = "artishim [OPTIONS] run|create [ENGINE'S OPTIONS] IMAGE [COMMAND [ARGUMENT]...]")]
pub struct RunArgs {
    /// The engine's options, the image and its command
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGUMENT", required = true)]
    pub arguments: Vec<OsString>,
}

/// Which of the two commands it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    Run,
    Create,
}

impl Verb {
    /// The command of this name, if it is one of the two.
    pub(super) fn named(name: &OsStr) -> Option<Self> {
        [Self::Run, Self::Create].into_iter().find(|verb| name == verb.as_str())
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::Run => "run",
            Self::Create => "create",
        }
    }
}

pub(super) async fn run(context: &Context, verb: Verb, args: RunArgs) -> Result<()> {
    run_after(context, verb, args, &|| Ok(())).await
}

/// The same, with something that is done when nothing but the container itself is left to be made.
pub(super) async fn run_after(
    context: &Context,
    verb: Verb,
    args: RunArgs,
    last: &(dyn Fn() -> Result<()> + Sync),
) -> Result<()> {
    let engine = context.engine().await?;
    let exec = |arguments: &[OsString]| last().and_then(|()| exec(&engine, verb, arguments));
    if !rewrite::mentions_artifact(&args.arguments) {
        return exec(&args.arguments);
    }
    let line = CommandLine::parse(engine.kind.dialect(), &args.arguments)?;
    if line.mounts().len() == 0 || line.flags.help {
        return exec(&args.arguments);
    }
    let (session, cache) = (context.session()?, context.cache());
    let policy = policy(&line)?;
    let preparation = preparation(context, &engine, &session, policy, &cache)?;
    if let Some(values) = kept_by_podman(&preparation, &line).await? {
        return exec(&line.replace(&values));
    }
    let image = image(&engine, &line, policy, &session).await?;
    let preparation = Preparation { image: image.as_deref(), others: &line.destinations, ..preparation };
    let (values, copies) = prepare(&preparation, &line).await?;
    let mut arguments = line.replace(&values);
    if policy == Policy::Newer && engine.kind == Kind::Docker {
        // Docker does not know the word; the image has been renewed above.
        rewrite::set_pull(engine.kind.dialect(), &mut arguments, "missing");
    }
    if copies.is_empty() {
        return exec(&arguments);
    }
    last()?;
    create_and_copy(context, &engine, verb, &arguments, &session, copies).await
}

/// All mounts as podman's own, where it has all the artifacts: the shortest way to the container.
async fn kept_by_podman(preparation: &Preparation<'_>, line: &CommandLine) -> Result<Option<Vec<Vec<String>>>> {
    let mut values = Vec::new();
    for mount in line.mounts() {
        match preparation.kept_by_podman(mount).await? {
            Some(value) => values.push(vec![value]),
            None => return Ok(None),
        }
    }
    Ok(Some(values))
}

async fn prepare(preparation: &Preparation<'_>, line: &CommandLine) -> Result<(Vec<Vec<String>>, Vec<Copy>)> {
    let mut values = Vec::new();
    let mut copies = Vec::new();
    for mount in line.mounts() {
        match preparation.prepare(mount).await? {
            Prepared::Mounts(mounts) => values.push(mounts),
            Prepared::Copy(copy) => {
                values.push(Vec::new());
                copies.push(*copy);
            }
        }
    }
    Ok((values, copies))
}

/// One `--pull` speaks for the image and for the artifacts.
fn policy(line: &CommandLine) -> Result<Policy> {
    match line.flags.pull.as_deref() {
        None | Some("missing" | "") => Ok(Policy::Missing),
        Some("always" | "true") => Ok(Policy::Always),
        Some("newer") => Ok(Policy::Newer),
        Some("never" | "false") => Ok(Policy::Never),
        Some(other) => Err(Error::usage(format!("--pull {other}: expected missing, always, newer or never"))),
    }
}

/// The id of the container's image, which the engine pulls if need be: what is at a destination depends on it.
///
/// A directory in an image's place (podman's `--rootfs`) has none.
async fn image(engine: &Engine, line: &CommandLine, policy: Policy, session: &Session) -> Result<Option<String>> {
    if line.flags.rootfs {
        return Ok(None);
    }
    let name = line.image().ok_or_else(|| Error::usage(String::from("the command line names no image")))?;
    let name = name.to_string_lossy();
    let found = engine.image_id(&name).await?;
    match (&found, policy) {
        (Some(_), Policy::Missing | Policy::Never) => return Ok(found),
        // Where podman mounts the artifact, what the image has there is its own matter, and so is a newer image.
        (Some(_), Policy::Newer) if engine.mounts_artifacts() => return Ok(found),
        (None, Policy::Never) => {
            let reason = "the engine does not have this image, and --pull never forbids to pull it";
            return Err(Error::usage(format!("{name}: {reason}")));
        }
        _ => {}
    }
    let platform = line.flags.platform.iter().flat_map(|platform| [String::from("--platform"), platform.clone()]);
    let status = engine.pull_image(&name, &platform.collect::<Vec<_>>()).await?;
    match (status.success(), found, policy) {
        (true, _, _) => Ok(engine.image_id(&name).await?),
        (false, Some(found), Policy::Newer) => {
            session.progress.note(&format!("{name}: using the image that is here"));
            Ok(Some(found))
        }
        // The engine has said why on stderr.
        (false, _, _) => Err(Error::Silent),
    }
}

fn exec(engine: &Engine, verb: Verb, arguments: &[OsString]) -> Result<()> {
    let call = engine.cli()?.call().arg(verb.as_str()).args(arguments.iter().cloned());
    Err(call.exec().into())
}

/// A container whose files are put into it before it starts; removed again when that does not work.
async fn create_and_copy(
    context: &Context,
    engine: &Engine,
    verb: Verb,
    arguments: &[OsString],
    session: &Session,
    copies: Vec<Copy>,
) -> Result<()> {
    let split = rewrite::create_and_start(engine.kind.dialect(), arguments);
    if !split.lost.is_empty() {
        context
            .ui
            .note(&format!("--{} has no effect when files are copied into the container", split.lost.join(", --")));
    }
    let create = engine.cli()?.call().arg("create").args(split.create);
    let id = String::from_utf8_lossy(&crate::process::capture(create).await?).trim().to_owned();
    for copy in copies {
        let copied = tokio::select! {
            copied = copy::copy(engine, &id, session, copy) => copied,
            () = session.interrupt.heard() => Err(pull::Error::Interrupted.into()),
        };
        if let Err(error) = copied {
            if let Err(error) = engine.remove_container(&id).await {
                tracing::warn!(container = id, %error, "the created container stays");
            }
            return Err(error.into());
        }
    }
    if verb == Verb::Create {
        return Ok(context.ui.data(&id)?);
    }
    let start: Call = engine.cli()?.call().arg("start").args(split.start).arg(id);
    Err(start.exec().into())
}
