//! When a request is sent again, and when it is given up. Pure: the waiting is done elsewhere.

use std::time::Duration;

use jiff::Timestamp;

use super::Error;

/// The longest a registry may ask us to wait; one that asks for more is given up.
const LONGEST_WAIT: Duration = Duration::from_secs(120);
/// How many failures are borne of a host that has not answered yet: its name or its port may be mistyped, which is to be
/// told soon.
const STRANGERS_FAILURES: u32 = 4;

/// How long we bear with a registry: the same for its manifests as for its blobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// The wait after a failure; twice as long after each further one.
    pub pause: Duration,
    /// How many failures in a row are the end.
    pub failures: u32,
}

impl Default for Patience {
    /// Some 25 s in all.
    fn default() -> Self {
        Self { pause: Duration::from_millis(200), failures: 8 }
    }
}

impl Patience {
    /// The patience with a host that has never answered: 1.4 s by default.
    #[must_use]
    pub fn with_strangers(self) -> Self {
        Self { failures: self.failures.min(STRANGERS_FAILURES), ..self }
    }

    /// How long to wait before the next try when `failures` tries in a row have failed, the last with `error`; `None` to
    /// give up.
    pub fn wait(&self, failures: u32, error: &Error) -> Option<Duration> {
        let ours = self.pause * 2_u32.pow(failures.saturating_sub(1).min(16));
        let asked = error.retry_after().unwrap_or_default();
        (failures < self.failures && asked <= LONGEST_WAIT).then(|| ours.min(LONGEST_WAIT).max(asked))
    }
}

/// `Retry-After` in either of its forms (RFC 9110, section 10.2.3).
pub(super) fn parse_wait(text: &str, now: Timestamp) -> Option<Duration> {
    if let Ok(seconds) = text.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = jiff::fmt::rfc2822::parse(text.trim()).ok()?;
    let seconds = date.timestamp().as_second() - now.as_second();
    Some(Duration::from_secs(seconds.try_into().unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::error::Status;
    use crate::registry::{Cause, SafeUrl};

    fn status(status: u16, retry_after: Option<u64>) -> Error {
        let url = SafeUrl::new("https://quay.io/v2/");
        let retry_after = retry_after.map(Duration::from_secs);
        Error::Status(Box::new(Status { method: "GET", url, status, reason: "", codes: Vec::new(), retry_after }))
    }

    fn unreachable(source: Cause) -> Error {
        Error::Unreachable { host: String::from("quay.io"), source }
    }

    #[test]
    fn waits_double_or_are_what_the_registry_asks_for_and_come_to_an_end() {
        let (all, strangers) = (Patience::default(), Patience::default().with_strangers());
        let cases = [
            (all, 1, unreachable(Cause::Refused), Some(200)),
            (all, 2, unreachable(Cause::Closed), Some(400)),
            (all, 7, status(503, None), Some(12_800)),
            (all, 8, status(503, None), None),
            (strangers, 3, unreachable(Cause::Refused), Some(800)),
            (strangers, 4, unreachable(Cause::Refused), None),
            (all, 1, status(408, None), Some(200)),
            (all, 1, status(429, Some(7)), Some(7000)),
            (all, 1, status(429, Some(0)), Some(200)),
            (all, 1, status(429, Some(120)), Some(120_000)),
            (all, 1, status(429, Some(86_400)), None),
        ];
        for (patience, failures, error, milliseconds) in cases {
            let expected = milliseconds.map(Duration::from_millis);
            assert_eq!(patience.wait(failures, &error), expected, "{error:?} {failures}");
        }
    }

    #[test]
    fn a_wait_is_a_number_or_a_date() {
        let now = Timestamp::from_second(1_445_412_450).unwrap();
        let cases = [
            ("120", Some(120)),
            ("Wed, 21 Oct 2015 07:28:00 GMT", Some(30)),
            ("Wed, 21 Oct 2015 07:00:00 GMT", Some(0)),
            ("soon", None),
        ];
        for (text, seconds) in cases {
            assert_eq!(parse_wait(text, now), seconds.map(Duration::from_secs), "{text}");
        }
    }
}
