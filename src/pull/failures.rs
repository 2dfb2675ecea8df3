//! How long a pull bears with a registry. Pure: it is told of failures, and says when to ask again or that it is over.
//!
//! Only failures without a byte between them count, so a large blob over a bad line comes in the end. Connections that
//! fail together, as when a server goes away, fail once.

use std::time::{Duration, Instant};

use super::Settings;
use crate::registry::{self, Patience};

/// The failures of one blob since bytes last came.
#[derive(Debug, Default)]
pub(super) struct Failures {
    in_a_row: u32,
    since: Option<Instant>,
    /// Bytes that were here at the last failure.
    present: u64,
    round: u32,
}

/// What to do after a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Ask again at once: the failure was one of several that have been counted already.
    Again,
    /// Ask again, but not before this has passed.
    Wait(Duration),
    /// It is over, after so many attempts in so much time.
    GiveUp(u32, Duration),
}

impl Verdict {
    /// Whether there is another try.
    pub const fn goes_on(self) -> bool {
        !matches!(self, Self::GiveUp(..))
    }
}

impl Failures {
    /// Which requests fail together: those that began in the same round.
    pub const fn round(&self) -> u32 {
        self.round
    }

    /// Takes note of the failure of a request begun in `round`, when `present` bytes of the blob are here.
    pub fn note(
        &mut self,
        error: &registry::Error,
        round: u32,
        present: u64,
        now: Instant,
        settings: &Settings,
    ) -> Verdict {
        if round < self.round {
            return Verdict::Again;
        }
        if present > self.present {
            *self = Self { present, round: self.round, ..Self::default() };
        }
        let since = *self.since.get_or_insert(now);
        self.in_a_row += 1;
        self.round += 1;
        let patience = Patience { pause: settings.pause, failures: settings.failures };
        let wait = patience.wait(self.in_a_row, error);
        wait.map_or_else(|| Verdict::GiveUp(self.in_a_row, now.duration_since(since)), Verdict::Wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::{Cause, Error, SafeUrl, Status};

    const PAUSE: Duration = Duration::from_millis(100);

    fn settings() -> Settings {
        Settings { pause: PAUSE, failures: 4, ..Settings::default() }
    }

    fn refused() -> Error {
        Error::Unreachable { host: String::from("quay.io"), source: Cause::Refused }
    }

    fn busy(seconds: u64) -> Error {
        let (url, retry_after) = (SafeUrl::new("https://quay.io/v2/"), Some(Duration::from_secs(seconds)));
        Error::Status(Box::new(Status { method: "GET", url, status: 429, reason: "", codes: Vec::new(), retry_after }))
    }

    #[test]
    fn waits_double_until_it_is_over() {
        let (mut failures, begin, settings) = (Failures::default(), Instant::now(), settings());
        let mut note =
            |round, seconds| failures.note(&refused(), round, 0, begin + Duration::from_secs(seconds), &settings);
        assert_eq!(note(0, 0), Verdict::Wait(PAUSE));
        assert_eq!(note(1, 1), Verdict::Wait(PAUSE * 2));
        assert_eq!(note(2, 2), Verdict::Wait(PAUSE * 4));
        assert_eq!(note(3, 9), Verdict::GiveUp(4, Duration::from_secs(9)));
    }

    #[test]
    fn bytes_between_failures_begin_the_count_anew() {
        let (mut failures, now, settings) = (Failures::default(), Instant::now(), settings());
        for round in 0..100 {
            assert_eq!(failures.note(&refused(), round, u64::from(round) + 1, now, &settings), Verdict::Wait(PAUSE));
        }
    }

    #[test]
    fn connections_that_fail_together_fail_once() {
        let (mut failures, now, settings) = (Failures::default(), Instant::now(), settings());
        assert_eq!(failures.note(&refused(), 0, 5, now, &settings), Verdict::Wait(PAUSE));
        for _ in 0..16 {
            assert_eq!(failures.note(&refused(), 0, 5, now, &settings), Verdict::Again);
        }
        assert_eq!(failures.note(&refused(), failures.round(), 5, now, &settings), Verdict::Wait(PAUSE * 2));
    }

    #[test]
    fn a_registry_is_given_the_time_it_asks_for_within_reason() {
        let settings = settings();
        for (seconds, verdict) in [
            (0, Verdict::Wait(PAUSE)),
            (30, Verdict::Wait(Duration::from_secs(30))),
            (3600, Verdict::GiveUp(1, Duration::ZERO)),
        ] {
            assert_eq!(Failures::default().note(&busy(seconds), 0, 0, Instant::now(), &settings), verdict);
        }
    }
}
