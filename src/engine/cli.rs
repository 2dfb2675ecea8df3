use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::Kind;
use super::endpoint::Environment;
use super::error::{Error, Result};
use super::version::Version;
use crate::process::{self, Call};

/// An engine's command line and what leads it to one engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cli {
    /// Whose command line it is, which need not be whose engine it talks to.
    pub kind: Kind,
    program: PathBuf,
    arguments: Vec<OsString>,
    is_wrapped: bool,
}

impl Cli {
    /// The program.
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// What stands before the command: `--url X`, `-H X`, `--context X` or nothing.
    pub fn arguments(&self) -> &[OsString] {
        &self.arguments
    }

    /// A call of the program that reaches the engine; the command and its arguments are to be added.
    pub fn call(&self) -> Call {
        Call::new(&self.program).args(self.arguments.iter().cloned())
    }

    /// Asks the program for its own version, without asking the engine.
    pub(super) async fn version(&self) -> Result<Version> {
        let said = say_version(&self.program).await?;
        let mut words = said.split_whitespace().map(|word| word.trim_end_matches(','));
        let version = words.find(|word| word.starts_with(|first: char| first.is_ascii_digit()));
        version.unwrap_or(&said).parse().map_err(|source| {
            let endpoint = self.program.display().to_string();
            Error::Version { endpoint, source }
        })
    }

    /// The same program with `arguments` before all others.
    #[must_use]
    pub(super) fn leading<A: Into<OsString>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.arguments.splice(0..0, arguments.into_iter().map(Into::into));
        self
    }

    /// The value of `--url` among the arguments.
    pub(super) fn url(&self) -> Option<String> {
        let flag = self.arguments.iter().position(|argument| argument == "--url")?;
        self.arguments.get(flag + 1)?.to_str().map(str::to_owned)
    }

    /// Whether the program is a script, which may lead somewhere by itself.
    pub(super) const fn is_wrapped(&self) -> bool {
        self.is_wrapped
    }

    /// Looks in PATH for `docker` or `podman`, passing over links to ourselves.
    ///
    /// A `docker` may turn out to be podman (the distributions' podman-docker): see [`Cli::kind`].
    pub(super) async fn find(kind: Kind, environment: &Environment) -> Result<Self> {
        Self::at(program(kind, environment.path.as_deref(), environment.own_program.as_deref())?).await
    }

    /// The command line at a path, told by its name, or else by what it says of its version.
    pub(super) async fn at(program: PathBuf) -> Result<Self> {
        let is_wrapped = is_script(&program);
        let kind = match kind_by_name(&program) {
            Some(kind) if kind == Kind::Podman || !is_wrapped => kind,
            _ => kind_by_version(&program).await?,
        };
        Ok(Self { kind, program, arguments: Vec::new(), is_wrapped })
    }
}

/// The first program in `path` that is called as the engine's command line is and does not lead to `own`.
pub fn program(kind: Kind, path: Option<&OsStr>, own: Option<&Path>) -> Result<PathBuf> {
    let name = kind.program();
    let own = own.and_then(|program| program.canonicalize().ok());
    let found = which::which_in_global(name, path).ok();
    let is_foreign = |program: &PathBuf| own.is_none() || program.canonicalize().ok() != own;
    let program = found.and_then(|mut programs| programs.find(is_foreign));
    program.ok_or(Error::NoProgram { program: name })
}

/// By the file a link ends at, then by the link: `docker` is often a link to podman.
pub(super) fn kind_by_name(program: &Path) -> Option<Kind> {
    let by_name = |path: &Path| match path.file_name()?.to_str()? {
        "docker" => Some(Kind::Docker),
        "podman" | "podman-remote" => Some(Kind::Podman),
        _ => None,
    };
    program.canonicalize().ok().and_then(|path| by_name(&path)).or_else(|| by_name(program))
}

async fn kind_by_version(program: &Path) -> Result<Kind> {
    let said = say_version(program).await?;
    kind_of_version(&said).ok_or_else(|| Error::UnknownProgram { program: program.to_owned() })
}

async fn say_version(program: &Path) -> Result<String> {
    let said = process::capture(Call::new(program).arg("--version")).await?;
    Ok(String::from_utf8_lossy(&said).into_owned())
}

/// `Docker version 28.2.2, build e6534b4` or `podman version 4.3.1`.
fn kind_of_version(said: &str) -> Option<Kind> {
    match said.split_whitespace().next()? {
        "Docker" => Some(Kind::Docker),
        "podman" | "podman-remote" => Some(Kind::Podman),
        _ => None,
    }
}

fn is_script(program: &Path) -> bool {
    let mut start = [0; 2];
    File::open(program).and_then(|mut file| file.read_exact(&mut start)).is_ok() && start == *b"#!"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_tells_whose_program_it_is() {
        assert_eq!(kind_of_version("Docker version 28.2.2, build e6534b4\n"), Some(Kind::Docker));
        assert_eq!(kind_of_version("podman version 4.3.1\n"), Some(Kind::Podman));
        assert_eq!(kind_of_version("nerdctl version 2.0\n"), None);
    }
}
