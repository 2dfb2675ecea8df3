//! What a configuration file says. Pure: text in, settings out.

use std::ops::RangeInclusive;
use std::path::PathBuf;

use toml::de::{DeTable, DeValue};

/// How many connections may be asked for; more than a few dozen bring nothing anywhere.
pub const CONNECTIONS: RangeInclusive<usize> = 1..=1000;

/// The settings that last, each of which may be missing.
///
/// What one registry needs (`--tls-verify`) or what is secret (`--creds`) has no place here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// `--engine`
    pub engine: Option<String>,
    /// `--store`
    pub store: Option<PathBuf>,
    /// `--deliver`
    pub deliver: Option<String>,
    /// `--accelerate`, where it is possible
    pub accelerate: Option<bool>,
    /// `--connections`
    pub connections: Option<usize>,
    /// `--authfile`
    pub authfile: Option<PathBuf>,
}

/// What is wrong in a configuration file, and in which line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// The line, from 1 on.
    pub line: usize,
    /// What is wrong there, with the key's name.
    pub reason: String,
}

impl Config {
    /// Reads TOML; every key must be known and its value sound.
    pub fn parse(text: &str) -> Result<Self, Wrong> {
        let line = |offset: usize| text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1;
        let table = DeTable::parse(text).map_err(|error| {
            let offset = error.span().map_or(0, |span| span.start);
            Wrong { line: line(offset), reason: error.message().replace('\n', " ") }
        })?;
        let mut config = Self::default();
        for (key, value) in table.get_ref() {
            let name = key.get_ref().escape_debug();
            let wrong = |reason| Wrong { line: line(key.span().start), reason: format!("{name}: {reason}") };
            config.set(key.get_ref(), value.get_ref()).map_err(wrong)?;
        }
        Ok(config)
    }

    fn set(&mut self, key: &str, value: &DeValue<'_>) -> Result<(), String> {
        match key {
            "accelerate" => self.accelerate = Some(value.as_bool().ok_or("expected true or false")?),
            "authfile" => self.authfile = Some(path(value)?),
            "connections" => self.connections = Some(connections(value)?),
            "deliver" => self.deliver = Some(string(value)?),
            "engine" => self.engine = Some(string(value)?),
            "store" => self.store = Some(path(value)?),
            _ => {
                let known = "accelerate, authfile, connections, deliver, engine or store";
                return Err(format!("there is no such key, expected {known}"));
            }
        }
        Ok(())
    }

    /// Each setting as it is here, else as `other` has it.
    pub fn or(self, other: Self) -> Self {
        Self {
            engine: self.engine.or(other.engine),
            store: self.store.or(other.store),
            deliver: self.deliver.or(other.deliver),
            accelerate: self.accelerate.or(other.accelerate),
            connections: self.connections.or(other.connections),
            authfile: self.authfile.or(other.authfile),
        }
    }
}

fn string(value: &DeValue<'_>) -> Result<String, String> {
    Ok(value.as_str().ok_or("expected a string")?.to_owned())
}

/// A relative path would mean another file in each directory.
fn path(value: &DeValue<'_>) -> Result<PathBuf, String> {
    let path = value.as_str().map(PathBuf::from).filter(|path| path.is_absolute());
    Ok(path.ok_or("expected an absolute path")?)
}

fn connections(value: &DeValue<'_>) -> Result<usize, String> {
    let number = value.as_integer().and_then(|number| usize::from_str_radix(number.as_str(), number.radix()).ok());
    let expected = || format!("expected a number from {} to {}", CONNECTIONS.start(), CONNECTIONS.end());
    number.filter(|number| CONNECTIONS.contains(number)).ok_or_else(expected)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_read_and_none_is_needed() {
        let text = "# mine\nengine = 'podman'\nstore = \"/models\"\ndeliver = \"bind\"\naccelerate = true\n\
                    connections = 1_0\nauthfile = \"/run/auth.json\"\n";
        let all = Config {
            engine: Some(String::from("podman")),
            store: Some(PathBuf::from("/models")),
            deliver: Some(String::from("bind")),
            accelerate: Some(true),
            connections: Some(10),
            authfile: Some(PathBuf::from("/run/auth.json")),
        };
        assert_eq!(Config::parse(text), Ok(all));
        for nothing in ["", "\n\n", "# accelerate = true", "\u{feff}"] {
            assert_eq!(Config::parse(nothing), Ok(Config::default()), "{nothing:?}");
        }
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line_and_key() {
        let number = "connections: expected a number from 1 to 1000";
        let cases = [
            ("accelerate = \"yes\"", 1, "accelerate: expected true or false"),
            ("\naccelerate = 1", 2, "accelerate: expected true or false"),
            ("connections = 0", 1, number),
            ("# many\n\nconnections = 1001", 3, number),
            ("connections = -1", 1, number),
            ("connections = 99999999999999999999999999", 1, number),
            ("connections = 2.5", 1, number),
            ("connections = '24'", 1, number),
            ("engine = [\"podman\"]", 1, "engine: expected a string"),
            ("deliver = true", 1, "deliver: expected a string"),
            ("store = \"models\"", 1, "store: expected an absolute path"),
            ("store = \"\"", 1, "store: expected an absolute path"),
            ("authfile = {}", 1, "authfile: expected an absolute path"),
            ("engine = 'podman'\n\ntls-verify = false", 3, "tls-verify: there is no such key, expected accelerate"),
            ("[pull]\nconnections = 8", 1, "pull: there is no such key"),
            ("pull.connections = 8", 1, "pull: there is no such key"),
            ("\"\\u001b[2J\" = 1", 1, "\\u{1b}[2J: there is no such key"),
            ("connections = 8\nconnections = 9", 2, "duplicate key"),
            ("engine = 'podman'\nstore\n", 2, ""),
            ("engine = 'podman", 1, ""),
        ];
        for (text, line, reason) in cases {
            let wrong = Config::parse(text).unwrap_err();
            assert_eq!(wrong.line, line, "{text:?} gives {wrong:?}");
            assert!(wrong.reason.starts_with(reason), "{text:?} gives {wrong:?}");
            assert!(!wrong.reason.is_empty() && !wrong.reason.contains('\n'), "{text:?} gives {wrong:?}");
        }
    }

    #[test]
    fn a_nesting_without_end_is_refused() {
        assert!(Config::parse(&format!("store = {}", "[".repeat(100_000))).is_err());
    }

    #[test]
    fn one_files_settings_lie_over_anothers_key_by_key() {
        let users = Config::parse("accelerate = false\nconnections = 4").unwrap();
        let systems = Config::parse("accelerate = true\nengine = 'docker'\nconnections = 8").unwrap();
        let both = Config::parse("accelerate = false\nengine = 'docker'\nconnections = 4").unwrap();
        assert_eq!(users.or(systems), both);
    }
}
