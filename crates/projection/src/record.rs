//! A record from Kafka and what is read from it.

pub(crate) mod decode;
pub(crate) mod envelope;
pub(crate) mod headers;
mod known_header;
pub(crate) mod partition;
pub(crate) mod read_envelope;

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use rdkafka::Message as _;
use rdkafka::message::BorrowedMessage;

use crate::record::headers::Headers;

/// One record, with the epoch under which its partition was owned when it was read.
#[derive(Debug, Clone)]
pub struct Record {
    /// Topic of the record.
    pub topic: Arc<str>,
    /// Partition of the topic.
    pub partition: i32,
    /// Offset in the partition.
    pub offset: i64,
    /// Epoch of the partition's ownership, see [`BatchProcessor::claim`](crate::BatchProcessor::claim).
    pub epoch: i64,
    /// Key: the stream's name.
    pub key: Option<Bytes>,
    /// Value.
    pub payload: Option<Bytes>,
    /// Headers.
    pub headers: Headers,
}

impl Record {
    pub(crate) fn copy(message: &BorrowedMessage<'_>, topic: &Arc<str>, epoch: i64) -> Self {
        Self {
            topic: Arc::clone(topic),
            partition: message.partition(),
            offset: message.offset(),
            epoch,
            key: message.key().map(Bytes::copy_from_slice),
            payload: message.payload().map(Bytes::copy_from_slice),
            headers: Headers::copy(message.headers()),
        }
    }
}

/// `shop.orders/2@17`: topic, partition and offset.
impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}@{}", self.topic, self.partition, self.offset)
    }
}
