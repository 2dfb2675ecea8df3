//! Programs that keep credentials, `docker-credential-NAME`, by the protocol of docker/docker-credential-helpers.
//!
//! What they are told comes by stdin: arguments are seen by everybody.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use super::Credential;
use crate::process::{self, Call};

/// How long a helper may take: it may ask its user to unlock something.
const PATIENCE: Duration = Duration::from_secs(120);
/// In place of words that may hold a secret.
const HIDDEN: &str = "it fails, and its words may hold a secret";

/// A credential helper that cannot be run or failed.
#[derive(Clone, Debug, thiserror::Error)]
#[error("docker-credential-{name} {task} no credentials for {server}: {reason}")]
pub struct HelperFailure {
    /// The helper's name as the file has it.
    pub name: String,
    /// What it does not do.
    pub task: &'static str,
    /// What it was asked for.
    pub server: String,
    /// Its own first line, or why it was not run.
    pub reason: String,
}

/// What the helper has for the server.
pub(super) fn get(name: &str, server: &str) -> Result<Option<Credential>, HelperFailure> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Answer {
        username: String,
        secret: String,
    }
    let failed = |reason: &str| failure(name, "gives", server, reason);
    let said = match ask(name, "get", server) {
        // The protocol has no code for this, only these words (docker-credential-helpers, errors.go).
        Err(reason) if reason.contains("credentials not found") => return Ok(None),
        said => said.map_err(|reason| failed(&reason))?,
    };
    let answer: Answer = serde_json::from_slice(&said).map_err(|_| failed("its answer cannot be read"))?;
    Ok(Some(match answer.username.as_str() {
        "<token>" => Credential::IdentityToken(answer.secret),
        _ => Credential::Password { user: answer.username, password: answer.secret },
    }))
}

/// Has the helper keep a user and a password.
pub(super) fn store(name: &str, server: &str, user: &str, password: &str) -> Result<(), HelperFailure> {
    let credential = json!({ "ServerURL": server, "Username": user, "Secret": password }).to_string();
    let kept = ask(name, "store", &credential);
    // Who fails may say with what.
    let without_secret = |reason: String| if tells(&reason, password) { HIDDEN.to_owned() } else { reason };
    kept.map(|_| ()).map_err(|reason| failure(name, "keeps", server, &without_secret(reason)))
}

/// Has the helper forget the server; false where it knew nothing of it.
pub(super) fn erase(name: &str, server: &str) -> Result<bool, HelperFailure> {
    if get(name, server)?.is_none() {
        return Ok(false);
    }
    ask(name, "erase", server).map(|_| true).map_err(|reason| failure(name, "removes", server, &reason))
}

/// The servers that the helper has something for.
pub(super) fn list(name: &str) -> Result<Vec<String>, HelperFailure> {
    let failed = |reason: &str| failure(name, "lists", "any server", reason);
    let said = ask(name, "list", "").map_err(|reason| failed(&reason))?;
    let users: BTreeMap<String, Value> =
        serde_json::from_slice(&said).map_err(|_| failed("its answer cannot be read"))?;
    Ok(users.into_keys().collect())
}

fn ask(name: &str, command: &str, input: &str) -> Result<Vec<u8>, String> {
    // With a slash it would be no program of PATH.
    if name.is_empty() || name.contains('/') {
        return Err(String::from("that is no program's name"));
    }
    let call = Call::new(format!("docker-credential-{name}")).arg(command);
    let output = call.feed(input.as_bytes(), PATIENCE).map_err(|error| match &error {
        process::Error::Spawn { source, .. } if source.kind() == io::ErrorKind::TimedOut => {
            format!("it did not end in {} s", PATIENCE.as_secs())
        }
        _ => String::from("it cannot be run"),
    })?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let [stdout, stderr] = [&output.stdout, &output.stderr].map(|said| String::from_utf8_lossy(said));
    let line = first_line(&stdout, &stderr);
    // An answer, or our own question, has a secret in it.
    let is_secret = line.starts_with('{') || line.contains("\"Secret\"");
    Err(if is_secret { HIDDEN.to_owned() } else { line.to_owned() })
}

/// Whether a text has a password in it, as it is or as JSON has it.
fn tells(text: &str, password: &str) -> bool {
    let escaped = json!(password).to_string();
    text.contains(password) || text.contains(escaped.trim_matches('"'))
}

fn failure(name: &str, task: &'static str, server: &str, reason: &str) -> HelperFailure {
    HelperFailure { name: name.to_owned(), task, server: server.to_owned(), reason: reason.to_owned() }
}

/// The first thing it says: helpers tell errors on stdout.
fn first_line<'a>(stdout: &'a str, stderr: &'a str) -> &'a str {
    let lines = stdout.lines().chain(stderr.lines());
    lines.map(str::trim).find(|line| !line.is_empty()).unwrap_or("it says nothing")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_found_in_plain_words_and_in_json() {
        let cases = [("no pw\"x here", true), (r#"{"p": "pw\"x"}"#, true), ("nothing of it", false)];
        for (text, expected) in cases {
            assert_eq!(tells(text, "pw\"x"), expected, "{text}");
        }
    }

    #[test]
    fn helper_that_is_no_program_of_the_path_is_not_run() {
        for name in ["", "/evil", "../x"] {
            assert_eq!(get(name, "a.io").unwrap_err().reason, "that is no program's name");
        }
    }
}
