//! What must not be shown, and the ways by which it comes to us.

use std::fmt;
use std::fs::File;
use std::io::{self, IsTerminal as _, Read};
use std::os::fd::AsFd as _;
use std::sync::{Arc, Mutex, PoisonError};

use super::{Error, Result};
use crate::config;

/// The longest secret; tokens of clouds have some 8 KiB.
const MAX_SECRET: u64 = 64 * 1024;

/// A text of the command line that is not shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    pub(super) fn reveal(&self) -> &str {
        &self.0
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(...)")
    }
}

/// A user and a password.
type Pair = (String, String);

/// What was typed by way of `--creds`; a line of stdin can be read only once.
#[derive(Clone, Default)]
pub struct Typed(Arc<Mutex<Option<Option<Pair>>>>);

impl Typed {
    /// What `read` gave the first time.
    pub(super) fn once(&self, read: impl FnOnce() -> Result<Option<Pair>>) -> Result<Option<Pair>> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &*known {
            Some(pair) => Ok(pair.clone()),
            None => Ok(known.insert(read()?).clone()),
        }
    }
}

/// The user and the password of `--creds`, or of `ARTISHIM_CREDS`.
pub(super) fn credentials(option: Option<&Secret>, variable: Option<&str>) -> Result<Option<Pair>> {
    match (option.map(Secret::reveal), variable) {
        (Some("-"), _) => split("--creds -", &line_of_stdin("--creds -")?).map(Some),
        (Some(text), _) => split("--creds", text).map(Some),
        (None, Some(text)) => split(config::CREDS, text).map(Some),
        (None, None) => Ok(None),
    }
}

fn split(source: &str, text: &str) -> Result<Pair> {
    let split = text.split_once(':').map(|(user, password)| (user.to_owned(), password.to_owned()));
    split.ok_or_else(|| {
        Error::usage(format!(
            "{source} has no password: expected USER:PASSWORD, which the process list does not show as a line of stdin \
             for --creds -, in {}, or kept by artishim login",
            config::CREDS
        ))
    })
}

/// The first line of stdin. What comes after it is left there, as it may be for a container.
pub(super) fn line_of_stdin(option: &str) -> Result<String> {
    if io::stdin().is_terminal() {
        return Err(Error::usage(format!("{option} reads stdin, which is a terminal that would show it: use a pipe")));
    }
    let stdin = io::stdin().as_fd().try_clone_to_owned().map(File::from);
    let line = stdin.and_then(first_line).map_err(|source| Error::Io { path: String::from("stdin"), source })?;
    String::from_utf8(line).map_err(|_| Error::usage(format!("{option}: what stdin gives is no text")))
}

fn first_line(stdin: impl Read) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    for byte in unbuffered(stdin.take(MAX_SECRET + 1)) {
        match byte? {
            b'\n' => break,
            byte => line.push(byte),
        }
    }
    line.pop_if(|last| *last == b'\r');
    match line.len() as u64 > MAX_SECRET {
        true => Err(io::Error::new(io::ErrorKind::InvalidData, "its first line is longer than any password")),
        false => Ok(line),
    }
}

/// One read for each byte, so that none is read too many.
fn unbuffered(mut stdin: impl Read) -> impl Iterator<Item = io::Result<u8>> {
    std::iter::from_fn(move || {
        let mut byte = [0];
        match stdin.read(&mut byte) {
            Ok(0) => None,
            Ok(_) => Some(Ok(byte[0])),
            Err(error) => Some(Err(error)),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_ends_where_it_ends_and_the_rest_is_anothers() {
        let cases =
            [("me:pw\nrest", "me:pw", "rest"), ("me:pw\r\n", "me:pw", ""), ("me: p w", "me: p w", ""), ("", "", "")];
        for (text, line, rest) in cases {
            let mut stdin = text.as_bytes();
            assert_eq!(first_line(&mut stdin).unwrap(), line.as_bytes(), "{text:?}");
            assert_eq!(stdin, rest.as_bytes(), "{text:?}");
        }
    }

    #[test]
    fn the_option_goes_before_the_variable_and_neither_is_shown() {
        let option = |text: &str| Secret::from(text.to_owned());
        let pair = |user: &str, password: &str| Some((user.to_owned(), password.to_owned()));
        assert_eq!(credentials(Some(&option("a:b:c")), Some("v:w")).unwrap(), pair("a", "b:c"));
        assert_eq!(credentials(None, Some("v:w")).unwrap(), pair("v", "w"));
        assert_eq!(credentials(None, None).unwrap(), None);
        for (option, variable, source) in
            [(Some(option("hidden")), None, "--creds"), (None, Some("hidden"), "ARTISHIM_CREDS")]
        {
            let error = credentials(option.as_ref(), variable).unwrap_err().to_string();
            assert!(error.starts_with(&format!("{source} has no password")) && !error.contains("hidden"), "{error}");
            assert!(!format!("{option:?}").contains("hidden"));
        }
    }

    #[test]
    fn what_was_typed_is_read_once() {
        let typed = Typed::default();
        let first = typed.clone().once(|| Ok(Some((String::from("me"), String::from("pw"))))).unwrap();
        assert_eq!(typed.once(|| panic!("it is read again")).unwrap(), first);
    }
}
