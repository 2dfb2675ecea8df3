//! Runs other programs; the only file that uses [`std::process::Command`].
//!
//! A [`Call`] is a program with its arguments. How it is run says what happens to its streams:
//!
//! | method | stdin | stdout | stderr |
//! | --- | --- | --- | --- |
//! | [`Call::capture`], [`Call::json`] | nothing | returned | its end is in the error |
//! | [`Call::feed`] | bytes | returned | returned |
//! | [`Call::head`] | nothing | its first bytes are returned, then the program is killed | its end is in the error |
//! | [`Call::status`] | ours | ours | ours |
//! | [`Call::status_on_stderr`] | ours | goes to our stderr | ours |
//! | [`Call::exec`] | ours | ours | ours; the program takes our place |
//!
//! All of it blocks; [`capture`] is the form for async callers.

use std::ffi::OsString;
use std::fmt;
use std::io::{self, Read, Write as _};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;
use tokio::task::{JoinError, JoinHandle};

/// How much of a program's stderr an error shows, from its end.
const STDERR_TAIL: usize = 1024;

/// As many words as the longest subcommand of podman has: `system connection list`.
const MAX_WORDS: usize = 3;

/// The variable that has a user and a password.
const CREDENTIALS: &str = "ARTISHIM_CREDS";
/// How much of what a program says is read where nobody knows it.
const MAX_SAID: u64 = 1024 * 1024;
/// How long the end of what a program said is waited for when it has ended.
const REST: Duration = Duration::from_secs(1);
/// How often a program is looked at that is waited for.
const LOOK: Duration = Duration::from_millis(5);

/// A program that did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The program could not be started.
    #[error("cannot run {program}")]
    Spawn {
        /// The program's path.
        program: String,
        /// The operating system's reason.
        source: io::Error,
    },
    /// The program ended with another status than 0.
    #[error("{program} ended with {status}{}{stderr}", if .stderr.is_empty() { "" } else { ": " })]
    Failed {
        /// The program with its subcommand.
        program: String,
        /// How it ended.
        status: ExitStatus,
        /// The end of what it wrote to stderr, trimmed.
        stderr: String,
    },
    /// The program's stdout is not the JSON that was expected.
    #[error("{program} printed JSON that is not understood")]
    Json {
        /// The program with its subcommand.
        program: String,
        /// The place and the reason.
        source: serde_json::Error,
    },
}

/// What the methods of this module return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A program and its arguments, not yet run.
#[derive(Clone, PartialEq, Eq)]
pub struct Call {
    program: PathBuf,
    arguments: Vec<OsString>,
    variables: Vec<(&'static str, String)>,
}

/// Reads while others are waited for.
fn read_aside(from: impl Read + Send + 'static) -> Receiver<Vec<u8>> {
    let (send, receive) = mpsc::channel();
    thread::spawn(move || {
        let mut said = Vec::new();
        let _ = from.take(MAX_SAID).read_to_end(&mut said);
        let _ = send.send(said);
    });
    receive
}

/// Waits for its end, or kills it.
fn wait_for(child: &mut Child, patience: Duration) -> io::Result<ExitStatus> {
    let began = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if began.elapsed() >= patience {
            child.kill()?;
            child.wait()?;
            return Err(io::ErrorKind::TimedOut.into());
        }
        thread::sleep(LOOK);
    }
}

impl Call {
    /// A call of `program` without arguments.
    pub fn new(program: impl Into<PathBuf>) -> Self {
        Self { program: program.into(), arguments: Vec::new(), variables: Vec::new() }
    }

    /// Adds one argument.
    #[must_use]
    pub fn arg(mut self, argument: impl Into<OsString>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<A: Into<OsString>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// Sets a variable of its environment.
    #[must_use]
    pub fn env(mut self, name: &'static str, value: String) -> Self {
        self.variables.push((name, value));
        self
    }

    /// The program's path.
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// The arguments after the program.
    pub fn arguments(&self) -> &[OsString] {
        &self.arguments
    }

    /// Runs the program and returns its stdout.
    pub fn capture(&self) -> Result<Vec<u8>> {
        let output = self.command().stdin(Stdio::null()).output().map_err(|source| self.spawn_error(source))?;
        self.check(output.status, &output.stderr)?;
        Ok(output.stdout)
    }

    /// Runs the program with `input`, which may be a secret, and returns what it said and how it ended; it is killed when
    /// it has not ended after `patience`. No more than a MiB of what it says is read.
    ///
    /// Credentials of our own environment are not its business.
    pub fn feed(&self, input: &[u8], patience: Duration) -> Result<Output> {
        let mut command = self.command();
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).env_remove(CREDENTIALS);
        let mut child = command.spawn().map_err(|source| self.spawn_error(source))?;
        if let Some(mut stdin) = child.stdin.take() {
            let input = input.to_vec();
            // One that needs no input may have ended; how is what counts.
            thread::spawn(move || stdin.write_all(&input));
        }
        let [stdout, stderr] = [child.stdout.take().map(read_aside), child.stderr.take().map(read_aside)];
        let status = wait_for(&mut child, patience).map_err(|source| self.spawn_error(source))?;
        // A child of its own may hold the pipe for longer.
        let said =
            |said: Option<Receiver<Vec<u8>>>| said.and_then(|said| said.recv_timeout(REST).ok()).unwrap_or_default();
        Ok(Output { status, stdout: said(stdout), stderr: said(stderr) })
    }

