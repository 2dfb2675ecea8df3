//! When a request is sent again. Pure: the waiting is done elsewhere.

use std::time::Duration;

use jiff::Timestamp;

use super::Error;

/// How many times a request is sent again.
const RETRIES: u32 = 3;

/// The first wait; each further one is twice as long, 1.75 s in all, so that a refused connection is told soon.
const FIRST_WAIT: Duration = Duration::from_millis(250);

/// The longest wait a registry can ask for.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// How long to wait before the next try when `failures` tries have failed, the last with `error`; `None` to give up.
pub(super) fn wait(failures: u32, error: &Error) -> Option<Duration> {
    if failures == 0 || failures > RETRIES || !error.is_transient() {
        return None;
    }
    let ours = FIRST_WAIT * 2_u32.pow(failures - 1);
    Some(error.retry_after().map_or(ours, |asked| asked.clamp(ours, LONGEST_WAIT)))
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
    fn only_what_may_pass_is_tried_again_and_not_for_ever() {
        let cases = [
            (1, unreachable(Cause::Refused), Some(250)),
            (2, unreachable(Cause::Closed), Some(500)),
            (3, status(503, None), Some(1000)),
            (4, status(503, None), None),
            (1, status(408, None), Some(250)),
            (1, status(429, Some(7)), Some(7000)),
            (1, status(429, Some(0)), Some(250)),
            (1, status(429, Some(86_400)), Some(30_000)),
            (1, status(404, Some(1)), None),
            (1, status(501, None), None),
            (1, unreachable(Cause::PlainHttp), None),
            (1, unreachable(Cause::NoSuchHost(String::new())), None),
        ];
        for (failures, error, milliseconds) in cases {
            assert_eq!(wait(failures, &error), milliseconds.map(Duration::from_millis), "{error:?} {failures}");
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
