//! `docker artifact …`: a plugin of docker's command line (docker/cli, cli-plugins/manager).
//!
//! Docker hands over its whole command line, its own options first. Where its daemon is follows from these and from the
//! environment as it does for docker itself.

use std::ffi::{OsStr, OsString};
use std::process::ExitCode;

use clap::{CommandFactory as _, FromArgMatches as _};

use super::globals::{Globals, command_position};
use crate::cmd::{Cli, Error, FAILURE, carry_out, shield_engine_arguments, usage};
use crate::engine::Kind;
use crate::ui::Ui;

/// What docker asks first, for each line of its own help.
const METADATA: &str = concat!(
    r#"{"SchemaVersion":"0.1.0","Vendor":"artishim","Version":""#,
    env!("CARGO_PKG_VERSION"),
    r#"","ShortDescription":"Pull AI models kept as OCI artifacts and mount them into containers"}"#
);
/// The question.
const ASKS_METADATA: &str = "docker-cli-plugin-metadata";
/// The plugin's name, as docker's users type it.
const NAME: &str = "artifact";

/// Answers docker.
pub(super) fn main(arguments: &[OsString]) -> ExitCode {
    if arguments.first().is_some_and(|first| first == ASKS_METADATA) {
        return Ui::new(false).data(METADATA).map_or(ExitCode::from(FAILURE), |()| ExitCode::SUCCESS);
    }
    let at = command_position(Kind::Docker, arguments).unwrap_or(arguments.len());
    let (globals, rest) = arguments.split_at(at);
    let ui = crate::cmd::ui(rest);
    let matches = definition().try_get_matches_from(own_line(rest));
    let mut cli = match matches.and_then(|matches| Cli::from_arg_matches(&matches)) {
        Ok(cli) => cli,
        Err(error) => return usage(&error, &ui),
    };
    if cli.global.engine.as_deref().is_some_and(|engine| engine != Kind::Docker.program()) {
        let text = "--engine: under docker the engine is docker's, see docker's -H and -c";
        return Error::usage(String::from(text)).report(&ui);
    }
    cli.global.engine = Some(Kind::Docker.program().to_owned());
    carry_out(cli, &ui, |context| context.told(Globals::read(Kind::Docker, globals)))
}

fn definition() -> clap::Command {
    Cli::command().name("docker artifact").bin_name("docker artifact")
}

/// The line as if it had been typed for us: `docker help artifact pull` asks for the same as `docker artifact pull --help`.
fn own_line(rest: &[OsString]) -> Vec<OsString> {
    let name = OsString::from("docker artifact");
    let is = |at: usize, word: &str| rest.get(at).is_some_and(|argument| argument == OsStr::new(word));
    let words: Vec<OsString> = match (is(0, NAME), is(0, "help") && is(1, NAME)) {
        (true, _) => rest[1..].to_vec(),
        (false, true) => rest[2..].iter().cloned().chain([OsString::from("--help")]).collect(),
        (false, false) => rest.to_vec(),
    };
    shield_engine_arguments(std::iter::once(name).chain(words).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dockers_line_becomes_ours() {
        let cases = [
            ("artifact pull x", "pull x"),
            ("help artifact", "--help"),
            ("help artifact pull", "pull --help"),
            ("artifact run --rm x", "run -- --rm x"),
            ("artifact", ""),
        ];
        for (line, expected) in cases {
            let rest: Vec<OsString> = line.split(' ').map(OsString::from).collect();
            let words: Vec<String> =
                own_line(&rest)[1..].iter().map(|word| word.to_str().unwrap().to_owned()).collect();
            assert_eq!(words.join(" "), expected, "{line}");
        }
    }

    #[test]
    fn the_metadata_is_what_docker_requires() {
        let metadata: serde_json::Value = serde_json::from_str(METADATA).unwrap();
        assert_eq!(metadata["SchemaVersion"], "0.1.0");
        assert!(metadata["Vendor"].as_str().is_some_and(|vendor| !vendor.is_empty()));
        assert_eq!(metadata["Version"], env!("CARGO_PKG_VERSION"));
    }
}
