//! Content digests, and the one way bytes are checked against them.
//!
//! A [`Digest`] is validated where it is parsed, so its text is safe to join to a path. Only sha256 and sha512
//! exist here: the other algorithms the image-spec registers cannot be checked by the registries' own clients.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha256, Sha512};

/// A hash algorithm of the OCI image-spec's descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Algorithm {
    /// `sha256`, the one every registry has.
    Sha256,
    /// `sha512`.
    Sha512,
}

impl Algorithm {
    /// The name as it stands before the colon.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
        }
    }

    const fn hex_length(self) -> usize {
        match self {
            Self::Sha256 => 64,
            Self::Sha512 => 128,
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// `algorithm:hex`, lower case, of the right length.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest {
    algorithm: Algorithm,
    hex: String,
}

/// A text that is no digest we can check.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ParseError {
    /// The algorithm is not sha256 or sha512.
    #[error("digest {0:?} is neither sha256 nor sha512")]
    Algorithm(String),
    /// The part after the colon is not lower-case hex of the algorithm's length.
    #[error("digest {0:?} is not lower-case hex of the right length")]
    Hex(String),
}

impl Digest {
    /// The sha256 of `bytes`.
    pub fn sha256(bytes: &[u8]) -> Self {
        Hasher::new(Algorithm::Sha256).update(bytes).finish()
    }

    /// The digest of `bytes` under `algorithm`.
    pub fn of(algorithm: Algorithm, bytes: &[u8]) -> Self {
        Hasher::new(algorithm).update(bytes).finish()
    }

    /// The algorithm before the colon.
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The hex after the colon, 64 or 128 characters.
    pub fn hex(&self) -> &str {
        &self.hex
    }

    /// The first twelve characters of the hex, as the engines show a digest.
    pub fn short(&self) -> &str {
        &self.hex[..12]
    }

    /// `sha256-<hex>`: the digest where a colon is not welcome, as podman names untitled files.
    pub fn file_name(&self) -> String {
        format!("{}-{}", self.algorithm, self.hex)
    }
}

impl FromStr for Digest {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let (algorithm, hex) = match text.split_once(':') {
            Some(("sha256", hex)) => (Algorithm::Sha256, hex),
            Some(("sha512", hex)) => (Algorithm::Sha512, hex),
            _ => return Err(ParseError::Algorithm(text.to_owned())),
        };
        let is_hex = hex.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if hex.len() != algorithm.hex_length() || !is_hex {
            return Err(ParseError::Hex(text.to_owned()));
        }
        Ok(Self { algorithm, hex: hex.to_owned() })
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.algorithm, self.hex)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Computes a [`Digest`] from bytes fed in order.
#[derive(Clone)]
pub struct Hasher(State);

#[derive(Clone)]
enum State {
    Sha256(Sha256),
    Sha512(Sha512),
}

impl Hasher {
    /// A hasher that has seen nothing.
    pub fn new(algorithm: Algorithm) -> Self {
        Self(match algorithm {
            Algorithm::Sha256 => State::Sha256(Sha256::new()),
            Algorithm::Sha512 => State::Sha512(Sha512::new()),
        })
    }

    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) -> &mut Self {
        match &mut self.0 {
            State::Sha256(state) => state.update(bytes),
            State::Sha512(state) => state.update(bytes),
        }
        self
    }

    /// The digest of all that was fed.
    pub fn finish(&self) -> Digest {
        let (algorithm, bytes) = match &self.0 {
            State::Sha256(state) => (Algorithm::Sha256, state.clone().finalize().to_vec()),
            State::Sha512(state) => (Algorithm::Sha512, state.clone().finalize().to_vec()),
        };
        let hex = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        Digest { algorithm, hex }
    }
}

/// Bytes that are not what their descriptor promised.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum Mismatch {
    /// The bytes end early or go on too long.
    #[error("blob {digest} is {seen} bytes, its manifest says {size}")]
    Size {
        /// The digest asked for.
        digest: Digest,
        /// The size promised.
        size: u64,
        /// The bytes seen when it became certain.
        seen: u64,
    },
    /// The size is right and the content is not.
    #[error("blob {expected} has the wrong content: its digest is {actual}")]
    Digest {
        /// The digest asked for.
        expected: Digest,
        /// The digest of what came.
        actual: Digest,
    },
}

/// Checks a stream of bytes against the digest and size of its descriptor.
#[derive(Clone)]
pub struct Verifier {
    expected: Digest,
    size: u64,
    seen: u64,
    hasher: Hasher,
}

impl Verifier {
    /// A verifier for the blob `expected` of `size` bytes.
    pub fn new(expected: &Digest, size: u64) -> Self {
        Self { expected: expected.clone(), size, seen: 0, hasher: Hasher::new(expected.algorithm()) }
    }

    /// Takes the next bytes; the first byte beyond the size is an error at once.
    pub fn update(&mut self, bytes: &[u8]) -> Result<(), Mismatch> {
        self.seen += bytes.len() as u64;
        if self.seen > self.size {
            return Err(self.wrong_size());
        }
        self.hasher.update(bytes);
        Ok(())
    }

    /// How many bytes were taken.
    pub const fn seen(&self) -> u64 {
        self.seen
    }

    /// Compares size and digest at the end of the stream.
    pub fn finish(self) -> Result<(), Mismatch> {
        if self.seen != self.size {
            return Err(self.wrong_size());
        }
        let actual = self.hasher.finish();
        if actual != self.expected {
            return Err(Mismatch::Digest { expected: self.expected, actual });
        }
        Ok(())
    }

    fn wrong_size(&self) -> Mismatch {
        Mismatch::Size { digest: self.expected.clone(), size: self.size, seen: self.seen }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HELLO: &str = "sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";

    #[test]
    fn only_lower_case_hex_of_the_right_length_is_a_digest() {
        let upper = HELLO.replace('c', "C");
        let cases = [
            (HELLO, true),
            (upper.as_str(), false),
            ("sha256:2cf2", false),
            ("sha256:../../../../../../../../../../../../../../../../../../etc/passwd0", false),
            ("blake3:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824", false),
            ("2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824", false),
            ("", false),
        ];
        for (text, valid) in cases {
            assert_eq!(text.parse::<Digest>().is_ok(), valid, "{text}");
        }
    }

    #[test]
    fn digests_agree_with_the_published_vectors() {
        assert_eq!(Digest::sha256(b"hello").to_string(), HELLO);
        let sha512 = Digest::of(Algorithm::Sha512, b"");
        assert!(
            sha512.to_string().starts_with("sha512:cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce")
        );
        assert_eq!(sha512.to_string().parse::<Digest>().unwrap(), sha512);
    }

    #[test]
    fn a_verifier_accepts_the_right_bytes_in_any_pieces() {
        let mut verifier = Verifier::new(&HELLO.parse().unwrap(), 5);
        verifier.update(b"he").unwrap();
        verifier.update(b"llo").unwrap();
        assert_eq!(verifier.seen(), 5);
        verifier.finish().unwrap();
    }

    #[test]
    fn a_verifier_refuses_wrong_short_and_long_content() {
        let digest: Digest = HELLO.parse().unwrap();
        let check = |bytes: &[u8]| {
            let mut verifier = Verifier::new(&digest, 5);
            verifier.update(bytes).and_then(|()| verifier.finish())
        };
        assert!(matches!(check(b"hellp"), Err(Mismatch::Digest { .. })));
        assert!(matches!(check(b"hell"), Err(Mismatch::Size { seen: 4, .. })));
        assert!(matches!(check(b"hello!"), Err(Mismatch::Size { seen: 6, .. })));
    }
}
