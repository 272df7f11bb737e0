//! A transactional producer that commits batches.

use std::sync::Arc;
use std::time::{Duration, Instant};

use aqueduct_kafka::{Cluster, FirstFailure, create_client, send_now};
use bytes::Bytes;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _, PurgeConfig};

use crate::kafka::config;
use crate::kafka::open_requests::OpenRequests;
use crate::options::Options;
use crate::record::Record;
use crate::record::header_block::HeaderBlock;

/// Poll interval for delivery reports. [`BaseProducer::poll`] with a timeout waits to its end,
/// whatever arrives (and `commit_transaction` does so with 100 ms, if anything is left to deliver).
const PAUSE: Duration = Duration::from_micros(100);

/// When to tell librdkafka again to send: a thread of it may not have run while it was told, and a partition that is new in the
/// transaction may not have been added to it yet.
const SEND_AGAIN: Duration = Duration::from_millis(3);

/// Pause after a commit before the next transaction. The broker answers a commit before its markers are
/// written; a transaction that begins in between is refused, and librdkafka then waits 20 ms. (Back to back,
/// transactions of 1,000 records took 10.9 ms each without the pause and 7.9 ms with it.)
const SETTLE: Duration = Duration::from_millis(1);

/// An abort only spares the readers a wait: the next owner of the transactional id aborts too.
const ABORT_TIMEOUT: Duration = Duration::from_secs(5);

/// Key of the records that are written only to be aborted.
pub(crate) const ABORTED_KEY: &[u8] = b"aborted";

/// Longest wait for a topic's metadata before transactions are initialized.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// A transactional producer. Its calls block: it lives on a thread of its own. One transaction at a time is
/// written, wholly or not at all.
///
/// After an error the producer must be dropped. A new one with the same transactional id aborts what was left
/// open and fences the old one, and its owner reads the checkpoint back. This is correct whatever the outcome of the
/// failed transaction was, and the only correct way if the outcome of a commit is unknown.
///
/// Losing all brokers is such an error as well, even between transactions: a broker that returns may have lost the end
/// marker of a committed transaction, and only a new producer checks for that.
pub struct TransactionalProducer {
    producer: BaseProducer<FirstFailure>,
    /// Longest wait for a commit.
    timeout: Duration,
    largest_message: usize,
    failure: FirstFailure,
    next_begin_at: Instant,
}

/// A transaction that was not written, or, where [`step`](Self::step) is `commit`, may have been.
#[derive(Debug, thiserror::Error)]
#[error("kafka transaction: {step} failed")]
pub struct TransactionError {
    /// What was being done: `create`, `init`, `begin`, `send`, `deliver`, `commit`, `abort`, `wait`.
    pub step: &'static str,
    /// Whether another producer with the same transactional id has taken over.
    pub fenced: bool,
    /// librdkafka's error.
    #[source]
    pub source: KafkaError,
}

fn is_fencing(code: RDKafkaErrorCode) -> bool {
    use RDKafkaErrorCode::{Fenced, InvalidProducerEpoch, ProducerFenced};
    matches!(code, Fenced | ProducerFenced | InvalidProducerEpoch)
}

impl TransactionalProducer {
    /// Connects, fences every earlier producer with this transactional id and waits until its open transaction
    /// is aborted, or its prepared commit is complete. What is read under read_committed from now on is final.
    ///
    /// `topics` are those that it will write.
    pub fn open(
        cluster: &Cluster,
        options: &Options,
        transactional_id: &str,
        topics: &[&str],
    ) -> Result<Self, TransactionError> {
        let settings = config::producer(cluster, options, transactional_id);
        let (timeout, largest_message) = (options.transaction_timeout(), options.largest_message());
        let failure = FirstFailure::of_deliveries().or_brokers();
        let producer = create_client(&settings, failure.clone()).map_err(|source| TransactionError {
            step: "create",
            fenced: false,
            source,
        })?;
        let producer = Self { producer, timeout, largest_message, failure, next_begin_at: Instant::now() };
        producer.connect(topics);
        producer.producer.init_transactions(timeout).map_err(|source| producer.error("init", source))?;
        producer.drain_delivery_reports();
        let _before_connecting = producer.failure.take();
        Ok(producer)
    }

    /// Fetches what the first transaction needs to know of the topics it writes. Without a connection that it keeps,
    /// librdkafka looks for the transaction's coordinator again only after 500 ms. The connection of the first request is
    /// not kept: it only serves to learn the names of the brokers. The second request's is.
    fn connect(&self, topics: &[&str]) {
        for topic in topics {
            if let Err(error) = self.producer.client().fetch_metadata(Some(topic), CONNECT_TIMEOUT) {
                // `init_transactions` waits for brokers, and reports what is wrong.
                tracing::debug!(%error, topic, "connecting the producer failed");
            }
        }
    }

