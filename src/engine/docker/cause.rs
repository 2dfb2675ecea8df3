//! Why an engine gave no answer, in words short enough to stand at the end of a line.

use std::error::Error;
use std::io;

/// The innermost reason; what the layers above it say is where in the HTTP client it came through.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Cause(String);

impl Cause {
    pub(super) fn of(error: &bollard::errors::Error) -> Self {
        use bollard::errors::Error as Api;
        Self(match error {
            Api::RequestTimeoutError => "it took too long".to_owned(),
            // The engine's own words.
            Api::DockerStreamError { error } => error.clone(),
            Api::IOError { err } => words(innermost(err)),
            Api::HyperResponseError { err } => words(innermost(err)),
            other => words(innermost(other)),
        })
    }
}

fn innermost<'a>(error: &'a (dyn Error + 'static)) -> &'a (dyn Error + 'static) {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost
}

/// The system's words without its number, in the midst of a sentence.
fn words(error: &(dyn Error + 'static)) -> String {
    let text = error.to_string();
    let code = error.downcast_ref::<io::Error>().and_then(io::Error::raw_os_error);
    let Some(code) = code else { return text };
    let words = text.strip_suffix(&format!(" (os error {code})")).unwrap_or(&text);
    let (first, rest) = words.split_at(words.chars().next().map_or(0, char::len_utf8));
    first.to_lowercase() + rest
}

#[cfg(test)]
mod tests {
    use bollard::errors::Error as Api;

    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("client error (Connect)")]
    struct Client(#[source] io::Error);

    #[test]
    fn a_cause_is_the_innermost_reason_alone() {
        let refused = || io::Error::from_raw_os_error(rustix::io::Errno::CONNREFUSED.raw_os_error());
        let cases = [
            (Api::from(refused()), "connection refused"),
            (Api::from(io::Error::other(Client(refused()))), "connection refused"),
            (Api::from(io::Error::other("digest mismatch")), "digest mismatch"),
            (Api::DockerStreamError { error: "no space left on device".to_owned() }, "no space left on device"),
            (Api::RequestTimeoutError, "it took too long"),
        ];
        for (error, expected) in cases {
            assert_eq!(Cause::of(&error).to_string(), expected, "{error:?}");
        }
    }
}
