//! The records that the relay writes.

use std::sync::Arc;

use bytes::Bytes;

use crate::record::header_block::HeaderBlock;

pub(crate) mod adoption;
pub(crate) mod batch_number;
pub(crate) mod checkpoint;
pub(crate) mod checkpoint_check;
pub(crate) mod checkpoint_error;
pub(crate) mod code;
pub(crate) mod decimal;
pub(crate) mod exception;
pub(crate) mod header_block;
pub(crate) mod headers;
pub(crate) mod parked;
pub(crate) mod partition;
pub(crate) mod reference;
pub(crate) mod request;
pub(crate) mod unreadable;

/// A record to be written to Kafka.
#[derive(Debug)]
pub struct Record {
    /// The topic.
    pub topic: Arc<str>,
    /// The partition. Always chosen by the caller.
    pub partition: i32,
    /// The key.
    pub key: Bytes,
    /// The value; `None` is a tombstone, which removes what a compacted topic has under the key.
    pub value: Option<Bytes>,
    /// The headers.
    pub headers: HeaderBlock,
}

impl Record {
    /// Removes what a compacted topic has under the key.
    pub(crate) fn tombstone(topic: &Arc<str>, lane: u32, key: Bytes) -> Self {
        Self {
            topic: Arc::clone(topic),
            partition: lane as i32,
            key,
            value: None,
            headers: HeaderBlock::default(),
        }
    }
}
