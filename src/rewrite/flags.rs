//! Which flags of `run` and `create` take a value, per engine, and one walk over a command line with that knowledge.
//!
//! The flags without a value are few and closed; every other flag takes one, also those of engines newer than this
//! table. `run` and `create` share a table: the flags only `run` has are refused by `create` itself.
//! Sources: `docker run --help` of 20.10 to 28, `podman run --help` of 4.3 to 5.8, and the hidden flags in their code.

use std::ffi::{OsStr, OsString};
use std::ops::Range;
use std::os::unix::ffi::OsStrExt as _;

use crate::mount::Dialect;

/// Docker's flags without a value. Sorted.
const DOCKER: &[&str] = &[
    "detach",
    "disable-content-trust",
    "help",
    "init",
    "interactive",
    "no-healthcheck",
    "oom-kill-disable",
    "privileged",
    "publish-all",
    "quiet",
    "read-only",
    "rm",
    "sig-proxy",
    "tty",
    "use-api-socket",
];

/// podman's flags without a value. Sorted.
const PODMAN: &[&str] = &[
    "detach",
    "disable-content-trust",
    "env-host",
    "help",
    "http-proxy",
    "init",
    "interactive",
    "no-healthcheck",
    "no-hostname",
    "no-hosts",
    "oom-kill-disable",
    "passwd",
    "privileged",
    "publish-all",
    "quiet",
    "read-only",
    "read-only-tmpfs",
    "replace",
    "rm",
    "rmi",
    "rootfs",
    "sig-proxy",
    "tls-verify",
    "tty",
    "unsetenv-all",
];

/// The letters, the same in both engines. Sorted.
const LETTERS: &[(u8, &str)] = &[
    (b'P', "publish-all"),
    (b'a', "attach"),
    (b'c', "cpu-shares"),
    (b'd', "detach"),
    (b'e', "env"),
    (b'h', "hostname"),
    (b'i', "interactive"),
    (b'l', "label"),
    (b'm', "memory"),
    (b'p', "publish"),
    (b'q', "quiet"),
    (b't', "tty"),
    (b'u', "user"),
    (b'v', "volume"),
    (b'w', "workdir"),
];

/// The flags of `run` that docker's `create` does not have. Sorted.
const DOCKER_RUN_ONLY: &[&str] = &["detach", "detach-keys", "sig-proxy"];

/// The flags of `run` that podman's `create` does not have. Sorted.
const PODMAN_RUN_ONLY: &[&str] =
    &["detach", "detach-keys", "passwd", "preserve-fd", "preserve-fds", "rmi", "sig-proxy"];

fn is_boolean(dialect: Dialect, name: &str) -> bool {
    let table = match dialect {
        Dialect::Docker => DOCKER,
        Dialect::Podman => PODMAN,
    };
    table.binary_search(&name).is_ok()
}

/// Whether `run` has the flag and `create` has not.
pub(super) fn is_run_only(dialect: Dialect, name: &str) -> bool {
    let table = match dialect {
        Dialect::Docker => DOCKER_RUN_ONLY,
        Dialect::Podman => PODMAN_RUN_ONLY,
    };
    table.binary_search(&name).is_ok()
}

fn name_of(letter: u8) -> &'static str {
    LETTERS.binary_search_by_key(&letter, |(letter, _)| *letter).map_or("", |at| LETTERS[at].1)
}

/// One flag as it stands in a command line.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Flag<'a> {
    /// The long name without dashes; empty for a letter we do not know.
    pub(super) name: &'a str,
    /// The value; none for a flag without one, and at the end of an incomplete line.
    pub(super) value: Option<&'a OsStr>,
    /// The arguments it is in: two when the value stands alone.
    pub(super) arguments: Range<usize>,
    /// What is its own of the first argument, so that one letter can leave a bundle.
    pub(super) bytes: Range<usize>,
}

impl Flag<'_> {
    /// What a flag without a value says: itself is true, and `=` may say otherwise.
    pub(super) fn is_true(&self) -> bool {
        self.value.is_none_or(|value| ["1", "t", "T", "true", "TRUE", "True"].iter().any(|word| value == *word))
    }

    /// The value as text; bytes that are no UTF-8 are replaced.
    pub(super) fn text(&self) -> Option<String> {
        self.value.map(|value| value.to_string_lossy().into_owned())
    }
}

/// The flags of the arguments after `run` or `create`, and where the image stands.
pub(super) fn scan(dialect: Dialect, arguments: &[OsString]) -> (Vec<Flag<'_>>, Option<usize>) {
    let mut flags = Vec::new();
    let mut at = 0;
    while let Some(argument) = arguments.get(at) {
        match argument.as_bytes() {
            b"--" => return (flags, Some(at + 1).filter(|&next| next < arguments.len())),
            [b'-', b'-', ..] => flags.push(long(dialect, arguments, at)),
            [b'-', _, ..] => flags.extend(bundle(dialect, arguments, at)),
            _ => return (flags, Some(at)),
        }
        at = flags.last().map_or(at + 1, |flag| flag.arguments.end);
    }
    (flags, None)
}

