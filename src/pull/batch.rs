//! What is handed to a sink at once: pieces of an answer, put together where they are tiny.

use bytes::{Bytes, BytesMut};

use crate::registry;

/// Pieces smaller than this are put together; a registry could send each byte in a frame of its own.
const SMALL_PIECE: usize = 4096;
/// Some bytes of an answer, and how it ended if it has.
pub(super) struct Batch {
    pub offset: u64,
    pub length: u64,
    pub pieces: Vec<Bytes>,
    pub end: Option<Result<(), registry::Error>>,
}

impl Batch {
    /// Nothing yet, from `offset` on.
    pub const fn new(offset: u64) -> Self {
        Self { offset, length: 0, pieces: Vec::new(), end: None }
    }

    /// Adds what came next.
    pub fn push(&mut self, piece: Bytes) {
        self.length += piece.len() as u64;
        match self.pieces.last_mut() {
            Some(last) if last.len() < SMALL_PIECE && piece.len() < SMALL_PIECE => {
                let mut joined = BytesMut::from(std::mem::take(last));
                joined.extend_from_slice(&piece);
                *last = joined.freeze();
            }
            _ => self.pieces.push(piece),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_tiny_pieces_become_few_and_stay_in_order() {
        let bytes: Vec<u8> = (0..100_000_u32).map(|number| number.to_le_bytes()[0]).collect();
        let mut batch = Batch::new(0);
        bytes.chunks(1).for_each(|piece| batch.push(Bytes::copy_from_slice(piece)));
        assert_eq!((batch.pieces.concat(), batch.length), (bytes, 100_000));
        assert!(batch.pieces.len() <= 100_000 / SMALL_PIECE + 1, "{} pieces", batch.pieces.len());
    }
}
