//! Arguments that several commands share.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::secret::Secret;
use crate::config::CONNECTIONS;
use crate::manifest::Platform;
use crate::packaging::{Request, Selection};
use crate::pull::Policy;
use crate::registry::Patience;
use crate::ui::ProgressMode;

/// Options before the command; `run` and `create` pass everything after their name to the engine.
#[derive(Args, Clone, Debug, Default)]
pub struct GlobalArgs {
    /// Engine to use: auto, podman, docker, none, the path of a program, or a URL (unix://, tcp://, ssh://)
    #[arg(long, value_name = "ENGINE", global = true)]
    pub engine: Option<String>,
    /// Directory of the artifact store
    #[arg(long, value_name = "DIR", global = true)]
    pub store: Option<PathBuf>,
    /// How files get into containers instead of the best way: auto, artifact, bind, volume, copy or image
    #[arg(long, value_name = "WAY", global = true)]
    pub deliver: Option<String>,
    /// Fetch with artishim's own downloader what Podman 5.7 and newer pulls, or fail with the reason why not
    #[arg(long, value_name = "BOOL", global = true, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub accelerate: Option<bool>,
    /// Log more on stderr: error, warn, info, debug or trace
    #[arg(long, value_name = "LEVEL", global = true)]
    pub log_level: Option<String>,
    /// Write the log as text, or as a JSON object per line
    #[arg(long, value_name = "FORMAT", global = true, default_value = "text")]
    pub log_format: LogFormat,
    /// Docker context to use
    ///
    /// As docker's own `--context`; without it DOCKER_HOST, DOCKER_CONTEXT and the current context count, in this order.
    #[arg(long, value_name = "NAME", global = true, hide_short_help = true)]
    pub context: Option<String>,
    /// Show progress as auto, bars, plain, json or quiet
    ///
    /// With json, progress is one object per line on stderr, each with an "event"; errors, warnings and the log stay
    /// plain text. "planned" gives the number of "blobs" of a pull and their "bytes". "started", "advanced",
    /// "verifying", "finished" and "skipped" describe one blob: "digest", "name", "size", and "bytes", how much of it
    /// is here. A blob that is resumed starts with more than 0; one that must be fetched again starts a second time
    /// with less. "advanced" comes at most five times a second for a blob and twenty times in all, with "speed" (bytes
    /// per second), "eta" (seconds or null) and the number of open "connections". "advanced" and "finished" carry a
    /// "total": "blobs", "blobs_done", "size", "bytes", "speed" and "eta". "note" has a "text".
    #[arg(long, value_name = "HOW", global = true, default_value = "auto")]
    pub progress: ProgressMode,
    /// Options for registries
    #[command(flatten)]
    pub registry: RegistryArgs,
}

/// How the log is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people
    #[default]
    Text,
    /// For programs
    Json,
}

/// How registries are spoken to.
#[derive(Args, Clone, Debug, Default)]
pub struct RegistryArgs {
    /// File with credentials
    #[arg(long, value_name = "FILE", global = true)]
    pub authfile: Option<PathBuf>,
    /// Directory with certificates for the registry: *.crt of authorities, *.cert and *.key of one's own
    #[arg(long, value_name = "DIR", global = true)]
    pub cert_dir: Option<PathBuf>,
    /// Credentials for the registry; everybody sees them in the list of processes, unless it is `-`: a line of stdin
    ///
    /// ARTISHIM_CREDS is the same as a variable. What is to last is better kept by `artishim login`.
    #[arg(long, value_name = "USER:PASSWORD", global = true)]
    pub creds: Option<Secret>,
    /// Require HTTPS and verify certificates (default: true, but for registries on this machine)
    #[arg(long, value_name = "BOOL", global = true, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub tls_verify: Option<bool>,
    /// Fetch over at most this many connections (default: 24)
    #[arg(long, value_name = "N", global = true, value_parser = parse_connections)]
    pub connections: Option<usize>,
    /// How often a registry that fails is asked again before it is given up (default: 7, or 3 if it never answered)
    #[arg(long, value_name = "N", global = true, value_parser = clap::value_parser!(u32).range(..1000))]
    pub retry: Option<u32>,
    /// Wait before it is asked again, such as 100ms or 2s; twice as long each further time (default: 200ms)
    #[arg(long, value_name = "TIME", global = true, value_parser = parse_time)]
    pub retry_delay: Option<Duration>,
    /// Platform to take from an index, as OS/ARCH[/VARIANT]
    #[arg(long, value_name = "PLATFORM", global = true, value_parser = parse_platform)]
    pub platform: Option<Platform>,
}

