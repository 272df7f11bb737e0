//! Topics that do not exist or must not be read: a group waits for them without an error.

use std::time::{Duration, Instant};

use rdkafka::consumer::Consumer as _;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use crate::kafka::client::Consumer;
use crate::status::Component;

/// How often topics are checked while some cannot be read.
const INTERVAL_WHILE_UNREADABLE: Duration = Duration::from_secs(3);
/// How often topics are checked while all can be read.
const INTERVAL_WHILE_READABLE: Duration = Duration::from_secs(60);
/// Timeout for the metadata of a topic.
const METADATA_TIMEOUT: Duration = Duration::from_secs(1);

/// Checks the subscribed topics at intervals and reports those that cannot be read.
#[derive(Default)]
pub(super) struct TopicCheck {
    last: Option<Instant>,
    all_readable: bool,
}

impl TopicCheck {
    pub(super) fn run_if_due(&mut self, consumer: &Consumer) {
        let interval = if self.all_readable { INTERVAL_WHILE_READABLE } else { INTERVAL_WHILE_UNREADABLE };
        if self.last.is_some_and(|last| last.elapsed() < interval) {
            return;
        }
        // If no broker answers, that is reported elsewhere.
        if let Ok(unreadable) = unreadable_topics(consumer) {
            let status = &consumer.context().status;
            self.all_readable = unreadable.is_empty();
            if self.all_readable {
                status.clear(Component::Topics);
            } else {
                status.report(Component::Topics, unreadable.join(", "));
            }
        }
        self.last = Some(Instant::now());
    }
}

fn unreadable_topics(consumer: &Consumer) -> Result<Vec<String>, KafkaError> {
    let mut unreadable = Vec::new();
    for topic in consumer.subscription()?.elements() {
        let metadata = consumer.fetch_metadata(Some(topic.topic()), METADATA_TIMEOUT)?;
        for topic in metadata.topics() {
            let name = topic.name();
            match topic.error().map(RDKafkaErrorCode::from) {
                None => {}
                Some(RDKafkaErrorCode::UnknownTopicOrPartition) => {
                    unreadable.push(format!("kafka topic {name} does not exist: run `aqueduct setup`"));
                }
                Some(error) => unreadable.push(format!("kafka topic {name} cannot be read: {error}")),
            }
        }
    }
    Ok(unreadable)
}
