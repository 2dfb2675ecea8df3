//! What a pull tells whoever watches it.

use crate::digest::Digest;
use crate::manifest::Descriptor;

/// Watches the blobs of a pull; called from several threads, so an implementation must not block for long.
pub trait Progress: Send + Sync {
    /// A blob is about to be fetched; `present` bytes of it are here from an earlier try.
    fn started(&self, blob: &Descriptor, name: &str, present: u64);
    /// `bytes` more of a started blob arrived.
    fn advanced(&self, blob: &Digest, bytes: u64);
    /// A started blob is complete, verified and visible.
    fn finished(&self, blob: &Digest);
    /// A blob was here already and is not fetched.
    fn skipped(&self, blob: &Descriptor, name: &str);
    /// Something the user should know that is no error, in one line.
    fn note(&self, text: &str);
}

/// Watches nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Progress for Silent {
    fn started(&self, _: &Descriptor, _: &str, _: u64) {}
    fn advanced(&self, _: &Digest, _: u64) {}
    fn finished(&self, _: &Digest) {}
    fn skipped(&self, _: &Descriptor, _: &str) {}
    fn note(&self, _: &str) {}
}