fn long(dialect: Dialect, arguments: &[OsString], at: usize) -> Flag<'_> {
    let argument = arguments[at].as_bytes();
    let equals = argument.iter().position(|byte| *byte == b'=');
    let name = std::str::from_utf8(&argument[2..equals.unwrap_or(argument.len())]).unwrap_or_default();
    let (value, end) = match equals {
        Some(equals) => (Some(OsStr::from_bytes(&argument[equals + 1..])), at + 1),
        None if is_boolean(dialect, name) => (None, at + 1),
        None => next_value(arguments, at),
    };
    Flag { name, value, arguments: at..end, bytes: 0..argument.len() }
}

/// The flags of `-itv`: letters up to the first that takes a value, which has the rest or the next argument.
fn bundle(dialect: Dialect, arguments: &[OsString], at: usize) -> Vec<Flag<'_>> {
    let argument = arguments[at].as_bytes();
    let mut flags = Vec::new();
    for letter in 1..argument.len() {
        let name = name_of(argument[letter]);
        let rest = &argument[letter + 1..];
        let flag = |value, end, arguments_end| Flag { name, value, arguments: at..arguments_end, bytes: letter..end };
        match rest {
            [b'=', value @ ..] if !value.is_empty() => {
                flags.push(flag(Some(OsStr::from_bytes(value)), argument.len(), at + 1));
                break;
            }
            _ if is_boolean(dialect, name) => flags.push(flag(None, letter + 1, at + 1)),
            [] => {
                let (value, end) = next_value(arguments, at);
                flags.push(flag(value, argument.len(), end));
            }
            value => {
                flags.push(flag(Some(OsStr::from_bytes(value)), argument.len(), at + 1));
                break;
            }
        }
    }
    flags
}

fn next_value(arguments: &[OsString], at: usize) -> (Option<&OsStr>, usize) {
    match arguments.get(at + 1) {
        Some(value) => (Some(value), at + 2),
        None => (None, at + 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A line as `name=value` words and the image.
    fn read(dialect: Dialect, line: &str) -> (String, Option<String>) {
        let arguments: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
        let (flags, image) = scan(dialect, &arguments);
        let show = |flag: &Flag| match flag.text() {
            Some(value) => format!("{}={value}", flag.name),
            None => flag.name.to_owned(),
        };
        let flags = flags.iter().map(show).collect::<Vec<_>>().join(" ");
        (flags, image.map(|at| arguments[at].to_string_lossy().into_owned()))
    }

    #[test]
    fn the_tables_are_sorted() {
        for table in [DOCKER, PODMAN, DOCKER_RUN_ONLY, PODMAN_RUN_ONLY] {
            assert!(table.is_sorted(), "{table:?}");
        }
        assert!(LETTERS.is_sorted());
    }

    #[test]
    fn lines_are_read_as_the_engines_read_them() {
        let cases = [
            ("image", "", Some("image")),
            ("--rm image --rm", "rm", Some("image")),
            ("--rm=false image", "rm=false", Some("image")),
            ("--tty false image", "tty", Some("false")),
            ("--name a image", "name=a", Some("image")),
            ("--name=a image", "name=a", Some("image")),
            ("--name= image", "name=", Some("image")),
            ("--unknown a image", "unknown=a", Some("image")),
            ("--net host --dns-opt x image", "net=host dns-opt=x", Some("image")),
            ("-itv /a:/b image", "interactive tty volume=/a:/b", Some("image")),
            ("-itv/a:/b image", "interactive tty volume=/a:/b", Some("image")),
            ("-v=/a:/b image", "volume=/a:/b", Some("image")),
            ("-t=false image", "tty=false", Some("image")),
            ("-dit=false image", "detach interactive tty=false", Some("image")),
            ("-h host -P image", "hostname=host publish-all", Some("image")),
            ("-e -i image", "env=-i", Some("image")),
            ("-x a image", "=a", Some("image")),
            ("-- image -i", "", Some("image")),
            ("--rm -- -image", "rm", Some("-image")),
            ("--", "", None),
            ("- x", "", Some("-")),
            ("--name", "name", None),
            ("-v", "volume", None),
            ("", "", None),
        ];
        for (line, flags, image) in cases {
            for dialect in [Dialect::Docker, Dialect::Podman] {
                assert_eq!(read(dialect, line), (flags.to_owned(), image.map(str::to_owned)), "{line}");
            }
        }
    }

    #[test]
    fn each_engine_has_its_own_flags_without_a_value() {
        for name in ["rootfs", "tls-verify", "replace", "no-hostname", "env-host", "unsetenv-all", "rmi"] {
            assert_eq!(read(Dialect::Podman, &format!("--{name} image")).1.as_deref(), Some("image"));
            assert_eq!(read(Dialect::Docker, &format!("--{name} value image")).1.as_deref(), Some("image"));
        }
        assert_eq!(read(Dialect::Docker, "--use-api-socket image").1.as_deref(), Some("image"));
    }

    #[test]
    fn arguments_need_not_be_utf8() {
        let odd = |bytes: &[u8]| OsStr::from_bytes(bytes).to_owned();
        let arguments = [odd(b"-v\xff:/a"), odd(b"--x\xff"), odd(b"\xfe"), odd(b"-\xff1"), odd(b"image\xff")];
        let (flags, image) = scan(Dialect::Docker, &arguments);
        assert_eq!(image, Some(4));
        assert_eq!(flags[0].value, Some(OsStr::from_bytes(b"\xff:/a")));
        assert_eq!(flags[1].value, Some(OsStr::from_bytes(b"\xfe")));
    }
}
