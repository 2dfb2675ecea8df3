//! Which bytes of a blob are there, in memory and as the text of an ingest's record.
//!
//! The record's first line names the format, the digest and the size; each further line is one range, `start end`.
//! Lines are appended, so that the last one may be torn: reading stops at the first line that is not whole.

use std::fmt::Write as _;
use std::ops::Range;

use crate::manifest::Descriptor;

/// Disjoint, ascending, never touching ranges of bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Ranges(Vec<Range<u64>>);

impl Ranges {
    /// Adds `range`.
    pub(super) fn insert(&mut self, range: &Range<u64>) {
        if range.is_empty() {
            return;
        }
        let mut merged = range.clone();
        self.0.retain(|other| {
            let apart = other.end < merged.start || merged.end < other.start;
            if !apart {
                merged = merged.start.min(other.start)..merged.end.max(other.end);
            }
            apart
        });
        let place = self.0.partition_point(|other| other.start < merged.start);
        self.0.insert(place, merged);
    }

    /// Takes `range` away.
    pub(super) fn remove(&mut self, range: &Range<u64>) {
        self.0 = self
            .0
            .iter()
            .flat_map(|other| {
                [other.start..other.end.min(range.start).max(other.start), other.start.max(range.end)..other.end]
            })
            .filter(|rest| rest.start < rest.end)
            .collect();
    }

    /// The parts of `within` that are not here.
    pub(super) fn gaps(&self, within: &Range<u64>) -> Vec<Range<u64>> {
        let mut gaps = Vec::new();
        let mut start = within.start;
        for range in self.0.iter().filter(|range| range.end > within.start && range.start < within.end) {
            if range.start > start {
                gaps.push(start..range.start);
            }
            start = range.end;
        }
        if start < within.end {
            gaps.push(start..within.end);
        }
        gaps
    }

    /// Where the bytes that follow `offset` without a gap end; `offset` itself if there is none.
    pub(super) fn end_after(&self, offset: u64) -> u64 {
        self.0.iter().find(|range| range.contains(&offset)).map_or(offset, |range| range.end)
    }

    /// The number of bytes.
    pub(super) fn total(&self) -> u64 {
        self.0.iter().map(|range| range.end - range.start).sum()
    }

    /// The ranges that are not in `other`.
    pub(super) fn without(&self, other: &Self) -> Vec<Range<u64>> {
        self.0.iter().flat_map(|range| other.gaps(range)).collect()
    }

    /// The whole text of a record for `blob`.
    pub(super) fn to_record(&self, blob: &Descriptor) -> String {
        header(blob) + &to_lines(&self.0)
    }

    /// Reads a record: nothing, if it is not about `blob`, and nothing beyond the `length` bytes the data file has.
    pub(super) fn from_record(text: &str, blob: &Descriptor, length: u64) -> Self {
        let mut ranges = Self::default();
        let lines = text.strip_prefix(&header(blob)).unwrap_or_default();
        let whole = lines.split_inclusive('\n').map_while(|line| parse_line(line.strip_suffix('\n')?));
        for range in whole {
            ranges.insert(&(range.start..range.end.min(blob.size)));
        }
        ranges.remove(&(length..u64::MAX));
        ranges
    }
}

/// The record's lines for `ranges`.
pub(super) fn to_lines(ranges: &[Range<u64>]) -> String {
    ranges.iter().fold(String::new(), |mut text, range| {
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

    fn ranges(list: &[Range<u64>]) -> Ranges {
        let mut ranges = Ranges::default();
        list.iter().for_each(|range| ranges.insert(range));
        ranges
    }

    #[test]
    fn ranges_that_touch_or_overlap_become_one() {
        let cases: [[&[Range<u64>]; 2]; 6] = [
            [&[0..5, 5..9], &[0..9]],
            [&[5..9, 0..5], &[0..9]],
            [&[0..5, 6..9], &[0..5, 6..9]],
            [&[0..5, 6..9, 4..7], &[0..9]],
            [&[2..3, 0..9], &[0..9]],
            [&[3..3], &[]],
        ];
        for [inserted, expected] in cases {
            assert_eq!(ranges(inserted).0, expected, "{inserted:?}");
        }
    }

    #[test]
    fn gaps_and_removal_are_the_complement() {
        let some = ranges(&[2..4, 6..8]);
        assert_eq!(some.gaps(&(0..10)), [0..2, 4..6, 8..10]);
        assert_eq!(some.gaps(&(3..7)), [4..6]);
        assert_eq!(some.gaps(&(2..4)), []);
        assert_eq!(some.end_after(2), 4);
        assert_eq!(some.end_after(4), 4);
        assert_eq!(some.total(), 4);
        assert_eq!(some.without(&ranges(&[3..7])), [2..3, 7..8]);
        for (removed, rest) in
            [(0..10, vec![]), (3..7, vec![2..3, 7..8]), (4..6, vec![2..4, 6..8]), (0..3, vec![3..4, 6..8])]
        {
            let mut left = some.clone();
            left.remove(&removed);
            assert_eq!(left.0, rest, "{removed:?}");
        }
    }

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
            assert_eq!(Ranges::from_record(&text, &blob, length).0, expected, "{text:?} {length}");
        }
        let some = ranges(&[2..4, 6..8]);
        assert_eq!(Ranges::from_record(&some.to_record(&blob), &blob, 100), some);
    }
}
