//! In an engine's place: a line with artifacts is carried out, every other one is the engine's at once.

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::ExitCode;

use super::globals::{Globals, command_position};
use crate::cmd::args::GlobalArgs;
use crate::cmd::context::Context;
use crate::cmd::run::{self, RunArgs, Verb};
use crate::cmd::shim::{self, Docker};
use crate::cmd::{Error, Result};
use crate::config::{self, Environment};
use crate::engine::{self, Kind};
use crate::process::Call;
use crate::rewrite;
use crate::ui::Ui;

/// More often than engines' programs call each other.
const MAX_LINKS: u32 = 10;

/// Stands for the engine's command line with `arguments`.
pub(super) fn main(kind: Kind, arguments: &[OsString]) -> ExitCode {
    let ui = Ui::new(false);
    match enter(kind, arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => error.report(&ui),
    }
}

fn enter(kind: Kind, arguments: &[OsString]) -> Result<()> {
    let environment = Environment::from_process();
    let (path, own) = (environment.os("PATH"), environment.own_program());
    let find = |kind| engine::program(kind, path.as_deref(), own.as_deref());
    let program = match (find(kind), kind) {
        (Ok(program), _) => program,
        (Err(missing), Kind::Podman) => {
            let docker = find(Kind::Docker).map_err(|_| missing)?;
            let times = next_time(&environment, &docker)?;
            return shim::enter(&Docker { program: docker, times }, arguments);
        }
        (Err(missing), Kind::Docker) => return Err(missing.into()),
    };
    match command(kind, arguments) {
        Some((globals, verb, rest)) if rewrite::mentions_artifact(rest) => carry_out(kind, globals, verb, rest),
        _ => hand_on(&environment, Call::new(program).args(arguments.iter().cloned())),
    }
}

/// The real program in our place.
fn hand_on(environment: &Environment, call: Call) -> Result<()> {
    let times = next_time(environment, call.program())?;
    Err(call.env(config::LINKS, times).exec().into())
}

/// What the real program is told of how often a line was handed on. A script in PATH may lead back to the link: that is
/// seen after some times.
pub(in crate::cmd) fn next_time(environment: &Environment, program: &Path) -> Result<String> {
    let times: u32 = environment.text(config::LINKS).and_then(|text| text.parse().ok()).unwrap_or(0);
    if times >= MAX_LINKS {
        let program = program.display();
        let text =
            format!("{program} leads back to artishim: take one of the two out of PATH, or call the real one in it");
        return Err(Error::usage(text));
    }
    Ok((times + 1).to_string())
}

/// The options before the command, the command if it is one that mounts, and what follows.
fn command(kind: Kind, arguments: &[OsString]) -> Option<(&[OsString], Verb, &[OsString])> {
    let at = command_position(kind, arguments)?;
    let (globals, rest) = arguments.split_at(at);
    let rest = if rest[0] == OsStr::new("container") { &rest[1..] } else { rest };
    let (verb, rest) = rest.split_first()?;
    Some((globals, Verb::named(verb)?, rest))
}

fn carry_out(kind: Kind, globals: &[OsString], verb: Verb, arguments: &[OsString]) -> Result<()> {
    let globals = Globals::read(kind, globals);
    let global = GlobalArgs { engine: Some(kind.program().to_owned()), ..GlobalArgs::default() };
    let context = Context::new(global, Ui::new(false))?.told(globals);
    let args = RunArgs { arguments: arguments.to_vec() };
    context.block_on(run::run(&context, verb, args))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_that_mount_are_found_behind_the_engines_options() {
        let cases = [
            ("run --mount x y", Some((0, Verb::Run, 3))),
            ("-H unix:///a container create x", Some((2, Verb::Create, 1))),
            ("container ls", None),
            ("container", None),
            ("ps", None),
            ("", None),
        ];
        for (line, expected) in cases {
            let arguments: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
            let found =
                command(Kind::Docker, &arguments).map(|(globals, verb, rest)| (globals.len(), verb, rest.len()));
            assert_eq!(found, expected, "{line}");
        }
    }
}
