//! Disjoint ranges of bytes: which parts of a blob are there.

use std::ops::Range;

/// Disjoint, ascending, never touching ranges of bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ranges(Vec<Range<u64>>);

impl Ranges {
    /// The first range, if there is one.
    pub(crate) fn first(&self) -> Option<Range<u64>> {
        self.0.first().cloned()
    }

    /// The ranges, ascending.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Range<u64>> {
        self.0.iter()
    }

    /// Adds `range`.
    pub(crate) fn insert(&mut self, range: &Range<u64>) {
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
    pub(crate) fn remove(&mut self, range: &Range<u64>) {
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
    pub(crate) fn gaps(&self, within: &Range<u64>) -> Vec<Range<u64>> {
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
    pub(crate) fn end_after(&self, offset: u64) -> u64 {
        self.0.iter().find(|range| range.contains(&offset)).map_or(offset, |range| range.end)
    }

    /// The number of bytes.
    pub(crate) fn total(&self) -> u64 {
        self.0.iter().map(|range| range.end - range.start).sum()
    }

    /// The ranges that are not in `other`.
    pub(crate) fn without(&self, other: &Self) -> Vec<Range<u64>> {
        self.0.iter().flat_map(|range| other.gaps(range)).collect()
    }
}

impl FromIterator<Range<u64>> for Ranges {
    fn from_iter<I: IntoIterator<Item = Range<u64>>>(ranges: I) -> Self {
        let mut all = Self::default();
        ranges.into_iter().for_each(|range| all.insert(&range));
        all
    }
}

#[cfg(test)]
#[allow(clippy::single_range_in_vec_init, reason = "a list of one range is what is meant")]
mod tests {
    use super::*;

    fn ranges(list: &[Range<u64>]) -> Ranges {
        list.iter().cloned().collect()
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
}
