//! A record as it came from Kafka.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use rdkafka::Message as _;
use rdkafka::message::BorrowedMessage;

use crate::Headers;

/// One record, with the epoch under which its partition was owned when it was read.
#[derive(Debug, Clone)]
pub struct Record {
    /// Topic it stands in.
    pub topic: Arc<str>,
    /// Partition it stands in.
    pub partition: i32,
    /// Its offset there.
    pub offset: i64,
    /// Epoch of the ownership, see [`Batches::claim`](crate::Batches::claim).
    pub epoch: i64,
    /// Its key: the stream.
    pub key: Option<Bytes>,
    /// Its value.
    pub payload: Option<Bytes>,
    /// Its headers.
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

/// `shop.orders/2@17`: where an operator finds it.
impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}@{}", self.topic, self.partition, self.offset)
    }
}