    /// Checks whether the brokers are still reachable. Call it at intervals while there is nothing to write.
    pub fn check(&self) -> Result<(), TransactionError> {
        self.drain_delivery_reports();
        self.failure.take().map_or(Ok(()), |source| Err(self.error("wait", source)))
    }

    /// Polls until no delivery report is outstanding. A poll handles one event, for example a line of the log.
    fn drain_delivery_reports(&self) {
        let deadline = Instant::now() + ABORT_TIMEOUT;
        while self.producer.in_flight_count() > 0 && Instant::now() < deadline {
            self.producer.poll(Duration::ZERO);
        }
    }

    /// Aborts what earlier transactions of this transactional id left open in these partitions although the
    /// coordinator believes them ended. A coordinator that finds a partition without a leader while it ends a
    /// transaction treats it as deleted and skips its marker ("likely deleted already and hence can be
    /// skipped"; seen with Kafka 4.3 after the only broker was killed and took longer than its session
    /// timeout to come back). A marker ends whatever the producer id has open in the partition, so a
    /// transaction of one record per partition, aborted, ends it.
    pub(crate) fn abort_hanging(
        &mut self,
        partitions: &[(Arc<str>, i32)],
        timeout: Duration,
    ) -> Result<(), TransactionError> {
        let records = partitions.iter().map(|(topic, partition)| Record {
            topic: Arc::clone(topic),
            partition: *partition,
            key: Bytes::from_static(ABORTED_KEY),
            value: Some(Bytes::new()),
            headers: HeaderBlock::default(),
        });
        self.begin()?;
        // Only a partition whose record has arrived gets a marker.
        self.deliver(records).map_err(|(step, source)| self.error(step, source))?;
        self.producer.abort_transaction(timeout).map_err(|source| self.error("abort", source))?;
        self.next_begin_at = Instant::now() + SETTLE;
        Ok(())
    }

    /// Writes all records in one transaction, each partition's in the order given. `Ok` means committed: a
    /// read_committed reader sees all of them, now and after any fault of this process. After an error see
    /// [`TransactionalProducer`].
    pub fn commit_batch(
        &mut self,
        records: impl IntoIterator<Item = Record>,
    ) -> Result<(), TransactionError> {
        self.begin()?;
        if let Err((step, source)) = self.deliver(records) {
            let source = self.root_cause(source);
            // An abort waits for what is in flight, for as long as no broker answers.
            self.producer.purge(PurgeConfig::default().queue().inflight());
            self.drain_delivery_reports();
            if let Err(error) = self.producer.abort_transaction(ABORT_TIMEOUT) {
                tracing::debug!(%error, "abort failed, the next producer will abort the transaction");
            }
            // Only now: it may be the abort that finds out that this producer is fenced.
            return Err(self.error(step, source));
        }
        // Nothing else bounds it: librdkafka asks for the commit again as long as the answer is one that may
        // pass. What went through all the same is found by the next producer.
        self.producer.commit_transaction(self.timeout).map_err(|source| self.error("commit", source))?;
        self.next_begin_at = Instant::now() + SETTLE;
        Ok(())
    }

    fn begin(&self) -> Result<(), TransactionError> {
        self.check()?;
        std::thread::sleep(self.next_begin_at.saturating_duration_since(Instant::now()));
        self.producer.begin_transaction().map_err(|source| self.error("begin", source))
    }

    fn deliver(&self, records: impl IntoIterator<Item = Record>) -> Result<(), (&'static str, KafkaError)> {
        let mut requests = OpenRequests::new(self.largest_message);
        for record in records {
            if !requests.add(&record) {
                self.wait_until_written()?;
                requests.clear();
                let _first = requests.add(&record);
            }
            self.send(record)?;
        }
        self.wait_until_written()
    }

    /// Sends what librdkafka has gathered, and waits until it is acknowledged.
    fn wait_until_written(&self) -> Result<(), (&'static str, KafkaError)> {
        let mut send_at = Instant::now();
        while self.producer.in_flight_count() > 0 {
            if Instant::now() >= send_at {
                send_now(self.producer.client());
                send_at = Instant::now() + SEND_AGAIN;
            }
            self.poll_delivery_reports()?;
        }
        self.poll_delivery_reports()
    }

    fn send(&self, record: Record) -> Result<(), (&'static str, KafkaError)> {
        let mut message: BaseRecord<'_, [u8], [u8]> =
            BaseRecord::to(&record.topic).partition(record.partition).key(&record.key[..]);
        message.payload = record.value.as_deref();
        message.headers = record.headers.to_native();
        loop {
            match self.producer.send(message) {
                Ok(()) => return Ok(()),
                Err((error, back)) if error.rdkafka_error_code() == Some(RDKafkaErrorCode::QueueFull) => {
                    send_now(self.producer.client());
                    self.poll_delivery_reports()?;
                    message = back;
                }
                Err((error, _)) => return Err(("send", error)),
            }
        }
    }