    /// Runs the program and parses its stdout.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_slice(&self.capture()?).map_err(|source| Error::Json { program: self.to_string(), source })
    }

    /// Runs the program, returns the first `limit` bytes of its stdout, and kills it when it has more to say.
    pub fn head(&self, limit: usize) -> Result<Vec<u8>> {
        let mut child = self
            .command()
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|source| self.spawn_error(source))?;
        let stderr = child.stderr.take();
        let reader = std::thread::spawn(move || read_all(stderr));
        let head = read_head(&mut child, limit);
        let cut_short = head.as_ref().is_ok_and(|head| head.len() == limit);
        if cut_short || head.is_err() {
            // It may have ended already; then there is nothing to kill.
            let _ = child.kill();
        }
        let status = child.wait().map_err(|source| self.spawn_error(source))?;
        let stderr = reader.join().unwrap_or_default();
        let head = head.map_err(|source| self.spawn_error(source))?;
        if !cut_short {
            self.check(status, &stderr)?;
        }
        Ok(head)
    }

    /// Runs the program on our own streams and returns how it ended.
    pub fn status(&self) -> Result<ExitStatus> {
        self.command().status().map_err(|source| self.spawn_error(source))
    }

    /// As [`Call::status`], with the program's stdout on our stderr: our own stdout stays for data.
    pub fn status_on_stderr(&self) -> Result<ExitStatus> {
        let stderr = io::stderr().as_fd().try_clone_to_owned().map_err(|source| self.spawn_error(source))?;
        self.command().stdout(stderr).status().map_err(|source| self.spawn_error(source))
    }

    /// Replaces this process by the program; returns only when that is impossible.
    pub fn exec(&self) -> Error {
        self.spawn_error(self.command().exec())
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).envs(self.variables.iter().cloned());
        command
    }

    fn spawn_error(&self, source: io::Error) -> Error {
        Error::Spawn { program: self.program.display().to_string(), source }
    }

    fn check(&self, status: ExitStatus, stderr: &[u8]) -> Result<()> {
        if status.success() {
            return Ok(());
        }
        let tail = &stderr[stderr.len().saturating_sub(STDERR_TAIL)..];
        let stderr = String::from_utf8_lossy(tail).trim().to_owned();
        Err(Error::Failed { program: self.to_string(), status, stderr })
    }
}

/// The program with its subcommand. What comes behind may be a secret: `--creds me:SECRET`, `-e TOKEN=SECRET`.
impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.program.display())?;
        let words = self.arguments.iter().map_while(|argument| argument.to_str().filter(|word| is_word(word)));
        words.take(MAX_WORDS).try_for_each(|word| write!(f, " {word}"))
    }
}

/// As [`fmt::Display`], so that a call in a log tells no secret either.
impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Call({self} ...)")
    }
}

/// Whether an argument can be a word of a subcommand, as `system` or `dial-stdio`: no option, no path and no value.
fn is_word(argument: &str) -> bool {
    argument.starts_with(|first: char| first.is_ascii_lowercase())
        && argument.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-')
}

/// [`Call::capture`] off the async threads.
pub async fn capture(call: Call) -> Result<Vec<u8>> {
    run_blocking(move || call.capture()).await
}

/// Runs `work`, which blocks, off the async threads.
pub async fn run_blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    joined(tokio::task::spawn_blocking(work)).await
}

