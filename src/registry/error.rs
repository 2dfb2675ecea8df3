//! What a registry or the way to it can answer instead of content.

use std::fmt;
use std::time::Duration;

use serde::Deserialize;

use super::{Cause, SafeUrl, credentials};
use crate::digest::{Digest, Mismatch};
use crate::registries_conf::Endpoint;

/// The result of a request to a registry.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a request to a registry gave nothing.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No answer came at all.
    #[error("cannot reach {host}")]
    Unreachable {
        /// Host and port asked.
        host: String,
        /// What the connection met.
        #[source]
        source: Cause,
    },
    /// An answer began and broke off.
    #[error("answer to {url} broke off")]
    Interrupted {
        /// The URL that was being read.
        url: SafeUrl,
        /// What the connection met.
        #[source]
        source: Cause,
    },
    /// An answer ended cleanly before all its bytes.
    #[error("answer to {url} ended after {seen} of {expected} bytes")]
    Truncated {
        /// The URL that was being read.
        url: SafeUrl,
        /// Bytes that came.
        seen: u64,
        /// Bytes that were promised.
        expected: u64,
    },
    /// The registry wants other credentials, or some.
    #[error("{registry} refuses access to {repository} {}", if *had_credentials { "with the credentials given" } else { "without credentials" })]
    Unauthorized {
        /// The registry of the reference.
        registry: String,
        /// The repository of the reference.
        repository: String,
        /// Whether credentials for the registry were found and used.
        had_credentials: bool,
        /// The registry's answer, or why there are no credentials.
        #[source]
        source: Box<Self>,
    },
    /// The registry does not know who logs in.
    #[error("{registry} refuses the user name or the password")]
    Login {
        /// The registry.
        registry: String,
        /// The registry's answer.
        #[source]
        source: Box<Self>,
    },
    /// A file of certs.d.
    #[error("certificate {}", path.display())]
    Certificate {
        /// The file, or the directory.
        path: std::path::PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// registries.conf says that nobody is to be asked.
    #[error(transparent)]
    Refused(#[from] crate::registries_conf::Refusal),
    /// The registry does not have what was asked for.
    #[error("{reference} is not in the registry")]
    NotFound {
        /// The reference asked for.
        reference: String,
        /// The registry's answer.
        #[source]
        source: Box<Self>,
    },
    /// Any other status that is no success.
    #[error(transparent)]
    Status(Box<Status>),
    /// A request that was sent again and again.
    #[error("gave up after {attempts} attempts in {:.1} s", spent.as_secs_f64())]
    Exhausted {
        /// How many times it was sent.
        attempts: u32,
        /// From the first attempt's begin to the last one's end.
        spent: Duration,
        /// The last attempt's end.
        #[source]
        source: Box<Self>,
    },
    /// A document larger than its limit.
    #[error("answer to {url} is larger than {limit} bytes")]
    TooLarge {
        /// The URL that was being read.
        url: SafeUrl,
        /// The most bytes read.
        limit: u64,
    },
    /// The manifest's bytes are not those the digest names.
    #[error("manifest of {reference} has the wrong content: its digest is {actual}, not {expected}")]
    Manifest {
        /// The reference asked for.
        reference: String,
        /// The digest of the reference, or the one the registry gave.
        expected: Digest,
        /// The digest of what came.
        actual: Digest,
    },
    /// The registry has a blob of another size than its descriptor says.
    #[error(transparent)]
    Blob(#[from] Mismatch),
    /// The answer breaks the rules of HTTP or of the distribution-spec.
    #[error("answer to {url} cannot be used: {reason}")]
    Protocol {
        /// The URL asked.
        url: SafeUrl,
        /// The rule, in a few words.
        reason: String,
    },
    /// An answer to a request for a range that is not that range.
    #[error("answer to {url} cannot be used: {reason}")]
    Range {
        /// The URL asked.
        url: SafeUrl,
        /// What is wrong with it.
        reason: String,
    },
    /// Another object than the one whose first bytes are here already.
    #[error("{0} changed while it was being read")]
    Changed(SafeUrl),
    /// A way that would give up the encryption the registry's URL has.
    #[error("{registry} leads to {url}, which is not encrypted")]
    Insecure {
        /// The registry's host.
        registry: String,
        /// Where it leads.
        url: SafeUrl,
    },
    /// A mirror that answered what it should not, and is asked no more.
    #[error("mirror {mirror} is of no use")]
    Unusable {
        /// The mirror's host.
        mirror: String,
        /// What it answered.
        #[source]
        source: Box<Self>,
    },
    /// A redirect, a realm or an upload's place where only a registry on this machine may lead.
    #[error("{registry} leads to {host}, which is this machine or a neighbour of it")]
    Inward {
        /// The registry's host.
        registry: String,
        /// Where it leads.
        host: String,
    },
    /// The credentials cannot be read.
    #[error(transparent)]
    Credentials(#[from] credentials::Error),
}

/// A status that is no success, with the registry's own words.
#[derive(Debug, thiserror::Error)]
pub struct Status {
    /// The method of the request.
    pub method: &'static str,
    /// The URL that answered, after redirects.
    pub url: SafeUrl,
    /// The status code.
    pub status: u16,
    /// The status in words.
    pub reason: &'static str,
    /// The registry's errors; empty when the answer was no JSON, and for HEAD.
    pub codes: Vec<Code>,
    /// How long the registry asks to wait.
    pub retry_after: Option<Duration>,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {} {}", self.method, self.url, self.status, self.reason)?;
        for (index, code) in self.codes.iter().enumerate() {
            write!(f, "{} {code}", if index == 0 { ":" } else { "," })?;
        }
        Ok(())
    }
}

/// One error of the distribution-spec's `errors` array.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Code {
    /// `MANIFEST_UNKNOWN` and its like; empty where the registry gives only a text.
    #[serde(default)]
    pub code: String,
    /// The registry's words, in one line.
    #[serde(default)]
    pub message: String,
    /// What else the registry says, whatever its shape.
    #[serde(default)]
    pub detail: serde_json::Value,
}

impl Code {
    /// Reads an error answer; the form `{"error": "..."}` is Hugging Face's and Ollama's.
    pub(super) fn parse(body: &[u8]) -> Vec<Self> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Answer {
            Spec { errors: Vec<Code> },
            Text { error: String },
        }
        let codes = match serde_json::from_slice(body) {
            Ok(Answer::Spec { errors }) => errors,
            Ok(Answer::Text { error }) => vec![Self { message: error, ..Self::default() }],
            Err(_) => Vec::new(),
        };
        codes.into_iter().take(8).map(Self::cleaned).collect()
    }

    /// The words go to a terminal in one line, whatever a registry puts into them.
    fn cleaned(self) -> Self {
        let clean = |text: &str| text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(500).collect();
        Self { code: clean(&self.code), message: clean(self.message.trim()), detail: self.detail }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = [&self.code, &self.message];
        let present: Vec<&str> = words.iter().map(|word| word.as_str()).filter(|word| !word.is_empty()).collect();
        f.write_str(&present.join(": "))
    }
}

