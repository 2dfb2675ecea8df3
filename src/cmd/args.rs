//! Arguments that several commands share.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::manifest::Platform;
use crate::pull::Policy;
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
    /// Have Podman 5.7 and newer pull with artishim's faster engine, or fail with the reason why not
    #[arg(long, value_name = "BOOL", global = true, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub accelerate: Option<bool>,
    /// Log more on stderr: error, warn, info, debug or trace
    #[arg(long, value_name = "LEVEL", global = true)]
    pub log_level: Option<String>,
    /// Docker context to use
    #[arg(long, value_name = "NAME", global = true, hide_short_help = true)]
    pub context: Option<String>,
    /// Show progress as auto, bars, plain, json or quiet
    ///
    /// With json, each line on stderr is an object with an "event". "planned" comes once per pull, with the number of
    /// "blobs" and all their "bytes". "started", "advanced", "verifying", "finished" and "skipped" are about one blob,
    /// with "digest", "name", "size", and in "bytes" how much of it is here: a blob that is resumed is "started" with
    /// more than 0, and "started" again with less if that was of no use. "advanced" comes at most five times a second
    /// for a blob and twenty times for all of them, with "speed" (bytes per second), "eta" (seconds, null if unknown)
    /// and the number of "connections" open. It and "finished" have a "total" over all blobs of the pull: "blobs",
    /// "blobs_done", "size", "bytes", "speed" and "eta". "note" has a "text".
    #[arg(long, value_name = "HOW", global = true, default_value = "auto")]
    pub progress: ProgressMode,
    /// Options for registries
    #[command(flatten)]
    pub registry: RegistryArgs,
}

/// How registries are spoken to.
#[derive(Args, Clone, Debug, Default)]
pub struct RegistryArgs {
    /// File with credentials
    #[arg(long, value_name = "FILE", global = true)]
    pub authfile: Option<PathBuf>,
    /// Credentials for the registry
    #[arg(long, value_name = "USER:PASSWORD", global = true)]
    pub creds: Option<String>,
    /// Require HTTPS and verify certificates (default: true, but for registries on this machine)
    #[arg(long, value_name = "BOOL", global = true, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub tls_verify: Option<bool>,
    /// The most connections to fetch with
    #[arg(long, value_name = "N", global = true, default_value_t = crate::pull::Settings::default().connections)]
    pub connections: usize,
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

fn parse_platform(text: &str) -> Result<Platform, String> {
    let mut parts = text.splitn(3, '/').map(str::to_owned);
    match (parts.next(), parts.next(), parts.next()) {
        (Some(os), Some(architecture), variant) if !os.is_empty() && !architecture.is_empty() => {
            Ok(Platform { architecture, os, variant })
        }
        _ => Err(String::from("expected OS/ARCH, for example linux/arm64")),
    }
}