/// Waits for a task nobody aborts, and lets its panic be ours.
pub(crate) async fn joined<T>(task: JoinHandle<T>) -> T {
    match task.await.map_err(JoinError::try_into_panic) {
        Ok(value) => value,
        Err(Ok(panic)) => std::panic::resume_unwind(panic),
        // Only a runtime that shuts down aborts it, and then nobody waits for this either.
        Err(Err(_)) => std::future::pending().await,
    }
}

fn read_all(stream: Option<impl Read>) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Some(mut stream) = stream {
        // What was read before an error is still worth showing.
        let _ = stream.read_to_end(&mut bytes);
    }
    bytes
}

fn read_head(child: &mut Child, limit: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(limit);
    if let Some(stdout) = child.stdout.take() {
        stdout.take(limit as u64).read_to_end(&mut bytes)?;
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Call {
        Call::new("/bin/sh").arg("-c").arg(script)
    }

    #[test]
    fn capture_returns_stdout_and_an_error_shows_the_end_of_stderr() {
        assert_eq!(shell("echo one").capture().expect("sh runs"), b"one\n");
        let error = shell("seq 1 5000 >&2; echo last >&2; exit 3").capture().expect_err("status is 3").to_string();
        assert!(error.starts_with("/bin/sh ended with"), "{error}");
        assert!(error.contains("exit status: 3") && error.ends_with("last"), "{error}");
        assert!(error.len() < 2 * STDERR_TAIL, "{error}");
    }

    #[test]
    fn head_kills_a_program_that_never_ends() {
        assert_eq!(shell("while :; do echo yes; done").head(4).expect("yes runs"), b"yes\n");
    }

    #[test]
    fn head_of_a_short_output_checks_the_status() {
        assert_eq!(shell("echo hi").head(512).expect("sh runs"), b"hi\n");
        let error = shell("echo broken >&2; exit 125").head(512).expect_err("status is 125");
        assert!(matches!(error, Error::Failed { ref stderr, .. } if stderr == "broken"), "{error}");
    }

    #[test]
    fn a_status_is_returned_and_no_error() {
        assert_eq!(shell("exit 3").status_on_stderr().expect("sh runs").code(), Some(3));
        assert_eq!(shell("exit 4").status().expect("sh runs").code(), Some(4));
    }

    #[test]
    fn what_is_fed_is_no_argument_and_every_end_is_told() {
        let output = shell("cat; echo why >&2; exit 3").feed(b"secret", Duration::from_secs(60)).expect("sh runs");
        let said = (output.status.code(), output.stdout.as_slice(), output.stderr.as_slice());
        assert_eq!(said, (Some(3), &b"secret"[..], &b"why\n"[..]));
        let late = shell("sleep 60").feed(b"", Duration::from_millis(50)).expect_err("it is killed");
        assert!(matches!(late, Error::Spawn { source, .. } if source.kind() == io::ErrorKind::TimedOut));
        assert!(shell("exit 0").feed(&[b'x'; 1_000_000], Duration::from_secs(60)).expect("sh runs").status.success());
    }

    #[test]
    fn json_names_the_program_whose_output_is_no_json() {
        let value: Vec<u8> = shell("echo '[1, 2]'").json().expect("is JSON");
        assert_eq!(value, [1, 2]);
        let error = shell("echo nothing").json::<Vec<u8>>().expect_err("is no JSON").to_string();
        assert_eq!(error, "/bin/sh printed JSON that is not understood");
    }

    #[test]
    fn a_call_is_shown_without_its_values() {
        let cases: [(&[&str], &str); 6] = [
            (&["artifact", "pull", "--creds", "me:SECRET", "quay.io/SECRET"], "podman artifact pull"),
            (&["artifact", "pull", "--creds=me:SECRET"], "podman artifact pull"),
            (&["--connection", "SECRET", "run"], "podman"),
            (&["run", "-e", "TOKEN=SECRET", "alpine"], "podman run"),
            (&["system", "connection", "list", "secret"], "podman system connection list"),
            (&["login", "quay.io/SECRET"], "podman login"),
        ];
        for (arguments, shown) in cases {
            let call = Call::new("podman").args(arguments);
            assert_eq!(call.to_string(), shown);
            assert_eq!(format!("{call:?}"), format!("Call({shown} ...)"));
        }
        let error = shell("exit 3").arg("SECRET").capture().expect_err("status is 3");
        assert!(!format!("{error} {error:?}").contains("SECRET"), "{error:?}");
    }

    #[test]
    fn a_missing_program_is_named() {
        let error = Call::new("/nonexistent/podman").arg("version").capture().expect_err("does not exist");
        assert_eq!(error.to_string(), "cannot run /nonexistent/podman");
    }
}
