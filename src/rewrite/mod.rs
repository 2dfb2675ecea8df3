//! The engines' own command lines of `run` and `create`: find the artifact mounts, put others in their place.
//!
//! Arguments in, arguments out, nothing else. What is not an artifact mount comes out byte for byte as it went in, so
//! that the engine decides about everything we do not know. The engine's global flags and the subcommand itself are
//! left to the caller.

mod flags;
mod split;

use std::ffi::{OsStr, OsString};
use std::ops::Range;
use std::os::unix::ffi::OsStrExt as _;

use crate::mount::{self, ArtifactMount, Dialect};
use flags::Flag;

pub use split::{Split, create_and_start};

/// The arguments after `run` or `create`, understood as far as artifacts need it.
#[derive(Clone, Debug)]
pub struct CommandLine {
    arguments: Vec<OsString>,
    mounts: Vec<Place>,
    /// Where the image stands; `None` in a line without one.
    pub image: Option<usize>,
    /// The flags that matter to a delivery.
    pub flags: Flags,
    /// The container paths of all other mounts, volumes and tmpfs.
    pub destinations: Vec<String>,
}

/// An artifact mount and its arguments.
#[derive(Clone, Debug)]
struct Place {
    mount: ArtifactMount,
    arguments: Range<usize>,
}

/// The flags that matter to a delivery.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Flags {
    /// `--pull`: when the image is pulled.
    pub pull: Option<String>,
    /// `--platform`
    pub platform: Option<String>,
    /// `--name`
    pub name: Option<String>,
    /// `-a`, `--attach`: the streams, as typed.
    pub attach: Vec<String>,
    /// `--detach-keys`
    pub detach_keys: Option<String>,
    /// `-d`, `--detach`
    pub detach: bool,
    /// `-i`, `--interactive`
    pub interactive: bool,
    /// `-t`, `--tty`
    pub tty: bool,
    /// `-q`, `--quiet`: of the image's pull.
    pub quiet: bool,
    /// `--rm`
    pub remove: bool,
    /// `--sig-proxy=false`
    pub keeps_signals: bool,
    /// podman's `--rootfs`: what stands in the image's place is a directory.
    pub rootfs: bool,
    /// `--help`: nothing will be run.
    pub help: bool,
}

/// A command line that cannot be carried out.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Error {
    /// An artifact mount is wrong.
    #[error(transparent)]
    Mount(#[from] mount::Error),
    /// An artifact mount is not UTF-8.
    #[error("the artifact mount {0:?} is not UTF-8")]
    Encoding(OsString),
    /// An artifact is mounted where something else is.
    #[error("{0}: duplicate mount destination")]
    DuplicateDestination(String),
}

impl CommandLine {
    /// Reads the arguments that follow `run` or `create`.
    pub fn parse(dialect: Dialect, arguments: &[OsString]) -> Result<Self, Error> {
        let (found, image) = flags::scan(dialect, arguments);
        let mut line = Self {
            arguments: arguments.to_vec(),
            mounts: Vec::new(),
            image,
            flags: Flags::default(),
            destinations: Vec::new(),
        };
        for flag in &found {
            line.flags.note(flag);
            line.note_mount(flag)?;
        }
        line.check_destinations()?;
        Ok(line)
    }

    /// The artifact mounts, in the order of the line.
    pub fn mounts(&self) -> impl ExactSizeIterator<Item = &ArtifactMount> {
        self.mounts.iter().map(|place| &place.mount)
    }

    /// The image, or podman's root directory.
    pub fn image(&self) -> Option<&OsStr> {
        self.image.map(|at| self.arguments[at].as_os_str())
    }

    /// The arguments as they came.
    pub fn arguments(&self) -> &[OsString] {
        &self.arguments
    }

    /// The arguments with each artifact mount replaced by mounts of the given values, in the form it was written in.
    ///
    /// `values` has one list for each of [`Self::mounts`]; an empty list takes the mount away, a missing one keeps it.
    pub fn replace(&self, values: &[Vec<String>]) -> Vec<OsString> {
        let mut replaced = Vec::with_capacity(self.arguments.len());
        let mut at = 0;
        for (place, values) in self.mounts.iter().zip(values) {
            replaced.extend_from_slice(&self.arguments[at..place.arguments.start]);
            replaced.extend(values.iter().flat_map(|value| place.written(value)));
            at = place.arguments.end;
        }
        replaced.extend_from_slice(&self.arguments[at..]);
        replaced
    }

