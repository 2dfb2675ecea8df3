//! How a pull goes about it.

use std::time::Duration;

use crate::registry::Patience;

/// What a pull may take, and how long it bears with a registry. The defaults are measured (contrib/bench/pull).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The most connections at once, over all blobs.
    pub connections: usize,
    /// The most bytes one request asks for, while there are more connections than blobs.
    pub chunk: u64,
    /// How many bytes are written before they are noted as here, for whoever goes on after a crash; some are noted each
    /// second, too. Noting makes the disk begin with them.
    pub note: u64,
    /// How far requests may be ahead of the reader of a blob that is not staged: the most memory it takes.
    pub window: u64,
    /// How long a connection may bring nothing before its bytes are asked for again.
    pub stall: Duration,
    /// The wait after a failure; twice as long after each further one without a byte between. This and the next are by
    /// default what a manifest is waited for, too.
    pub pause: Duration,
    /// How many failures without a byte between end the pull.
    pub failures: u32,
}

impl Default for Settings {
    fn default() -> Self {
        let Patience { pause, failures } = Patience::default();
        Self {
            connections: 24,
            chunk: 16 * 1024 * 1024,
            note: 16 * 1024 * 1024,
            window: 64 * 1024 * 1024,
            stall: Duration::from_secs(15),
            pause,
            failures,
        }
    }
}
