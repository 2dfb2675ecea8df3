//! One `run` as a `create` and a `start`, for files that are copied into the container between the two.
//!
//! The way back needs no code: every flag of `create` is one of `run`.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::ops::Range;
use std::os::unix::ffi::OsStrExt as _;

use super::Flags;
use super::flags::{self, Flag};
use crate::mount::Dialect;

/// A `run` in two steps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Split {
    /// The arguments after `create`.
    pub create: Vec<OsString>,
    /// The arguments between `start` and the container; empty when detached.
    pub start: Vec<OsString>,
    /// The flags that neither of the two has, by their long names.
    pub lost: Vec<String>,
}

/// Splits the arguments after `run`.
pub fn create_and_start(dialect: Dialect, arguments: &[OsString]) -> Split {
    let (found, _) = flags::scan(dialect, arguments);
    let mut wanted = Flags::default();
    found.iter().for_each(|flag| wanted.note(flag));
    let run_only: Vec<&Flag<'_>> = found.iter().filter(|flag| flags::is_run_only(dialect, flag.name)).collect();
    let lost: BTreeSet<&str> = run_only.iter().filter(|flag| is_lost(dialect, flag)).map(|flag| flag.name).collect();
    Split {
        create: without(arguments, &run_only),
        start: start(dialect, &wanted),
        lost: lost.into_iter().map(str::to_owned).collect(),
    }
}

/// docker's `start` always passes signals on; podman's can be told not to.
fn is_lost(dialect: Dialect, flag: &Flag<'_>) -> bool {
    match flag.name {
        "detach" | "detach-keys" => false,
        "sig-proxy" => dialect == Dialect::Docker && !flag.is_true(),
        _ => true,
    }
}

fn start(dialect: Dialect, flags: &Flags) -> Vec<OsString> {
    let mut start = Vec::new();
    if flags.detach {
        return start;
    }
    start.push("--attach".into());
    let takes_input = flags.attach.is_empty() || flags.attach.iter().any(|stream| stream.eq_ignore_ascii_case("stdin"));
    if flags.interactive && takes_input {
        start.push("--interactive".into());
    }
    if let Some(keys) = &flags.detach_keys {
        start.push(format!("--detach-keys={keys}").into());
    }
    if flags.keeps_signals && dialect == Dialect::Podman {
        start.push("--sig-proxy=false".into());
    }
    start
}

fn without(arguments: &[OsString], dropped: &[&Flag<'_>]) -> Vec<OsString> {
    let keep = |(at, argument): (usize, &OsString)| {
        let own: Vec<&&Flag<'_>> = dropped.iter().filter(|flag| flag.arguments.contains(&at)).collect();
        if own.is_empty() {
            return Some(argument.clone());
        }
        if own.iter().any(|flag| flag.arguments.start < at) {
            // The value of a flag before it.
            return None;
        }
        let cuts: Vec<Range<usize>> = own.iter().map(|flag| flag.bytes.clone()).collect();
        let rest = cut(argument.as_bytes(), &cuts);
        // `-` is no letter: the engine refuses the bundle, and must not be given a long flag in its place.
        if rest.starts_with(b"--") {
            return Some(argument.clone());
        }
        // A long flag is cut whole, a bundle of which no letter is left is a dash.
        (rest.len() > 1).then(|| OsStr::from_bytes(&rest).to_owned())
    };
    arguments.iter().enumerate().filter_map(keep).collect()
}

fn cut(bytes: &[u8], cuts: &[Range<usize>]) -> Vec<u8> {
    let kept = |(at, _): &(usize, &u8)| !cuts.iter().any(|cut| cut.contains(at));
    bytes.iter().enumerate().filter(kept).map(|(_, byte)| *byte).collect()
}
