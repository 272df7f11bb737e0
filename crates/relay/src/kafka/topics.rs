//! The topics a relay needs.

use std::time::{Duration, Instant};

use aqueduct_kafka::{Cluster, LogContext, create_client};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use crate::kafka::config::REQUEST_TIMEOUT;
use crate::lane_topics::LaneTopics;
use crate::options::Options;
use crate::options_error::OptionsError;
use crate::validation::validate;

/// Kafka's own `max.message.bytes` of a topic.
const MAX_MESSAGE_BYTES: usize = 1_048_588;

/// A topic could not be created, or exists and is not as configured.
#[derive(Debug, thiserror::Error)]
pub enum TopicsError {
    /// The configuration cannot work.
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
    for topic in wanted_topics(&cluster.prefix, options) {
        match create(&admin, &topic, options.replication_factor).await? {
            Created::New => {}
            Created::Existed => existing.push(topic),
        }
    }
    // A request for a topic's metadata may create it. A consumer's request says that it must not.
    let reading = cluster.consumer_config(&cluster.prefix, &[]);
    let reader = create_client(&reading, LogContext).map_err(TopicsError::Client)?;
    let check = move || existing.iter().try_for_each(|it| check(&reader, &it.name, it.partitions));
    match tokio::task::spawn_blocking(check).await {
        Ok(checked) => checked,
        Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
    }
}

/// A topic that a relay needs.
struct WantedTopic {
    name: String,
    partitions: u32,
    settings: Vec<(&'static str, String)>,
}

fn wanted_topics(prefix: &str, options: &Options) -> Vec<WantedTopic> {
    let largest = options.largest_message();
    // Records are the only copy that consumers have: nothing expires unless somebody decides so.
    let mut records = vec![
        ("cleanup.policy", "delete".to_owned()),
        ("retention.ms", "-1".to_owned()),
        ("retention.bytes", "-1".to_owned()),
    ];
    // Only the last record of a key counts. The active segment is not compacted, hence a small one: 1 MiB is
    // the least that brokers allow.
    let small = compacted(1 << 20);
    // Parked events are as large as records.
    let mut parked_events = compacted(64 << 20);
    if largest > MAX_MESSAGE_BYTES {
        records.push(("max.message.bytes", largest.to_string()));
        parked_events.push(("max.message.bytes", largest.to_string()));
    }
    let lanes = options.lanes.get();
    let mut topics = Vec::new();
    for route in &options.routes {
        let LaneTopics { checkpoint, exceptions, parked, requests } = route.lane_topics(prefix);
        for (name, partitions, settings) in [
            (route.topic.clone(), route.partitions.get(), &records),
            (checkpoint, lanes, &small),
            (exceptions, lanes, &small),
            (requests, lanes, &small),
            (parked, lanes, &parked_events),
        ] {
            topics.push(WantedTopic { name, partitions, settings: settings.clone() });
        }
    }
    topics
}

fn compacted(segment_bytes: u32) -> Vec<(&'static str, String)> {
    vec![
        ("cleanup.policy", "compact".to_owned()),
        ("segment.bytes", segment_bytes.to_string()),
        ("retention.ms", "-1".to_owned()),
    ]
}

/// Whether a topic was created.
enum Created {
    New,
    Existed,
}

async fn create(
    admin: &AdminClient<LogContext>,
    WantedTopic { name, partitions, settings }: &WantedTopic,
    replication_factor: i32,
) -> Result<Created, TopicsError> {
    let new = NewTopic {
        name,
        num_partitions: *partitions as i32,
        replication: TopicReplication::Fixed(replication_factor),
        config: settings.iter().map(|(key, value)| (*key, value.as_str())).collect(),
    };
    let request = AdminOptions::new().request_timeout(Some(REQUEST_TIMEOUT));
    let failed = || TopicsError::topic("create", name);
    let answers = admin.create_topics([&new], &request).await.map_err(failed())?;
    match answers.into_iter().next() {
        None | Some(Ok(_)) => Ok(Created::New),
        Some(Err((_, RDKafkaErrorCode::TopicAlreadyExists))) => Ok(Created::Existed),
        Some(Err((_, code))) => Err(failed()(KafkaError::AdminOp(code))),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::Route;

    #[test]
    fn each_topic_of_a_route_is_created() {
        let route = Route::of_categories("orders", "shop.orders", ["order"]);
        let options = Options { routes: vec![route.clone()], ..Options::default() };
        let wanted = wanted_topics("aqueduct", &options);
        let names: Vec<_> = wanted.iter().map(|it| it.name.as_str()).collect();
        let lane_topics = route.lane_topics("aqueduct");
        assert_eq!(names.len(), 1 + lane_topics.names().len());
        assert!(names.contains(&"shop.orders"));
        assert!(lane_topics.names().iter().all(|it| names.contains(it)), "{names:?}");
    }

    #[test]
    fn records_and_parked_events_may_be_as_large_as_configured() {
        let large = std::num::NonZeroUsize::new(2 << 20).unwrap();
        let routes = vec![Route::of_categories("orders", "shop.orders", ["order"])];
        let limited = |options: Options| -> Vec<String> {
            let wanted = wanted_topics("aqueduct", &options).into_iter();
            let is_limited =
                |it: &WantedTopic| it.settings.iter().any(|(key, _)| *key == "max.message.bytes");
            wanted.filter(is_limited).map(|it| it.name).collect()
        };
        let options = Options { routes, ..Options::default() };
        assert!(limited(options.clone()).is_empty(), "Kafka's default is enough");
        let limited = limited(Options { max_record_bytes: large, ..options });
        assert_eq!(limited, ["shop.orders", "aqueduct.parked.orders"]);
    }
}
