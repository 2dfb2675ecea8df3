//! The text of an ingest's record: which bytes of the data file are believed after a crash.
//!
//! The first line names the format, the digest and the size; each further line is one range, `start end`. Lines are
//! appended, so that the last one may be torn: reading stops at the first line that is not whole.

use std::fmt::Write as _;
use std::ops::Range;

use crate::manifest::Descriptor;
use crate::ranges::Ranges;

/// The whole text for `blob`.
pub(super) fn to_text(ranges: &Ranges, blob: &Descriptor) -> String {
    header(blob) + &to_lines(ranges.iter())
}

/// Reads a record: nothing, if it is not about `blob`, and nothing beyond the `length` bytes the data file has.
pub(super) fn from_text(text: &str, blob: &Descriptor, length: u64) -> Ranges {
    let lines = text.strip_prefix(&header(blob)).unwrap_or_default();
    let whole = lines.split_inclusive('\n').map_while(|line| parse_line(line.strip_suffix('\n')?));
    let mut ranges: Ranges = whole.map(|range| range.start..range.end.min(blob.size)).collect();
    ranges.remove(&(length..u64::MAX));
    ranges
}

/// The lines for `ranges`.
pub(super) fn to_lines<'a>(ranges: impl IntoIterator<Item = &'a Range<u64>>) -> String {
    ranges.into_iter().fold(String::new(), |mut text, range| {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{} {}", range.start, range.end);
        text
    })
}

fn header(blob: &Descriptor) -> String {
    format!("artishim-ingest 1 {} {}\n", blob.digest, blob.size)
}

fn parse_line(line: &str) -> Option<Range<u64>> {
    let (start, end) = line.split_once(' ')?;
    let range = start.parse().ok()?..end.parse().ok()?;
    (range.start < range.end).then_some(range)
}

#[cfg(test)]
#[allow(clippy::single_range_in_vec_init, reason = "a list of one range is what is meant")]
mod tests {
    use super::*;
    use crate::digest::Digest;

    #[test]
    fn a_record_is_believed_up_to_its_first_line_that_is_not_whole() {
        let blob = Descriptor::new("", Digest::sha256(b"x"), 100);
        let head = header(&blob);
        let cases: [(String, u64, Vec<Range<u64>>); 10] = [
            (format!("{head}0 10\n20 30\n"), 100, vec![0..10, 20..30]),
            (format!("{head}0 10\n20 3"), 100, vec![0..10]),
            (format!("{head}0 10\n\0\0\0\0\n20 30\n"), 100, vec![0..10]),
            (format!("{head}0 10\n30 20\n"), 100, vec![0..10]),
            (format!("{head}0 10\n90 200\n"), 100, vec![0..10, 90..100]),
            (format!("{head}0 10\n20 30\n"), 25, vec![0..10, 20..25]),
            (format!("{head}0 10\n"), 0, vec![]),
            (format!("artishim-ingest 1 {} 99\n0 10\n", blob.digest), 100, vec![]),
            (format!("artishim-ingest 2 {} 100\n0 10\n", blob.digest), 100, vec![]),
            (String::new(), 100, vec![]),
        ];
        for (text, length, expected) in cases {
            assert_eq!(from_text(&text, &blob, length), expected.into_iter().collect(), "{text:?} {length}");
        }
        let some: Ranges = [2..4, 6..8].into_iter().collect();
        assert_eq!(from_text(&to_text(&some, &blob), &blob, 100), some);
    }

    #[test]
    fn a_record_torn_at_any_byte_claims_its_whole_lines_only() {
        let (blob, ranges) = (Descriptor::new("", Digest::sha256(b"x"), 30_000), [0..10, 20..35, 1000..25_000]);
        let text = header(&blob) + &to_lines(&ranges);
        for torn in 0..=text.len() {
            let lines = text[..torn].matches('\n').count();
            let expected: Ranges = ranges.iter().take(lines.saturating_sub(1)).cloned().collect();
            // A disk may have zeros where the rest was to be.
            for rest in ["", "\0", "\0\0\0\0\0\0\0\0"] {
                let seen = format!("{}{rest}", &text[..torn]);
                assert_eq!(from_text(&seen, &blob, blob.size), expected, "{seen:?}");
            }
        }
    }
}
