//! What a pull looks like: bars on a terminal, lines elsewhere, JSON lines for programs. All on stderr.

mod bars;
mod events;
mod lines;
mod rate;
mod tally;
#[cfg(test)]
mod tests;
mod text;
mod told;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::{Reader, Ui};
use crate::progress::{Progress, Silent};

/// How the progress of a pull is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum ProgressMode {
    /// Bars on a terminal, else plain; nothing when quiet
    #[default]
    Auto,
    /// A moving bar per file, and a line over all files, on a terminal
    Bars,
    /// A line per file, and now and then one over all files
    Plain,
    /// A JSON object per event and line
    Json,
    /// Nothing
    Quiet,
}

/// Which way the bytes go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Way {
    /// From a registry.
    #[default]
    Here,
    /// To a registry.
    There,
}

impl Way {
    const fn doing(self) -> &'static str {
        match self {
            Self::Here => "Fetching",
            Self::There => "Sending",
        }
    }

    const fn done(self) -> &'static str {
        match self {
            Self::Here => "Fetched",
            Self::There => "Sent",
        }
    }
}

impl Ui {
    /// The watcher for a pull or a push.
    pub fn progress(&self, mode: ProgressMode, way: Way) -> Arc<dyn Progress> {
        match self.chosen(mode) {
            ProgressMode::Bars => Arc::new(bars::Bars::new(self.clone(), way)),
            ProgressMode::Json => Arc::new(events::Events::new(self.clone())),
            ProgressMode::Quiet => Arc::new(Silent),
            ProgressMode::Auto | ProgressMode::Plain => Arc::new(lines::Lines::new(self.clone(), self.pause(), way)),
        }
    }

    /// The shortest and the longest time between two lines about where a pull stands. Compose shows but the last one.
    fn pause(&self) -> (Duration, Duration) {
        let seconds = |seconds| Duration::from_secs(seconds);
        match self.reader {
            Reader::Person => (seconds(10), seconds(60)),
            Reader::Compose => (seconds(1), seconds(1)),
        }
    }

    fn chosen(&self, mode: ProgressMode) -> ProgressMode {
        let terminal = self.stderr_is_terminal();
        match mode {
            _ if self.reader == Reader::Compose => ProgressMode::Plain,
            ProgressMode::Auto if self.is_quiet() => ProgressMode::Quiet,
            ProgressMode::Auto if terminal => ProgressMode::Bars,
            ProgressMode::Bars if !terminal => ProgressMode::Plain,
            other => other,
        }
    }
}

/// A watcher that panicked has at worst counted wrong.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
