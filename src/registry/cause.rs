//! Why no answer came, in words short enough to stand at the end of a line.

use std::error::Error;
use std::io;
use std::time::Duration;

/// The reason a connection could not be made or broke off.
#[derive(Debug, thiserror::Error)]
pub enum Cause {
    /// The name has no address, or cannot be looked up now.
    #[error("no such host ({0})")]
    NoSuchHost(String),
    /// The name server did not answer; the name may exist.
    #[error("host name cannot be looked up ({0})")]
    NoNameServer(String),
    /// Nothing listens on the port.
    #[error("connection refused")]
    Refused,
    /// The other side went away.
    #[error("connection closed by the other side")]
    Closed,
    /// Nothing came for as long as we wait.
    #[error("nothing came for {} s", .0.as_secs())]
    Timeout(Duration),
    /// The certificate is not good enough.
    #[error("its certificate is not trusted: {0}")]
    Certificate(String),
    /// The other side wants a certificate of ours, or another one.
    #[error("it takes only who has a certificate that it trusts")]
    Identity,
    /// TLS was asked for and plain HTTP came back.
    #[error("registry speaks plain HTTP")]
    PlainHttp,
    /// The server speaks no HTTP/1.1.
    #[error("it speaks HTTP/2 only")]
    Http2Only,
    /// TLS went wrong in another way.
    #[error("TLS does not work: {0}")]
    Tls(String),
    /// A registry led to an address that it has nothing to do with.
    #[error("its addresses are of this machine or its link")]
    Inward,
    /// Anything else, in the words of the lower layer.
    #[error("{0}")]
    Other(String),
}

/// A name without address, as our resolver says it: a type of its own is found again in a chain of sources.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct NameError(String);

/// A name that has no addresses but inward ones, where those do not count.
#[derive(Debug, thiserror::Error)]
#[error("its addresses are of this machine or its link")]
pub(super) struct InwardError;

impl NameError {
    pub(super) fn new(source: &io::Error) -> Self {
        let text = source.to_string();
        // std prefixes getaddrinfo's own words with its own.
        Self(text.rsplit(": ").next().unwrap_or_default().to_owned())
    }

    fn cause(&self) -> Cause {
        // glibc's and musl's EAI_AGAIN; std keeps the code to itself.
        let passing = self.0.starts_with("Temporary failure") || self.0.starts_with("Try again");
        if passing { Cause::NoNameServer(self.0.clone()) } else { Cause::NoSuchHost(self.0.clone()) }
    }
}

