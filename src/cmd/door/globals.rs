//! The engines' own options that stand before their command.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::Path;

use crate::config;
use crate::engine::{DockerEndpointFlags, Kind};

/// Those of docker that take no value (docker(1), 20.10 to 29).
const DOCKER_SWITCHES: [&str; 6] = ["debug", "tls", "tlsverify", "help", "version", "no-color"];
/// Those of podman (podman(1), 4.3 to 5.8).
const PODMAN_SWITCHES: [&str; 7] = ["remote", "help", "version", "syslog", "trace", "transient-store", "noout"];
/// The short ones of both without a value.
const SHORT_SWITCHES: &[u8] = b"Dhvr";

/// What an engine is told before its command: where it is, and what else it has to be told again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::cmd) struct Globals {
    /// Where the engine is.
    pub endpoint: DockerEndpointFlags,
    /// What the same options mean as variables.
    pub variables: Vec<(&'static str, OsString)>,
}

/// One option as it is written.
struct Flag {
    /// Without its dashes.
    name: String,
    value: Option<OsString>,
    /// The arguments it takes.
    length: usize,
}

/// Where the command stands; `None` in a line without one.
pub(super) fn command_position(kind: Kind, arguments: &[OsString]) -> Option<usize> {
    let mut position = 0;
    while let Some(flag) = Flag::read(kind, arguments.get(position..).unwrap_or_default()) {
        position += flag.length;
    }
    (position < arguments.len()).then_some(position)
}

impl Globals {
    /// Reads the arguments before the command.
    pub fn read(kind: Kind, mut arguments: &[OsString]) -> Self {
        let mut globals = Self::default();
        while let Some(flag) = Flag::read(kind, arguments) {
            let (words, rest) = arguments.split_at(flag.length.min(arguments.len()));
            globals.note(kind, flag, words);
            arguments = rest;
        }
        globals
    }

    fn note(&mut self, kind: Kind, flag: Flag, words: &[OsString]) {
        let text = flag.value.as_ref().map(|value| value.to_string_lossy().into_owned());
        match (kind, flag.name.as_str()) {
            (Kind::Docker, "H" | "host") | (Kind::Podman, "url") => return self.endpoint.host = text,
            (_, "c" | "context" | "connection") => return self.endpoint.context = text,
            (Kind::Docker, "config") => self.variables.extend(flag.value.map(|value| (config::DOCKER_CONFIG, value))),
            (Kind::Docker, "tlsverify") if text.as_deref() != Some("false") => {
                self.variables.push((config::DOCKER_TLS_VERIFY, OsString::from("1")));
            }
            (Kind::Docker, "tlscacert" | "tlscert" | "tlskey") => {
                let directory = flag.value.as_deref().map(Path::new).and_then(Path::parent);
                self.variables.extend(directory.map(|directory| (config::DOCKER_CERT_PATH, directory.into())));
            }
            _ => {}
        }
        self.endpoint.others.extend(words.iter().map(|word| word.to_string_lossy().into_owned()));
    }
}

impl Flag {
    /// The option that `arguments` begin with.
    fn read(kind: Kind, arguments: &[OsString]) -> Option<Self> {
        let first = arguments.first()?;
        match first.as_bytes().strip_prefix(b"-")? {
            [] => None,
            [b'-'] => Some(Self { name: String::new(), value: None, length: 1 }),
            [b'-', long @ ..] => Some(Self::long(kind, long, arguments.get(1))),
            short => Some(Self::short(short, arguments.get(1))),
        }
    }

    fn long(kind: Kind, text: &[u8], next: Option<&OsString>) -> Self {
        let mut halves = text.splitn(2, |byte| *byte == b'=');
        let name = String::from_utf8_lossy(halves.next().unwrap_or_default()).into_owned();
        let attached = halves.next().map(|value| OsString::from_vec(value.to_vec()));
        let switches = if kind == Kind::Docker { &DOCKER_SWITCHES[..] } else { &PODMAN_SWITCHES[..] };
        match attached {
            None if !switches.contains(&name.as_str()) => Self { name, value: next.cloned(), length: 2 },
            value => Self { name, value, length: 1 },
        }
    }

    /// Letters in a bundle: the first one that takes a value ends it.
    fn short(letters: &[u8], next: Option<&OsString>) -> Self {
        let valued = letters.iter().position(|letter| !SHORT_SWITCHES.contains(letter));
        let Some(at) = valued else {
            return Self { name: String::from_utf8_lossy(letters).into_owned(), value: None, length: 1 };
        };
        let name = char::from(letters[at]).to_string();
        let attached = letters[at + 1..].strip_prefix(b"=").unwrap_or(&letters[at + 1..]);
        match attached {
            [] => Self { name, value: next.cloned(), length: 2 },
            value => Self { name, value: Some(OsStr::from_bytes(value).to_owned()), length: 1 },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<OsString> {
        line.split_whitespace().map(OsString::from).collect()
    }

    #[test]
    fn the_command_stands_behind_options_and_their_values() {
        use Kind::{Docker, Podman};
        let cases = [
            (Docker, "run x", Some(0)),
            (Docker, "-H unix:///a run x", Some(2)),
            (Docker, "-Hunix:///a -D run x", Some(2)),
            (Docker, "-Dc remote run x", Some(2)),
            (Docker, "--context=remote --debug --tlsverify --config /c run", Some(5)),
            (Docker, "--tls=false run", Some(1)),
            (Docker, "--help", None),
            (Docker, "-l debug", None),
            (Docker, "-H", None),
            (Docker, "--new-flag", None),
            (Podman, "-x", None),
            (Podman, "--root /r --remote run x", Some(3)),
            (Podman, "-r --url unix:///a ps", Some(3)),
            (Podman, "-c box ps", Some(2)),
            (Podman, "", None),
        ];
        for (kind, line, position) in cases {
            assert_eq!(command_position(kind, &words(line)), position, "{line}");
        }
    }

    #[test]
    fn what_is_said_of_the_engine_reaches_us_and_the_engines_command_line() {
        let line = words("--config /c -H tcp://h:1 --tlsverify --tlscacert=/certs/ca.pem -D");
        let globals = Globals::read(Kind::Docker, &line);
        assert_eq!(globals.endpoint.host.as_deref(), Some("tcp://h:1"));
        assert_eq!(globals.endpoint.others, ["--config", "/c", "--tlsverify", "--tlscacert=/certs/ca.pem", "-D"]);
        let variables = [
            (config::DOCKER_CONFIG, OsString::from("/c")),
            (config::DOCKER_TLS_VERIFY, OsString::from("1")),
            (config::DOCKER_CERT_PATH, OsString::from("/certs")),
        ];
        assert_eq!(globals.variables, variables);
        let globals = Globals::read(Kind::Podman, &words("--root /r --connection box"));
        assert_eq!((globals.endpoint.context.as_deref(), globals.endpoint.others.len()), (Some("box"), 2));
    }
}
