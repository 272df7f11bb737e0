//! How much librdkafka is given at once.

use std::collections::HashMap;
use std::sync::Arc;

use crate::record::Record;

/// Most bytes of the records of one request: librdkafka's default of `batch.size`, below Kafka's of `message.max.bytes`.
pub(crate) const BATCH_BYTES: usize = 1_000_000;

/// Most records of one request: librdkafka's default of `batch.num.messages`.
const BATCH_RECORDS: usize = 10_000;

/// More than Kafka's format adds to a record (36 bytes at most) and to a batch of records (61 bytes).
const FORMAT_BYTES: usize = 64;

/// What librdkafka was given for each partition and has not written yet. librdkafka gathers the records of a partition for one
/// request and sends it; what it is given beyond that waits until the request is acknowledged. It must not be
/// given more: the idempotent producer's limit of five requests in flight for a partition is compared with the number of
/// messages (librdkafka 2.12, `rktp_msgs_inflight`), so nothing is sent while a request of five messages is in flight, and as
/// long as messages wait whose linger is over, librdkafka's thread polls without sleeping.
pub(crate) struct OpenRequests {
    limit: usize,
    bytes: HashMap<(Arc<str>, i32), Request>,
}

#[derive(Default)]
struct Request {
    records: usize,
    bytes: usize,
}

impl OpenRequests {
    /// None yet. `largest_message` is the producer's `message.max.bytes`.
    pub(crate) fn new(largest_message: usize) -> Self {
        Self { limit: largest_message.min(BATCH_BYTES), bytes: HashMap::new() }
    }

    /// Adds a record to the request of its partition. `false` if it does not fit: then all must be written first. An empty
    /// request takes any record.
    #[must_use]
    pub(crate) fn add(&mut self, record: &Record) -> bool {
        let Record { topic, partition, key, value, headers } = record;
        let value = value.as_ref().map_or(0, |it| it.len());
        let bytes = key.len() + value + headers.bytes() + FORMAT_BYTES;
        let request = self.bytes.entry((Arc::clone(topic), *partition)).or_default();
        let fits = request.bytes + bytes + FORMAT_BYTES <= self.limit && request.records < BATCH_RECORDS;
        if request.records > 0 && !fits {
            return false;
        }
        request.records += 1;
        request.bytes += bytes;
        true
    }

    /// All were written.
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::record::header_block::HeaderBlock;

    fn record(partition: i32, value: usize) -> Record {
        Record {
            topic: "orders".into(),
            partition,
            key: Bytes::from_static(b"order-7"),
            value: Some(vec![0; value].into()),
            headers: HeaderBlock::of([("ce_id", &b"7"[..])]),
        }
    }

    #[test]
    fn a_partition_is_given_one_request() {
        let mut requests = OpenRequests::new(1_004_096);
        let added = std::iter::repeat_with(|| requests.add(&record(0, 900))).take_while(|it| *it).count();
        assert!((990..=1_030).contains(&added), "{added} records of about 1,000 bytes");
        assert!(requests.add(&record(1, 900)), "another partition has a request of its own");
        requests.clear();
        assert!(requests.add(&record(0, 900)));
    }

    #[test]
    fn a_request_has_at_most_as_many_records_as_librdkafka_sends() {
        let mut requests = OpenRequests::new(usize::MAX);
        let added = std::iter::repeat_with(|| requests.add(&record(0, 0))).take_while(|it| *it).count();
        assert_eq!(added, BATCH_RECORDS);
    }

    #[test]
    fn the_largest_record_has_a_request_of_its_own() {
        let mut requests = OpenRequests::new(2_000);
        assert!(requests.add(&record(0, 10_000)));
        assert!(!requests.add(&record(0, 1)));
    }
}
