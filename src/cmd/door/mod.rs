//! The names the program is called by: its own, `docker-artifact` for docker, and `docker` or `podman` as links that
//! stand before the real ones in PATH.

mod globals;
mod link;
mod plugin;

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::ExitCode;

use crate::engine::Kind;

pub(super) use self::globals::Globals;

/// How the program was called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Door {
    /// By its own name.
    Own,
    /// By docker, as a plugin of its command line.
    Plugin,
    /// In an engine's place.
    Link(Kind),
}

impl Door {
    /// The door for `arguments`, the first of which is the program's name, and the arguments behind it.
    pub fn of(arguments: &[OsString]) -> (Self, &[OsString]) {
        let Some((program, rest)) = arguments.split_first() else { return (Self::Own, arguments) };
        match Path::new(program).file_name().and_then(OsStr::to_str) {
            Some("docker-artifact") => (Self::Plugin, rest),
            Some("docker") => (Self::Link(Kind::Docker), rest),
            Some("podman") => (Self::Link(Kind::Podman), rest),
            // `alias docker='artishim docker'`
            _ => match rest.first().and_then(|first| first.to_str()) {
                Some("docker") => (Self::Link(Kind::Docker), &rest[1..]),
                Some("podman") => (Self::Link(Kind::Podman), &rest[1..]),
                _ => (Self::Own, arguments),
            },
        }
    }

    /// Goes through the door; `None` at our own.
    pub fn enter(arguments: &[OsString]) -> Option<ExitCode> {
        match Self::of(arguments) {
            (Self::Own, _) => None,
            (Self::Plugin, arguments) => Some(plugin::main(arguments)),
            (Self::Link(kind), arguments) => Some(link::main(kind, arguments)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_tells_the_door() {
        let cases = [
            ("artishim pull x", Door::Own, "artishim pull x"),
            ("/usr/bin/artishim docker ps", Door::Link(Kind::Docker), "ps"),
            ("artishim podman run x", Door::Link(Kind::Podman), "run x"),
            ("/opt/shim/docker run x", Door::Link(Kind::Docker), "run x"),
            ("podman", Door::Link(Kind::Podman), ""),
            ("/root/.docker/cli-plugins/docker-artifact artifact ls", Door::Plugin, "artifact ls"),
            ("artishim pull docker", Door::Own, "artishim pull docker"),
        ];
        for (line, door, rest) in cases {
            let arguments: Vec<OsString> = line.split(' ').map(OsString::from).collect();
            let rest: Vec<OsString> = rest.split_whitespace().map(OsString::from).collect();
            assert_eq!(Door::of(&arguments), (door, rest.as_slice()), "{line}");
        }
    }
}
