//! The topics a relay needs.

use std::time::{Duration, Instant};

use aqueduct_kafka::{Cluster, LogContext, create_client};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use crate::kafka::config::{self, REQUEST_TIMEOUT};
use crate::options::Options;
use crate::options_error::OptionsError;
use crate::validation::validate;

/// Kafka's own `max.message.bytes` of a topic.
const MAX_MESSAGE_BYTES: usize = 1_048_588;

/// A topic could not be created, or exists and is not as configured.
#[derive(Debug, thiserror::Error)]
pub enum TopicsError {
    /// The configuration can't work.
    #[error(transparent)]
    Options(#[from] OptionsError),
    /// A client could not be created.
    #[error("kafka: could not create a client")]
    Client(#[source] KafkaError),
    /// Kafka could not be asked about a topic, or refused.
    #[error("kafka: could not {doing} topic {topic}")]
    Topic {
        /// What was being done: `create` or `describe`.
        doing: &'static str,
        /// The topic.
        topic: String,
        /// librdkafka's error.
        #[source]
        source: KafkaError,
    },
    /// It exists with another number of partitions. More partitions would move streams and break their
    /// order; Kafka cannot remove partitions.
    #[error(
        "topic {topic} has {found} partitions, {expected} are configured: correct the configuration, or \
         choose another topic"
    )]
    Partitions {
        /// The topic.
        topic: String,
        /// Partitions it has.
        found: usize,
        /// Partitions configured.
        expected: u32,
    },
}

impl TopicsError {
    fn topic(doing: &'static str, topic: &str) -> impl FnOnce(KafkaError) -> Self {
        let topic = topic.to_owned();
        move |source| Self::Topic { doing, topic, source }
    }
}

/// Creates the routes' topics, and those of their checkpoints, exceptions, parked events and requests, where they are
/// missing, with a limit for the largest record that the options allow. Checks the number of partitions of those that
/// exist. Other settings of existing topics are not changed.
pub async fn create_topics(cluster: &Cluster, options: &Options) -> Result<(), TopicsError> {
    validate(cluster, options)?;
    let admin: AdminClient<_> =
        create_client(&cluster.config(&[]), LogContext).map_err(TopicsError::Client)?;
    let mut existing = Vec::new();
    let largest = config::largest_message(options);
    let largest_text = largest.to_string();
    for route in &options.routes {
        // Records are the only copy that consumers have: nothing expires unless somebody decides so.
        let mut records =
            vec![("cleanup.policy", "delete"), ("retention.ms", "-1"), ("retention.bytes", "-1")];
        if largest > MAX_MESSAGE_BYTES {
            records.push(("max.message.bytes", &largest_text));
        }
        // Only the last record of a key counts. The active segment is not compacted, hence a small one: 1 MiB is
        // the least that brokers allow.
        let compacted =
            vec![("cleanup.policy", "compact"), ("segment.bytes", "1048576"), ("retention.ms", "-1")];
        // Parked events are as large as records.
        let mut parked =
            vec![("cleanup.policy", "compact"), ("segment.bytes", "67108864"), ("retention.ms", "-1")];
        if largest > MAX_MESSAGE_BYTES {
            parked.push(("max.message.bytes", &largest_text));
        }
        let (prefix, lanes) = (&cluster.prefix, options.lanes.get());
        for (topic, partitions, settings) in [
            (route.topic.clone(), route.partitions.get(), records),
            (route.checkpoint_topic(prefix), lanes, compacted.clone()),
            (route.exceptions_topic(prefix), lanes, compacted.clone()),
            (route.requests_topic(prefix), lanes, compacted),
            (route.parked_topic(prefix), lanes, parked),
        ] {
            let new = NewTopic {
                name: &topic,
                num_partitions: partitions as i32,
                replication: TopicReplication::Fixed(options.replication_factor),
                config: settings,
            };
            let request = AdminOptions::new().request_timeout(Some(REQUEST_TIMEOUT));
            let answers =
                admin.create_topics([&new], &request).await.map_err(TopicsError::topic("create", &topic))?;
            match answers.into_iter().next() {
                None | Some(Ok(_)) => {}
                Some(Err((_, RDKafkaErrorCode::TopicAlreadyExists))) => existing.push((topic, partitions)),
                Some(Err((_, code))) => {
                    return Err(TopicsError::topic("create", &topic)(KafkaError::AdminOp(code)));
                }
            }
        }
    }
    // A request for a topic's metadata may create it. A consumer's request says that it must not.
    let reading = cluster.consumer_config(&cluster.prefix, &[]);
    let reader = create_client(&reading, LogContext).map_err(TopicsError::Client)?;
    let check = move || existing.iter().try_for_each(|(topic, expected)| check(&reader, topic, *expected));
    match tokio::task::spawn_blocking(check).await {
        Ok(checked) => checked,
        Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
    }
}

/// A broker that has just created the topic for somebody else may not know it yet, so no partition at all is not
/// believed at once.
fn check(reader: &BaseConsumer<LogContext>, topic: &str, expected: u32) -> Result<(), TopicsError> {
    let deadline = Instant::now() + REQUEST_TIMEOUT;
    loop {
        let metadata = reader
            .fetch_metadata(Some(topic), REQUEST_TIMEOUT)
            .map_err(TopicsError::topic("describe", topic))?;
        let found =
            metadata.topics().iter().find(|it| it.name() == topic).map_or(0, |it| it.partitions().len());
        if found == expected as usize {
            return Ok(());
        }
        if found > 0 || Instant::now() > deadline {
            return Err(TopicsError::Partitions { topic: topic.to_owned(), found, expected });
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}
