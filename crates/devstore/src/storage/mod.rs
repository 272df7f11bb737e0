//! Where events are kept: a log ordered by position and an index of streams.
//!
//! Both kinds of storage behave alike, except that one forgets. Whoever reads sees only what was
//! committed: an event that was not yet made durable cannot be handed out and then vanish.

mod durable;
mod memory;

use std::{path::PathBuf, sync::Arc};

pub(crate) use durable::Durable;
pub(crate) use memory::Memory;

use crate::event::{DecodeError, Record};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    Forwards,
    Backwards,
}

/// A log of events with an index by stream.
///
/// One thread writes, any number read at the same time.
pub(crate) trait Store: Send + Sync + 'static {
    /// Appends all of `records` or none, in the order given. When it returns they are durable, as far
    /// as this storage is, and visible to readers. After an error nothing more must be committed:
    /// whether the records are on disk is unknown.
    fn commit(&self, records: &[Arc<Record>]) -> Result<(), StorageError>;

    /// Events at positions in `from..to`, at most `limit`.
    fn all(
        &self,
        from: u64,
        to: u64,
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<Arc<Record>>, StorageError>;

    /// Events of one stream at revisions in `first..=last`, at most `limit`. Without regard to metadata.
    fn stream(
        &self,
        stream: &str,
        first: u64,
        last: u64,
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<Arc<Record>>, StorageError>;

    /// The revision of the last event; a tombstone has [`crate::event::TOMBSTONE_REVISION`].
    fn last_revision(&self, stream: &str) -> Result<Option<u64>, StorageError>;

    /// The position after the last event.
    fn end(&self) -> u64;
}

/// The storage could not read or write.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StorageError {
    #[error("event log in {path}: another process uses it, end that one or choose another folder")]
    InUse { path: PathBuf },
    #[error("event log in {path}: {doing}")]
    Engine { path: PathBuf, doing: &'static str, source: fjall::Error },
    #[error("event log in {path}, position {position}")]
    Record { path: PathBuf, position: u64, source: DecodeError },
    #[error("event log in {path}: {what}, it was written by something else or is damaged")]
    Damaged { path: PathBuf, what: String },
}

#[cfg(test)]
mod tests;
