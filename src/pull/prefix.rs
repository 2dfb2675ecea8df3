//! The first bytes of a blob, from the store where it lies there and else by one ranged request.
//!
//! They tell what a file is before anything is pulled. A digest is of a whole blob, so they are verified by nothing:
//! they are for display and for choosing, never for use.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use super::{Result, Session};
use crate::manifest::Descriptor;
use crate::reference::Reference;

impl Session {
    /// The first `length` bytes of a blob, or all of them where it has fewer; for display only, as they
    /// are not verified.
    ///
    /// Memory is bounded by `length`, also where the registry ignores the range and sends everything. Failures are
    /// borne with as in a pull.
    pub async fn prefix(&self, reference: &Reference, blob: &Descriptor, length: u64) -> Result<Bytes> {
        self.range(reference, blob, 0..length).await
    }

    /// The same for the bytes in `range`, as far as the blob has them: the continuation of a prefix.
    pub async fn range(&self, reference: &Reference, blob: &Descriptor, range: Range<u64>) -> Result<Bytes> {
        if self.store.has_blob(blob)? {
            return Ok(self.store.read_part(blob, range)?.into());
        }
        let range = range.start.min(blob.size)..range.end.min(blob.size);
        if range.is_empty() {
            return Ok(Bytes::new());
        }
        let mut session = self.clone();
        // One request brings it all.
        session.settings.connections = 1;
        session.read_range(Arc::new(session.client.source(reference, blob)), range).await
    }
}
