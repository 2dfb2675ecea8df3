//! What Compose and editors are told about a provider's options: the same that the command line takes.

use clap::CommandFactory as _;
use serde::Serialize;

use super::{ComposeArgs, OPTIONS};
use crate::cmd::Cli;

/// All that is told.
#[derive(Serialize)]
pub(super) struct Metadata {
    description: &'static str,
    up: Parameters,
    down: Parameters,
}

#[derive(Serialize)]
struct Parameters {
    parameters: Vec<Parameter>,
}

#[derive(Serialize)]
struct Parameter {
    name: String,
    description: String,
    required: bool,
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    default: Option<String>,
    #[serde(rename = "enum", skip_serializing_if = "Option::is_none")]
    values: Option<String>,
}

impl Metadata {
    /// Reads the definitions of the command line.
    pub(super) fn new() -> Self {
        Self { description: "AI models kept as OCI artifacts", up: parameters("up"), down: parameters("down") }
    }
}

fn parameters(step: &str) -> Parameters {
    let compose = <ComposeArgs as clap::Args>::augment_args(clap::Command::new("compose"));
    let own = compose.find_subcommand(step).into_iter().flat_map(clap::Command::get_arguments).cloned();
    let global = Cli::command()
        .get_arguments()
        .filter(|argument| OPTIONS.contains(&argument.get_id().as_str()))
        .cloned()
        .collect::<Vec<_>>();
    let all = own.chain(global).filter(|argument| argument.get_long().is_some());
    Parameters { parameters: all.map(|argument| parameter(&argument)).collect() }
}

fn parameter(argument: &clap::Arg) -> Parameter {
    let text = |text: &std::ffi::OsStr| text.to_string_lossy().into_owned();
    let values: Vec<String> = argument.get_possible_values().iter().map(|value| value.get_name().to_owned()).collect();
    let is_boolean = argument.get_value_names().is_some_and(|names| names.iter().any(|name| name == "BOOL"));
    Parameter {
        name: argument.get_long().unwrap_or_default().to_owned(),
        description: argument.get_help().map(ToString::to_string).unwrap_or_default(),
        required: argument.is_required_set(),
        kind: if is_boolean { "boolean" } else { "string" },
        default: argument.get_default_values().first().map(|value| text(value)),
        values: Some(values.join(",")).filter(|values| !values.is_empty() && !is_boolean),
    }
}
