//! What the relay writes.

use std::sync::Arc;

use bytes::Bytes;
use rdkafka::message::OwnedHeaders;

pub(crate) mod adoption;
pub(crate) mod checkpoint;
pub(crate) mod checkpoint_error;
pub(crate) mod code;
pub(crate) mod headers;
pub(crate) mod partition;
pub(crate) mod previous;

/// A record to be written to Kafka.
#[derive(Debug)]
pub struct Record {
    /// The topic.
    pub topic: Arc<str>,
    /// The partition. Always chosen by the caller.
    pub partition: i32,
    /// The key.
    pub key: Bytes,
    /// The value.
    pub value: Bytes,
    /// The headers.
    pub headers: Option<OwnedHeaders>,
}