    /// Handles delivery reports and errors. The transaction fails if one record was not delivered.
    fn poll_delivery_reports(&self) -> Result<(), (&'static str, KafkaError)> {
        let before = self.producer.in_flight_count();
        self.producer.poll(Duration::ZERO);
        if before > 0 && self.producer.in_flight_count() == before {
            std::thread::sleep(PAUSE);
        }
        match self.failure.take() {
            Some(error) => Err(("deliver", error)),
            None => Ok(()),
        }
    }

    /// When a transaction fails as a whole, librdkafka reports its records only as purged. The cause is returned by the
    /// next call.
    fn root_cause(&self, source: KafkaError) -> KafkaError {
        match source.rdkafka_error_code() {
            Some(RDKafkaErrorCode::PurgeQueue | RDKafkaErrorCode::PurgeInflight) => {
                self.producer.begin_transaction().err().unwrap_or(source)
            }
            _ => source,
        }
    }

    fn error(&self, step: &'static str, source: KafkaError) -> TransactionError {
        let code = match &source {
            KafkaError::Transaction(error) => Some(error.code()),
            other => other.rdkafka_error_code(),
        };
        // The call's own error may only be a consequence ("purged") of the fatal one.
        let fatal = self.producer.client().fatal_error().map(|(code, _)| code);
        let fenced = code.into_iter().chain(fatal).any(is_fencing);
        TransactionError { step, fenced, source }
    }
}

#[cfg(test)]
mod tests {
    use aqueduct_core::ErrorKind;
    use rdkafka::mocking::MockCluster;
    use rdkafka::producer::DefaultProducerContext;
    use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};

    use super::*;
    use crate::error::LaneError;

    const TIMEOUT: Duration = Duration::from_secs(5);

    fn cluster() -> MockCluster<'static, DefaultProducerContext> {
        let cluster = MockCluster::new(1).unwrap();
        cluster.create_topic("shop.orders", 1, 1).unwrap();
        cluster
    }

    fn open(
        cluster: &MockCluster<'_, DefaultProducerContext>,
        topics: &[&str],
    ) -> Result<TransactionalProducer, TransactionError> {
        let timeout = TIMEOUT.as_millis() as u64;
        let options = Options { transaction_timeout_ms: timeout, ..Options::default() };
        let cluster = Cluster::new(cluster.bootstrap_servers());
        TransactionalProducer::open(&cluster, &options, "aqueduct.orders.0", topics)
    }

    fn producer(cluster: &MockCluster<'_, DefaultProducerContext>) -> TransactionalProducer {
        open(cluster, &["shop.orders"]).unwrap()
    }

    fn record() -> Record {
        let bytes = Bytes::from_static(b"order-7");
        Record {
            topic: "shop.orders".into(),
            partition: 0,
            key: bytes.clone(),
            value: Some(bytes),
            headers: HeaderBlock::default(),
        }
    }

    #[test]
    fn a_commit_that_kafka_puts_off_for_ever_ends() {
        let cluster = cluster();
        let mut producer = producer(&cluster);
        producer.commit_batch([record()]).unwrap();
        let later = RDKafkaRespErr::RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS;
        cluster.request_errors(RDKafkaApiKey::EndTxn, &[later; 10_000]);
        let (ended, end) = std::sync::mpsc::channel();
        // A thread of its own, so that a commit without an end fails the test.
        std::thread::spawn(move || ended.send(producer.commit_batch([record()])));
        let error = end.recv_timeout(TIMEOUT * 12).expect("an end").unwrap_err();
        assert_eq!(error.step, "commit");
        assert_eq!(LaneError::from(error).kind(), ErrorKind::Retry);
    }

    /// The broker would create it with its own number of partitions.
    #[test]
    fn a_producer_does_not_create_a_topic_that_it_asks_for() {
        let cluster = cluster();
        let open = open(&cluster, &["missing", "shop.orders"]);
        let partitions = |topic| {
            let metadata = open.as_ref().unwrap().producer.client().fetch_metadata(Some(topic), TIMEOUT);
            metadata.unwrap().topics().iter().map(|it| it.partitions().len()).sum::<usize>()
        };
        assert_eq!((partitions("missing"), partitions("shop.orders")), (0, 1));
    }

    #[test]
    fn a_transaction_that_is_refused_as_a_whole_says_why() {
        let cluster = cluster();
        let mut producer = producer(&cluster);
        let refused = RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED;
        cluster.request_errors(RDKafkaApiKey::AddPartitionsToTxn, &[refused]);
        let error = producer.commit_batch([record()]).unwrap_err();
        let code = error.source.rdkafka_error_code();
        assert_eq!(code, Some(RDKafkaErrorCode::TopicAuthorizationFailed), "{error:?}");
        assert_eq!(LaneError::from(error).kind(), ErrorKind::Stop);
    }
}
