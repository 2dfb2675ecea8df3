//! Bytes that lie one behind the other in a file and in several pieces in memory.

use std::fs::File;
use std::io::{self, IoSlice};
use std::ops::Range;

/// How many slices one call writes: Linux's limit.
const MAX_SLICES: usize = 1024;

/// The part in `range` of `pieces`, which lie one behind the other from `offset` on.
pub(super) fn slices<'a>(pieces: &'a [impl AsRef<[u8]>], offset: u64, range: &Range<u64>) -> Vec<IoSlice<'a>> {
    let mut start = offset;
    let mut slices = Vec::with_capacity(pieces.len());
    for piece in pieces.iter().map(AsRef::as_ref) {
        let index = |position: u64| {
            usize::try_from(position.saturating_sub(start)).map_or(piece.len(), |at| at.min(piece.len()))
        };
        let slice = &piece[index(range.start)..index(range.end)];
        if !slice.is_empty() {
            slices.push(IoSlice::new(slice));
        }
        start += piece.len() as u64;
    }
    slices
}

/// Writes all slices with as few calls as the system allows; small writes cost several times the processor time.
pub(super) fn write_all_at(file: &File, mut offset: u64, mut slices: Vec<IoSlice<'_>>) -> io::Result<()> {
    let mut rest = slices.as_mut_slice();
    while !rest.is_empty() {
        let count = rest.len().min(MAX_SLICES);
        let written = rustix::io::retry_on_intr(|| rustix::io::pwritev(file, &rest[..count], offset))?;
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        offset += written as u64;
        IoSlice::advance_slices(&mut rest, written);
    }
    Ok(())
}