impl Cause {
    /// Finds the reason in a chain of errors of the HTTP client.
    pub(super) fn of(error: &(dyn Error + 'static)) -> Self {
        let mut innermost = error;
        let mut next = Some(error);
        while let Some(error) = next {
            if let Some(cause) = known(error) {
                return cause;
            }
            innermost = error;
            next = error.source();
        }
        Self::Other(innermost.to_string())
    }

    /// Whether the same request may succeed a little later.
    pub const fn is_transient(&self) -> bool {
        !matches!(
            self,
            Self::NoSuchHost(_)
                | Self::Certificate(_)
                | Self::Identity
                | Self::PlainHttp
                | Self::Http2Only
                | Self::Tls(_)
                | Self::Inward
        )
    }

    /// Whether the server may be one that speaks nothing but HTTP/2: some say so, some hang up.
    pub(super) const fn suggests_http2(&self) -> bool {
        matches!(self, Self::Http2Only | Self::Closed | Self::Other(_))
    }

    /// Whether a registry that may be asked without TLS should be.
    pub(super) const fn suggests_other_scheme(&self) -> bool {
        matches!(self, Self::PlainHttp | Self::Refused | Self::Closed | Self::Tls(_) | Self::Other(_))
    }
}

fn known(error: &(dyn Error + 'static)) -> Option<Cause> {
    if let Some(name) = error.downcast_ref::<NameError>() {
        return Some(name.cause());
    }
    if error.is::<InwardError>() {
        return Some(Cause::Inward);
    }
    if let Some(tls) = error.downcast_ref::<rustls::Error>() {
        return Some(tls_cause(tls));
    }
    let io = error.downcast_ref::<io::Error>()?;
    // An io::Error asked for its source skips the error it wraps, and the TLS layers wrap theirs twice.
    if let Some(cause) = io.get_ref().and_then(|inner| known(inner)) {
        return Some(cause);
    }
    io_cause(io.kind())
}

fn io_cause(kind: io::ErrorKind) -> Option<Cause> {
    match kind {
        io::ErrorKind::ConnectionRefused => Some(Cause::Refused),
        io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::BrokenPipe
        | io::ErrorKind::UnexpectedEof => Some(Cause::Closed),
        _ => None,
    }
}

fn tls_cause(error: &rustls::Error) -> Cause {
    use rustls::CertificateError as Reason;
    match error {
        rustls::Error::InvalidMessage(rustls::InvalidMessage::InvalidContentType) => Cause::PlainHttp,
        rustls::Error::AlertReceived(rustls::AlertDescription::NoApplicationProtocol) => Cause::Http2Only,
        rustls::Error::InvalidCertificate(reason) => Cause::Certificate(match reason {
            Reason::UnknownIssuer => String::from("unknown authority"),
            Reason::BadSignature => String::from("its signature is wrong"),
            Reason::Expired | Reason::ExpiredContext { .. } => String::from("expired"),
            Reason::NotValidForName | Reason::NotValidForNameContext { .. } => String::from("made for another host"),
            Reason::Other(other) => other.to_string(),
            other => format!("{other:?}"),
        }),
        rustls::Error::AlertReceived(alert) if is_about_us(*alert) => Cause::Identity,
        other => Cause::Tls(other.to_string()),
    }
}

/// Whether the other side complains of our certificate, or of there being none: TLS 1.2 has one word for both.
const fn is_about_us(alert: rustls::AlertDescription) -> bool {
    use rustls::AlertDescription as Alert;
    matches!(
        alert,
        Alert::CertificateRequired
            | Alert::BadCertificate
            | Alert::UnsupportedCertificate
            | Alert::CertificateRevoked
            | Alert::CertificateExpired
            | Alert::CertificateUnknown
            | Alert::UnknownCA
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrapped(kind: io::ErrorKind, inner: rustls::Error) -> io::Error {
        io::Error::new(kind, inner)
    }

    #[test]
    fn causes_are_found_in_chains_and_have_short_words() {
        let plain = rustls::Error::InvalidMessage(rustls::InvalidMessage::InvalidContentType);
        let unknown = rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer);
        let refused = rustls::Error::AlertReceived(rustls::AlertDescription::BadCertificate);
        let lookup = |words: &str| io::Error::other(format!("failed to lookup address information: {words}"));
        let cases: [(Box<dyn Error>, &str, bool); 10] = [
            (Box::new(io::Error::from(io::ErrorKind::ConnectionRefused)), "connection refused", true),
            (Box::new(io::Error::from(io::ErrorKind::UnexpectedEof)), "connection closed by the other side", true),
            (Box::new(wrapped(io::ErrorKind::InvalidData, plain)), "registry speaks plain HTTP", false),
            (
                Box::new(io::Error::other(wrapped(io::ErrorKind::InvalidData, unknown))),
                "its certificate is not trusted: unknown authority",
                false,
            ),
            (
                Box::new(wrapped(io::ErrorKind::InvalidData, refused)),
                "it takes only who has a certificate that it trusts",
                false,
            ),
            (
                Box::new(NameError::new(&lookup("Name or service not known"))),
                "no such host (Name or service not known)",
                false,
            ),
            (
                Box::new(NameError::new(&lookup("Temporary failure in name resolution"))),
                "host name cannot be looked up (Temporary failure in name resolution)",
                true,
            ),
            (Box::new(NameError::new(&lookup("Try again"))), "host name cannot be looked up (Try again)", true),
            (
                // As the resolver's error comes through the HTTP library.
                Box::new(io::Error::other(NameError::new(&lookup("Temporary failure in name resolution")))),
                "host name cannot be looked up (Temporary failure in name resolution)",
                true,
            ),
            (Box::new(io::Error::other("strange")), "strange", true),
        ];
        for (error, words, transient) in cases {
            let cause = Cause::of(error.as_ref());
            assert_eq!((cause.to_string().as_str(), cause.is_transient()), (words, transient));
        }
    }
}
