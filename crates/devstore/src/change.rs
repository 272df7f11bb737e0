//! Changes of the log, and their results.

use std::sync::Arc;

use bytes::Bytes;
use uuid::Uuid;

/// An event to be appended.
#[derive(Debug, Clone)]
pub(crate) struct NewEvent {
    pub(crate) id: Uuid,
    pub(crate) kind: Arc<str>,
    pub(crate) is_json: bool,
    pub(crate) custom_metadata: Bytes,
    pub(crate) data: Bytes,
}

#[derive(Debug)]
pub(crate) enum Change {
    Append(Vec<NewEvent>),
    /// Soft: the next append reopens the stream.
    Delete,
    Tombstone,
}

/// The result of a change that was made, now or before.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Written {
    /// The revision of the last event of the request, or of the stream if the request had none.
    pub(crate) revision: Option<u64>,
    /// Missing for a duplicate append of events that can no longer be read.
    pub(crate) position: Option<u64>,
}

/// Why a change was refused.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refused {
    #[error("the stream is not at the expected revision")]
    WrongVersion { current: Option<u64> },
    #[error("the stream is deleted")]
    Deleted,
    #[error("the event log cannot be written, see the server's log")]
    Storage,
    #[error("the server is shutting down")]
    Closed,
}
