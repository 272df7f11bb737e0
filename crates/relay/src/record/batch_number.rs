//! The number of the batch to which a record of an exception or a parked event belongs.

use aqueduct_kafka::raw_headers;
use rdkafka::message::{Message as _, OwnedMessage};

use crate::record::Record;

/// Name of the header; its value is the number as text.
const HEADER: &str = "batch";

pub(crate) fn set(record: &mut Record, number: u64) {
    let number = number.to_string();
    record.headers = record.headers.with(HEADER, number.as_bytes());
}

/// The number of the batch; `None` for a record of a relay that did not count them, or of another producer.
pub(crate) fn get(record: &OwnedMessage) -> Option<u64> {
    let mut headers = raw_headers(record.headers()?.as_borrowed());
    let number = headers.find(|it| it.name == HEADER.as_bytes())?.value?;
    str::from_utf8(number).ok()?.parse().ok()
}
