//! Writing records in transactions of Kafka.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use aqueduct_kafka::{Cluster, create_client, log, log_error, send_now};
use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::message::{DeliveryResult, Header, Message as _, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _, ProducerContext};

use crate::record::Record;
use crate::script::Transaction;

const TIMEOUT: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(1);

/// Where a record is in Kafka.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    /// Index of the topic in the consumer's definition.
    pub(crate) topic: usize,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
}

/// A record that was written.
#[derive(Debug)]
pub(crate) struct Written {
    pub(crate) place: Place,
    pub(crate) record: Record,
    pub(crate) is_parked: bool,
    pub(crate) is_committed: bool,
}

/// A producer with a transactional id of its own. Its calls block.
pub(crate) struct Writer {
    producer: BaseProducer<Deliveries>,
    /// The names of the definition's topics in this trial.
    topics: Vec<String>,
}

impl Writer {
    pub(crate) fn new(cluster: &Cluster, id: &str, topics: Vec<String>) -> KafkaResult<Self> {
        let mut config = cluster.config(&[]);
        // As Java's clients and the relay choose partitions.
        config.set("partitioner", "murmur2_random").set("transactional.id", id).set("linger.ms", "0");
        let producer: BaseProducer<Deliveries> = create_client(&config, Deliveries::default())?;
        producer.init_transactions(TIMEOUT)?;
        Ok(Self { producer, topics })
    }

    /// Writes the records and commits or aborts them.
    pub(crate) fn write(&self, transaction: &Transaction) -> KafkaResult<Vec<Written>> {
        self.producer.begin_transaction()?;
        for (index, sent) in transaction.records.iter().enumerate() {
            self.send(index, &sent.record)?;
        }
        send_now(self.producer.client());
        while self.producer.in_flight_count() > 0 {
            self.producer.poll(POLL);
        }
        let deliveries = self.producer.client().context().take()?;
        if transaction.is_committed {
            self.producer.commit_transaction(TIMEOUT)?;
        } else {
            self.producer.abort_transaction(TIMEOUT)?;
        }
        let written = deliveries.into_iter().filter_map(|Delivery { index, partition, offset }| {
            let sent = transaction.records.get(index)?;
            Some(Written {
                place: Place { topic: sent.record.topic, partition, offset },
                record: sent.record.clone(),
                is_parked: sent.is_parked,
                is_committed: transaction.is_committed,
            })
        });
        Ok(written.collect())
    }

    fn send(&self, index: usize, record: &Record) -> KafkaResult<()> {
        let headers = record.headers.iter().fold(OwnedHeaders::new(), |headers, (key, value)| {
            headers.insert(Header { key, value: Some(value) })
        });
        let topic = &self.topics[record.topic];
        let sent = BaseRecord::with_opaque_to(topic, index).key(&record.key).headers(headers);
        let sent = match &record.value {
            Some(value) => sent.payload(value),
            None => sent,
        };
        self.producer.send(sent).map_err(|(error, _)| error)
    }
}

/// The delivery reports of a transaction.
#[derive(Default)]
struct Deliveries(Mutex<Vec<KafkaResult<Delivery>>>);

/// A record that Kafka has.
struct Delivery {
    /// Its index in the transaction.
    index: usize,
    partition: i32,
    offset: i64,
}

impl Deliveries {
    /// Each record that was delivered, or the first failure.
    fn take(&self) -> KafkaResult<Vec<Delivery>> {
        let reports = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        reports.into_iter().collect()
    }
}

impl ClientContext for Deliveries {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        log_error(&error, reason);
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, index: usize) {
        let report = match result {
            Ok(record) => Ok(Delivery { index, partition: record.partition(), offset: record.offset() }),
            Err((error, _)) => Err(error.clone()),
        };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(report);
    }
}
