//! The command line: definitions, dispatch, and what every command works with.

mod add;
mod archive;
mod args;
mod compose;
mod context;
mod cp;
mod docs;
mod doctor;
mod door;
mod engines;
mod error;
mod extract;
mod hint;
mod inspect;
mod inspect_model;
mod login;
mod ls;
mod mount;
mod output;
mod path;
mod podman;
mod prepare;
mod prune;
mod pull;
mod push;
mod registries;
mod rm;
mod run;
mod secret;
mod serve;
mod shim;
mod stop;
mod tag;
mod volume;

use std::ffi::{OsStr, OsString};
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use self::args::GlobalArgs;
use self::context::Context;
use self::door::Door;
pub use self::error::{Error, Result};
use crate::ui::Ui;

/// The exit status of our own errors, as podman's and docker's (podman-run(1)).
pub const FAILURE: u8 = 125;
/// The exit status after SIGINT or SIGTERM, as shells give it.
pub const INTERRUPTED: u8 = 130;

/// Pull AI models kept as OCI artifacts and mount them read-only into containers, on every engine
#[derive(Debug, Parser)]
#[command(
    name = "artishim",
    version,
    max_term_width = 100,
    args_override_self = true,
    subcommand_required = true,
    arg_required_else_help = true
)]
pub struct Cli {
    #[command(flatten)]
    global: GlobalArgs,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Add(add::AddArgs),
    Pull(pull::PullArgs),
    Push(push::PushArgs),
    #[command(visible_alias = "list")]
    Ls(ls::LsArgs),
    Inspect(inspect::InspectArgs),
    Tag(tag::TagArgs),
    Untag(tag::UntagArgs),
    #[command(visible_alias = "remove")]
    Rm(rm::RmArgs),
    Prune(prune::PruneArgs),
    Save(archive::SaveArgs),
    Load(archive::LoadArgs),
    Extract(extract::ExtractArgs),
    Login(login::LoginArgs),
    Logout(login::LogoutArgs),
    Run(run::RunArgs),
    Create(run::RunArgs),
    Mount(mount::MountArgs),
    Path(path::PathArgs),
    Cp(cp::CpArgs),
    Volume(volume::VolumeArgs),
    Engines(engines::EnginesArgs),
    Doctor(doctor::DoctorArgs),
    Serve(serve::ServeArgs),
    #[command(hide = true)]
    Compose(compose::ComposeArgs),
    #[command(hide = true)]
    Completions(docs::CompletionsArgs),
    #[command(hide = true)]
    Man(docs::ManArgs),
}

/// Runs the program with `arguments`, the first of which is its own name.
pub fn main(arguments: Vec<OsString>) -> ExitCode {
    if let Some(status) = Door::enter(&arguments) {
        return status;
    }
    let ui = ui(arguments.get(1..).unwrap_or_default());
    match Cli::try_parse_from(shield_engine_arguments(arguments)) {
        Ok(cli) => carry_out(cli, &ui, |context| context),
        Err(error) => usage(&error, &ui),
    }
}

/// Runs a command in the context that `adapt` makes of the usual one, and says how it ended.
fn carry_out(cli: Cli, ui: &Ui, adapt: impl FnOnce(Context) -> Context) -> ExitCode {
    let done = Context::new(cli.global, ui.clone()).and_then(|context| {
        let context = adapt(context);
        context.block_on(run(&context, cli.command))
    });
    done.map_or_else(|error| error.report(ui), |()| ExitCode::SUCCESS)
}

/// Who is spoken to: people, or Compose, whose word comes first.
fn ui(arguments: &[OsString]) -> Ui {
    let ui = Ui::new(false);
    if arguments.first().is_some_and(|first| first == compose::NAME) { ui.for_compose() } else { ui }
}

async fn run(context: &Context, command: Command) -> Result<()> {
    match command {
        Command::Add(args) => add::run(context, args).await,
        Command::Pull(args) => pull::run(context, args).await,
        Command::Push(args) => push::run(context, args).await,
        Command::Ls(args) => ls::run(context, &args).await,
        Command::Inspect(args) => inspect::run(context, &args).await,
        Command::Tag(args) => tag::tag(context, &args),
        Command::Untag(args) => tag::untag(context, &args),
        Command::Rm(args) => rm::run(context, &args).await,
        Command::Prune(args) => prune::run(context, &args),
        Command::Save(args) => archive::save(context, args).await,
        Command::Load(args) => archive::load(context, args).await,
        Command::Extract(args) => extract::run(context, &args).await,
        Command::Login(args) => login::login(context, args).await,
        Command::Logout(args) => login::logout(context, args).await,
        Command::Run(args) => run::run(context, run::Verb::Run, args).await,
        Command::Create(args) => run::run(context, run::Verb::Create, args).await,
        Command::Mount(args) => mount::run(context, args).await,
        Command::Path(args) => path::run(context, args).await,
        Command::Cp(args) => cp::run(context, args).await,
        Command::Volume(args) => volume::run(context, args).await,
        Command::Engines(args) => engines::run(context, &args).await,
        Command::Doctor(args) => doctor::run(context, &args).await,
        Command::Serve(args) => serve::run(context, &args).await,
        Command::Compose(args) => compose::run(context, args).await,
        Command::Completions(args) => docs::completions(context, &args),
        Command::Man(args) => docs::man(context, &args),
    }
}