/// When the registry is asked for an artifact.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum PullPolicy {
    /// Only for what is not here
    #[default]
    Missing,
    /// Always
    Always,
    /// Always, but do without when the registry does not answer
    Newer,
    /// Never
    Never,
}

impl From<PullPolicy> for Policy {
    fn from(policy: PullPolicy) -> Self {
        match policy {
            PullPolicy::Missing => Self::Missing,
            PullPolicy::Always => Self::Always,
            PullPolicy::Newer => Self::Newer,
            PullPolicy::Never => Self::Never,
        }
    }
}

/// Which of an artifact's files are wanted.
#[derive(Args, Clone, Debug, Default)]
pub struct PartArgs {
    /// Take only files that match, as `*Q4_K_M*` or `q4/*`; may be given several times
    ///
    /// Patterns are read as in a .gitignore: one without a slash is compared with names at any depth, one with a slash
    /// with the whole path; `*` stops at a slash and `**` does not; one that matches a folder takes all that is in it.
    #[arg(long, value_name = "GLOB")]
    pub include: Vec<String>,
    /// Leave out files that match; may be given several times
    #[arg(long, value_name = "GLOB")]
    pub exclude: Vec<String>,
    /// Take only what an inference server needs: the entry with its parts, the projector and the chat template, or what
    /// a loader reads of a folder of safetensors
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_value_t = false,
        default_missing_value = "true", hide_default_value = true, action = clap::ArgAction::Set)]
    pub entry_only: bool,
    /// File or folder that is the entry, where several could be
    #[arg(long, value_name = "PATH")]
    pub entry: Option<String>,
}

impl RegistryArgs {
    /// How long a registry is borne with.
    pub(super) fn patience(&self) -> Patience {
        let usual = Patience::default();
        let failures = self.retry.map_or(usual.failures, |retries| retries + 1);
        Patience { pause: self.retry_delay.unwrap_or(usual.pause), failures }
    }
}

impl PartArgs {
    /// What is asked for; nothing where no option is given that leaves files out.
    pub(super) fn request(&self) -> Result<Option<Request>, crate::packaging::Error> {
        let files = Selection::new(self.include.clone(), self.exclude.clone())?;
        let request = Request { files, entry_only: self.entry_only, entry: self.entry.clone() };
        Ok(Some(request).filter(|request| request.entry_only || !request.files.is_everything()))
    }
}

fn parse_connections(text: &str) -> Result<usize, String> {
    let expected = || format!("expected a number from {} to {}", CONNECTIONS.start(), CONNECTIONS.end());
    text.parse().ok().filter(|count| CONNECTIONS.contains(count)).ok_or_else(expected)
}

/// As Go writes times: `100ms`, `2s`, `1m30s`.
fn parse_time(text: &str) -> Result<Duration, String> {
    let time = text.parse::<jiff::SignedDuration>().ok().and_then(|time| Duration::try_from(time).ok());
    time.ok_or_else(|| String::from("expected a time, for example 100ms or 2s"))
}

fn parse_platform(text: &str) -> Result<Platform, String> {
    let mut parts = text.splitn(3, '/').map(str::to_owned);
    match (parts.next(), parts.next(), parts.next()) {
        (Some(os), Some(architecture), variant) if !os.is_empty() && !architecture.is_empty() => {
            Ok(Platform { architecture, os, variant })
        }
        _ => Err(String::from("expected OS/ARCH, for example linux/arm64")),
    }
}