impl Error {
    /// Whether the same request may succeed a little later.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { source, .. } => source.is_transient(),
            // It has worked before, so even what TLS says of it may pass.
            Self::Interrupted { .. } | Self::Truncated { .. } => true,
            // There is somebody else to ask.
            Self::Unusable { .. } => true,
            // 501 and 505 are about the request; those from 520 on are content networks' own.
            Self::Status(status) => matches!(status.status, 408 | 429 | 500 | 502..=504 | 506..=599),
            // What was borne with for so long may pass.
            Self::Exhausted { .. } => true,
            _ => false,
        }
    }

    /// The same where the host is known to be there: then even a name that cannot be found may be found again, as when
    /// a resolver or a VPN comes and goes.
    pub fn may_pass(&self, is_known: bool) -> bool {
        let is_nameless = matches!(self, Self::Unreachable { source: Cause::NoSuchHost(_), .. });
        self.is_transient() || (is_known && is_nameless)
    }

    /// Whether the same bytes may come without being asked for as a range.
    pub fn refuses_range(&self) -> bool {
        match self {
            Self::Range { .. } => true,
            _ => self.status() == Some(416),
        }
    }

    /// Whether the registry may answer where it is asked with TLS instead of without, or the other way round.
    pub(super) const fn suggests_other_scheme(&self) -> bool {
        matches!(self, Self::Unreachable { source, .. } if source.suggests_other_scheme())
    }

    /// Whether plain HTTP came back where TLS was asked for.
    pub(super) const fn is_plain_http(&self) -> bool {
        matches!(self, Self::Unreachable { source: Cause::PlainHttp, .. })
    }

    /// Whether it took long to find out.
    pub(super) const fn is_timeout(&self) -> bool {
        matches!(self, Self::Unreachable { source: Cause::Timeout(_), .. })
    }

    /// Whether it is a mirror's own fault, which neither passes nor is about ranges or another object.
    pub fn is_of(&self, endpoint: &Endpoint) -> bool {
        endpoint.is_mirror && !self.is_transient() && !self.refuses_range() && !matches!(self, Self::Changed(_))
    }

    /// Whether the registry wants fewer requests for a while.
    pub fn is_overload(&self) -> bool {
        matches!(self.status(), Some(429 | 503))
    }

    /// How long the registry asks to wait before the next try.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Status(status) => status.retry_after,
            _ => None,
        }
    }

    pub(super) fn protocol(url: &SafeUrl, reason: impl Into<String>) -> Self {
        Self::Protocol { url: url.clone(), reason: reason.into() }
    }

    /// The status the registry answered, whatever it was taken for.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Status(status) => Some(status.status),
            Self::Unauthorized { source, .. } | Self::NotFound { source, .. } | Self::Exhausted { source, .. } => {
                source.status()
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registries_own_words_are_read_from_both_forms() {
        let cases = [
            (r#"{"errors":[{"code":"DENIED","message":"no\nway","detail":{"a":1}}]}"#, "DENIED: no way"),
            (r#"{"errors":[{"code":"UNKNOWN"},{"message":"x"}]}"#, "UNKNOWN, x"),
            (r#"{"error":"sharded GGUF"}"#, "sharded GGUF"),
            ("<html>", ""),
            (r#"{"errors":"x"}"#, ""),
        ];
        for (body, words) in cases {
            let shown: Vec<String> = Code::parse(body.as_bytes()).iter().map(ToString::to_string).collect();
            assert_eq!(shown.join(", "), words);
        }
    }

    #[test]
    fn what_servers_say_of_themselves_may_pass_and_what_they_say_of_the_request_stays() {
        let transient = |status| {
            let (url, codes) = (SafeUrl::new("https://quay.io/v2/"), Vec::new());
            let status = Status { method: "GET", url, status, reason: "", codes, retry_after: None };
            Error::Status(Box::new(status)).is_transient()
        };
        assert!([408, 429, 500, 502, 503, 504, 520, 524, 529].into_iter().all(transient));
        assert!(![400, 401, 403, 404, 410, 416, 501, 505].into_iter().any(transient));
    }

    #[test]
    fn a_name_that_cannot_be_found_may_be_found_again_where_its_host_was_reached_before() {
        let unreachable = |source| Error::Unreachable { host: String::from("quay.io"), source };
        let cases = [
            (unreachable(Cause::NoSuchHost(String::new())), false, true),
            (unreachable(Cause::NoNameServer(String::new())), true, true),
            (unreachable(Cause::Refused), true, true),
            (unreachable(Cause::PlainHttp), false, false),
            (unreachable(Cause::Certificate(String::new())), false, false),
        ];
        for (error, by_itself, where_known) in cases {
            assert_eq!((error.may_pass(false), error.may_pass(true)), (by_itself, where_known), "{error:?}");
        }
    }

    #[test]
    fn a_status_is_one_line_with_the_registrys_words() {
        let status = Status {
            method: "GET",
            url: SafeUrl::new("https://quay.io/v2/a/blobs/x?sig=secret"),
            status: 403,
            reason: "Forbidden",
            codes: Code::parse(br#"{"errors":[{"code":"DENIED","message":"no"}]}"#),
            retry_after: None,
        };
        assert_eq!(status.to_string(), "GET https://quay.io/v2/a/blobs/x?sig=...: 403 Forbidden: DENIED: no");
    }
}
