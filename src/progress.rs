//! What a pull tells whoever watches it.

use crate::digest::Digest;
use crate::manifest::Descriptor;

/// Watches the blobs of a pull; called from several threads, so an implementation must not block for long.
pub trait Progress: Send + Sync {
    /// `blobs` blobs of `bytes` in all belong to the pull; each is started or skipped when its turn comes.
    fn planned(&self, blobs: usize, bytes: u64);
    /// So many connections bring bytes now, over all blobs.
    fn connections(&self, open: usize);
    /// A blob is about to be fetched; `present` bytes of it are here from an earlier try. Said again with less when
    /// what was here turns out to be of no use.
    fn started(&self, blob: &Descriptor, name: &str, present: u64);
    /// `bytes` more of a started blob arrived.
    fn advanced(&self, blob: &Digest, bytes: u64);
    /// All bytes of a started blob are here; what is left is to check them and to make them durable.
    fn verifying(&self, blob: &Digest);
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
    fn planned(&self, _: usize, _: u64) {}
    fn connections(&self, _: usize) {}
    fn started(&self, _: &Descriptor, _: &str, _: u64) {}
    fn advanced(&self, _: &Digest, _: u64) {}
    fn verifying(&self, _: &Digest) {}
    fn finished(&self, _: &Digest) {}
    fn skipped(&self, _: &Descriptor, _: &str) {}
    fn note(&self, _: &str) {}
}
