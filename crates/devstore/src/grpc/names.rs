//! Stream names and ids between the wire and the log.

use std::sync::Arc;

use ::uuid::Uuid;
use bytes::Bytes;
use tonic::Status;

use super::{
    errors::invalid,
    proto::event_store::client::{StreamIdentifier, Uuid as WireId, uuid},
};

/// Names are keys on disk; the real server has no stated limit, and nobody comes near this one.
const MAX_NAME_BYTES: usize = 32_000;

pub(super) fn stream_name(identifier: Option<StreamIdentifier>) -> Result<Arc<str>, Status> {
    let bytes = identifier.ok_or_else(|| invalid("the request names no stream"))?.stream_name;
    let name = std::str::from_utf8(&bytes).map_err(|_| invalid("the stream's name is not UTF-8"))?;
    match name.len() {
        0 => Err(invalid("the stream's name is empty")),
        1..=MAX_NAME_BYTES => Ok(name.into()),
        length => Err(invalid(format!("the stream's name has {length} bytes, {MAX_NAME_BYTES} are allowed"))),
    }
}

pub(super) fn identifier(stream: &str) -> StreamIdentifier {
    StreamIdentifier { stream_name: Bytes::copy_from_slice(stream.as_bytes()) }
}

pub(super) fn event_id(id: Option<WireId>) -> Result<Uuid, Status> {
    let value = id.and_then(|id| id.value).ok_or_else(|| invalid("an event has no id"))?;
    let id = match value {
        uuid::Value::String(text) => {
            Uuid::try_parse(&text).map_err(|_| invalid(format!("the event id '{text}' is no UUID")))?
        }
        uuid::Value::Structured(halves) => {
            Uuid::from_u64_pair(halves.most_significant_bits as u64, halves.least_significant_bits as u64)
        }
    };
    if id.is_nil() { Err(invalid("an event has the nil UUID as its id")) } else { Ok(id) }
}

/// How a reader wants its ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum IdFormat {
    String,
    Structured,
}

pub(super) fn wire_id(id: Uuid, format: IdFormat) -> WireId {
    let value = match format {
        IdFormat::String => uuid::Value::String(id.to_string()),
        IdFormat::Structured => {
            let (most, least) = id.as_u64_pair();
            uuid::Value::Structured(uuid::Structured {
                most_significant_bits: most as i64,
                least_significant_bits: least as i64,
            })
        }
    };
    WireId { value: Some(value) }
}
