//! How the server is to run.

use std::path::PathBuf;

/// Where events are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Storage {
    /// In memory: gone when the server ends.
    InMemory,
    /// On disk, in this folder, which is made if it is missing. Every append is on disk (fdatasync)
    /// before it is acknowledged. One process at a time.
    Durable(PathBuf),
}

/// How the server is to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Where events are kept.
    pub data: Storage,
    /// Whether TCP_NODELAY is set on accepted connections. On by default. Off is what the real server
    /// does: with a client that leaves it off too, each request then waits for a delayed acknowledgement,
    /// about 40 ms. Measurements of a client's own cure need it off.
    pub nodelay: bool,
    /// Whether a subscription whose client does not take its live events is ended with status ABORTED, as the real
    /// server does. On by default. It is ended when more than 32 events wait that the transport did not accept.
    pub cut_off_slow_consumers: bool,
}

impl Options {
    /// In memory, with the defaults.
    #[must_use]
    pub fn in_memory() -> Self {
        Self { data: Storage::InMemory, nodelay: true, cut_off_slow_consumers: true }
    }

    /// On disk in `folder`, with the defaults.
    #[must_use]
    pub fn durable(folder: impl Into<PathBuf>) -> Self {
        Self { data: Storage::Durable(folder.into()), ..Self::in_memory() }
    }
}