/// Help and version are answers; anything else about the command line is an error of ours.
fn usage(error: &clap::Error, ui: &Ui) -> ExitCode {
    if is_help(error) && !ui.is_for_compose() {
        // A closed pipe must not turn `--help | head` into a failure.
        let _ = error.print();
        return if error.use_stderr() { ExitCode::from(FAILURE) } else { ExitCode::SUCCESS };
    }
    ui.error(&one_line(&error.to_string()));
    ExitCode::from(FAILURE)
}

fn is_help(error: &clap::Error) -> bool {
    use clap::error::ErrorKind;
    let kinds = [
        ErrorKind::DisplayHelp,
        ErrorKind::DisplayVersion,
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand,
        ErrorKind::MissingSubcommand,
    ];
    kinds.contains(&error.kind())
}

/// What clap says on several lines, without its heading and the usage below it.
fn one_line(text: &str) -> String {
    // What is no option of ours is seldom meant as a value.
    let is_said =
        |line: &&str| !["Usage:", "For more information", "tip: to pass"].iter().any(|no| line.starts_with(no));
    let lines: Vec<&str> = text.lines().map(str::trim).take_while(is_said).filter(|line| !line.is_empty()).collect();
    lines.join(" ").trim_start_matches("error: ").to_owned()
}

/// Puts `--` behind `run` and `create`, so that what follows stays the engine's own even where we have a flag of the
/// same name.
fn shield_engine_arguments(mut arguments: Vec<OsString>) -> Vec<OsString> {
    let Some(command) = command_position(&arguments) else { return arguments };
    let is_run = [OsStr::new("run"), OsStr::new("create")].contains(&arguments[command].as_os_str());
    let asks_help = arguments.get(command + 1).is_some_and(|next| next == "--help");
    if is_run && !asks_help {
        arguments.insert(command + 1, OsString::from("--"));
    }
    arguments
}

/// Where the command's name stands: the first argument that is neither a flag nor a flag's value.
fn command_position(arguments: &[OsString]) -> Option<usize> {
    let definition = Cli::command();
    let takes_value = |flag: &str| {
        let found = definition.get_arguments().find(|arg| arg.get_long() == flag.strip_prefix("--"));
        found.is_some_and(|arg| arg.get_action().takes_values() && !arg.is_require_equals_set())
    };
    let mut position = 1;
    while let Some(argument) = arguments.get(position) {
        match argument.to_str() {
            Some(flag) if flag.starts_with('-') => position += if takes_value(flag) { 2 } else { 1 },
            _ => return Some(position),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shielded(line: &str) -> String {
        let arguments = line.split(' ').map(OsString::from).collect();
        let shielded = shield_engine_arguments(arguments);
        shielded.iter().map(|argument| argument.to_str().unwrap()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn the_definition_of_the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_help_names_the_number_of_connections() {
        let default = format!("(default: {})", crate::pull::Settings::default().connections);
        let definition = Cli::command();
        let connections = definition.get_arguments().find(|arg| arg.get_long() == Some("connections")).unwrap();
        assert!(connections.get_help().unwrap().to_string().ends_with(&default));
    }

    #[test]
    fn what_follows_run_and_create_belongs_to_the_engine() {
        let cases = [
            ("artishim run --platform linux/arm64 x", "artishim run -- --platform linux/arm64 x"),
            ("artishim --engine docker create x", "artishim --engine docker create -- x"),
            ("artishim --engine=docker --tls-verify run x", "artishim --engine=docker --tls-verify run -- x"),
            ("artishim --engine run ls", "artishim --engine run ls"),
            ("artishim run --help", "artishim run --help"),
            ("artishim run -h name x", "artishim run -- -h name x"),
            ("artishim pull run", "artishim pull run"),
            ("artishim", "artishim"),
        ];
        for (typed, expected) in cases {
            assert_eq!(shielded(typed), expected);
        }
    }
}
