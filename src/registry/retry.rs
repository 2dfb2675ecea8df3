//! When a request is sent again. Pure: the waiting is done elsewhere.

use std::time::Duration;

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
}
