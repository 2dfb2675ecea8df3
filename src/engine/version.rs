//! Versions of engines and of their API.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

/// A version as an engine prints it; compared by its first three numbers only.
///
/// Distributions and builds append to them (`20.10.24+dfsg1`, `5.9.0-dev`), and an engine that calls itself
/// `5.7.0-rc1` has what 5.7.0 has.
#[derive(Clone, Debug)]
pub struct Version {
    numbers: [u64; 3],
    text: String,
}

/// A text that does not begin with a number.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0:?} is not a version")]
pub struct ParseError(String);

impl Version {
    /// The version of these numbers.
    pub fn new(major: u64, minor: u64, patch: u64) -> Self {
        Self { numbers: [major, minor, patch], text: format!("{major}.{minor}.{patch}") }
    }

    /// Whether this is `major.minor` or newer.
    pub fn is_at_least(&self, major: u64, minor: u64) -> bool {
        self.numbers >= [major, minor, 0]
    }
}

impl FromStr for Version {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let text = text.trim().trim_start_matches('v');
        let mut numbers = [0; 3];
        for (index, part) in text.splitn(3, '.').enumerate() {
            let digits = part.split(|character: char| !character.is_ascii_digit()).next().unwrap_or_default();
            match digits.parse() {
                Ok(number) => numbers[index] = number,
                Err(_) if index > 0 => break,
                Err(_) => return Err(ParseError(text.to_owned())),
            }
        }
        Ok(Self { numbers, text: text.to_owned() })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl PartialEq for Version {
    fn eq(&self, other: &Self) -> bool {
        self.numbers == other.numbers
    }
}

impl Eq for Version {}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        self.numbers.cmp(&other.numbers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_real_engines_parse() {
        let cases = [
            ("4.3.1", [4, 3, 1]),
            ("5.8.6", [5, 8, 6]),
            ("20.10.24+dfsg1", [20, 10, 24]),
            ("5.9.0-dev", [5, 9, 0]),
            ("5.7.0-rc1", [5, 7, 0]),
            ("1.41", [1, 41, 0]),
            ("v28.5.2\n", [28, 5, 2]),
            ("29.0.0-rc.1", [29, 0, 0]),
            ("27", [27, 0, 0]),
        ];
        for (text, numbers) in cases {
            assert_eq!(text.parse::<Version>().map(|version| version.numbers), Ok(numbers), "{text}");
        }
        assert!("".parse::<Version>().is_err());
        assert!("dev".parse::<Version>().is_err());
    }

    #[test]
    fn numbers_are_compared_as_numbers() {
        assert!("1.9".parse::<Version>().expect("parses") < "1.45".parse().expect("parses"));
        assert!(Version::new(5, 7, 0).is_at_least(5, 7));
        assert!(Version::new(5, 10, 0).is_at_least(5, 7));
        assert!(!Version::new(5, 6, 2).is_at_least(5, 7));
        assert!(!Version::new(4, 9, 0).is_at_least(5, 7));
    }

    #[test]
    fn a_version_is_shown_as_it_was_printed() {
        assert_eq!("20.10.24+dfsg1".parse::<Version>().map(|version| version.to_string()), Ok("20.10.24+dfsg1".into()));
    }
}