    fn note_mount(&mut self, flag: &Flag<'_>) -> Result<(), Error> {
        let Some(value) = flag.value else { return Ok(()) };
        match flag.name {
            "mount" => match artifact_mount(value)? {
                Some(mount) => self.mounts.push(Place { mount, arguments: flag.arguments.clone() }),
                None => self.destinations.extend(mount::destination_of(&value.to_string_lossy())),
            },
            "volume" => self.destinations.push(volume_destination(&value.to_string_lossy())),
            "tmpfs" => self.destinations.push(tmpfs_destination(&value.to_string_lossy())),
            _ => {}
        }
        Ok(())
    }

    /// Only what concerns an artifact is checked; of two other mounts the engine has its own opinion.
    fn check_destinations(&self) -> Result<(), Error> {
        for (at, mount) in self.mounts().enumerate() {
            let path = &mount.destination;
            if self.destinations.contains(path) || self.mounts().take(at).any(|other| other.destination == *path) {
                return Err(Error::DuplicateDestination(path.clone()));
            }
        }
        Ok(())
    }
}

impl Place {
    fn written(&self, value: &str) -> Vec<OsString> {
        match self.arguments.len() {
            1 => vec![format!("--mount={value}").into()],
            _ => vec!["--mount".into(), value.into()],
        }
    }
}

impl Flags {
    fn note(&mut self, flag: &Flag<'_>) {
        match flag.name {
            "pull" => self.pull = flag.text(),
            "platform" => self.platform = flag.text(),
            "name" => self.name = flag.text(),
            "attach" => self.attach.extend(flag.text()),
            "detach-keys" => self.detach_keys = flag.text(),
            "detach" => self.detach = flag.is_true(),
            "interactive" => self.interactive = flag.is_true(),
            "tty" => self.tty = flag.is_true(),
            "quiet" => self.quiet = flag.is_true(),
            "rm" => self.remove = flag.is_true(),
            "sig-proxy" => self.keeps_signals = !flag.is_true(),
            "rootfs" => self.rootfs = flag.is_true(),
            "help" => self.help = flag.is_true(),
            _ => {}
        }
    }
}

/// Gives `--pull`, wherever it stands before the image, another value.
pub fn set_pull(dialect: Dialect, arguments: &mut [OsString], value: &str) {
    let (found, _) = flags::scan(dialect, arguments);
    let places: Vec<Range<usize>> =
        found.iter().filter(|flag| flag.name == "pull").map(|flag| flag.arguments.clone()).collect();
    for place in places {
        arguments[place.end - 1] = match place.len() {
            1 => format!("--pull={value}").into(),
            _ => value.into(),
        };
    }
}

/// The arguments with long flags before the image put into other words.
///
/// `translate` is given a flag's name and value (`true` for one without) and gives the arguments to stand in its place,
/// or `None` for those that are there. Letters, which all engines share, stay.
pub fn translate<E>(
    dialect: Dialect,
    arguments: &[OsString],
    mut translate: impl FnMut(&str, &str) -> Result<Option<Vec<String>>, E>,
) -> Result<Vec<OsString>, E> {
    let (found, _) = flags::scan(dialect, arguments);
    let mut translated = Vec::with_capacity(arguments.len());
    let mut at = 0;
    for flag in found.iter().filter(|flag| arguments[flag.arguments.start].as_bytes().starts_with(b"--")) {
        let Some(words) = translate(flag.name, flag.text().as_deref().unwrap_or("true"))? else { continue };
        translated.extend_from_slice(&arguments[at..flag.arguments.start]);
        translated.extend(words.into_iter().map(OsString::from));
        at = flag.arguments.end;
    }
    translated.extend_from_slice(&arguments[at..]);
    Ok(translated)
}

/// Whether the arguments may hold an artifact mount: cheap, and never wrong about a no.
pub fn mentions_artifact(arguments: &[OsString]) -> bool {
    const WORDS: &[u8] = b"type=artifact";
    // A quote may stand anywhere in them.
    let bare = |argument: &OsString| argument.as_bytes().iter().copied().filter(|byte| *byte != b'"').collect();
    arguments.iter().map(bare).any(|bare: Vec<u8>| bare.windows(WORDS.len()).any(|window| window == WORDS))
}

fn artifact_mount(value: &OsStr) -> Result<Option<ArtifactMount>, Error> {
    match value.to_str() {
        Some(text) => Ok(ArtifactMount::parse(text)?),
        None if matches!(ArtifactMount::parse(&value.to_string_lossy()), Ok(None)) => Ok(None),
        None => Err(Error::Encoding(value.to_owned())),
    }
}

/// `/c`, `/host:/c` and `/host:/c:options` are all in use.
fn volume_destination(value: &str) -> String {
    let mut parts = value.split(':');
    let first = parts.next().unwrap_or_default();
    mount::clean(parts.next().unwrap_or(first))
}

fn tmpfs_destination(value: &str) -> String {
    mount::clean(value.split(':').next().unwrap_or_default())
}

#[cfg(test)]
mod tests;
