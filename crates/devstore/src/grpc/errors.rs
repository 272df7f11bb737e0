//! Errors in EventStoreDB's form: a status and trailers; the trailer `exception` names the kind.

use tonic::{
    Code, Status,
    metadata::{MetadataMap, MetadataValue},
};

use crate::change::Refused;
use crate::expected::Expected;
use crate::storage::StorageError;

/// Largest append in bytes, as up to EventStoreDB 24.10.
pub(super) const MAX_APPEND_BYTES: usize = 1 << 20;

pub(super) fn invalid(message: impl Into<String>) -> Status {
    Status::invalid_argument(message)
}

pub(super) fn stream_deleted(stream: &str) -> Status {
    known(
        Code::FailedPrecondition,
        format!("event stream '{stream}' is deleted"),
        &[("exception", "stream-deleted"), ("stream-name", stream)],
    )
}

pub(super) fn wrong_expected_version(stream: &str, expected: Expected, current: Option<u64>) -> Status {
    let expected = expected.as_number().to_string();
    let actual = current.and_then(|revision| i64::try_from(revision).ok()).unwrap_or(-1).to_string();
    known(
        Code::FailedPrecondition,
        format!("stream '{stream}' is at revision {actual}, expected was {expected}"),
        &[
            ("exception", "wrong-expected-version"),
            ("stream-name", stream),
            ("expected-version", &expected),
            ("actual-version", &actual),
        ],
    )
}

pub(super) fn append_too_large() -> Status {
    known(
        Code::InvalidArgument,
        format!("the events of one append hold more than {MAX_APPEND_BYTES} bytes of data"),
        &[
            ("exception", "maximum-append-size-exceeded"),
            ("maximum-append-size", &MAX_APPEND_BYTES.to_string()),
        ],
    )
}

pub(super) fn missing_metadata(key: &str) -> Status {
    known(
        Code::InvalidArgument,
        format!("an event lacks the required metadata '{key}'"),
        &[
            ("exception", "missing-required-metadata-property"),
            ("required-metadata-properties", "type,content-type"),
        ],
    )
}

pub(super) fn shutting_down() -> Status {
    Status::unavailable("the server is shutting down")
}

/// The end of a subscription whose client does not take its live events. In the words of EventStoreDB 23.10: clients
/// compare them.
pub(super) fn consumer_too_slow(is_live: bool) -> Status {
    let state = if is_live { "while live" } else { "while transitioning to live" };
    Status::aborted(format!("Consumer too slow to handle event {state}"))
}

/// A refusal that has no response message of its own.
pub(super) fn refused(stream: &str, expected: Expected, refused: Refused) -> Status {
    match refused {
        Refused::WrongVersion { current } => wrong_expected_version(stream, expected, current),
        Refused::Deleted => stream_deleted(stream),
        Refused::Storage => Status::internal(Refused::Storage.to_string()),
        Refused::Closed => shutting_down(),
    }
}

/// The log cannot be read. The reason is logged, not sent to the client.
pub(super) fn unreadable(error: StorageError) -> Status {
    tracing::error!(error = &error as &dyn std::error::Error, "read failed");
    Status::internal("the event log cannot be read, see the server's log")
}

fn known(code: Code, message: String, trailers: &[(&'static str, &str)]) -> Status {
    let mut metadata = MetadataMap::new();
    for (key, value) in trailers {
        // A name with characters that no header may hold is in the message only.
        if let Ok(value) = MetadataValue::try_from(*value) {
            metadata.insert(*key, value);
        }
    }
    Status::with_metadata(code, message, metadata)
}
