//! Facts about topics and partitions, for operators' commands.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions, ResourceSpecifier};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::message::Message as _;
use rdkafka::{Offset, TopicPartitionList};

use crate::client::create_client;
use crate::cluster::Cluster;
use crate::log::LogContext;

/// Timeout of each request.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Consumer group that the configuration names. It is never joined, and nothing is committed.
const GROUP: &str = "aqueduct-probe";

/// Reads facts about a cluster. All calls except [`settings`](Self::settings) block, for at most ten seconds.
pub struct ClusterProbe {
    cluster: Cluster,
    consumer: BaseConsumer<LogContext>,
}

/// A topic as the cluster describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicDescription {
    /// Number of its partitions.
    pub partitions: usize,
    /// The lowest number of replicas of a partition.
    pub replicas: usize,
}

impl ClusterProbe {
    /// Creates the client, which connects on the first call.
    pub fn new(cluster: &Cluster) -> KafkaResult<Self> {
        let mut config = cluster.consumer_config(GROUP, &[]);
        config.set("enable.partition.eof", "true");
        Ok(Self { cluster: cluster.clone(), consumer: create_client(&config, LogContext)? })
    }

    /// Returns whether a broker answers.
    pub fn is_reachable(&self) -> bool {
        self.brokers().is_ok()
    }

    /// Returns the number of brokers.
    pub fn brokers(&self) -> KafkaResult<usize> {
        Ok(self.consumer.fetch_metadata(None, TIMEOUT)?.brokers().len())
    }

    /// Describes a topic; `None` if it does not exist.
    pub fn topic(&self, topic: &str) -> KafkaResult<Option<TopicDescription>> {
        let metadata = self.consumer.fetch_metadata(Some(topic), TIMEOUT)?;
        let Some(found) = metadata.topics().iter().find(|found| found.name() == topic) else {
            return Ok(None);
        };
        if let Some(error) = found.error().map(RDKafkaErrorCode::from) {
            return match error {
                RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic => Ok(None),
                other => Err(KafkaError::MetadataFetch(other)),
            };
        }
        let replicas = found.partitions().iter().map(|partition| partition.replicas().len()).min();
        Ok(Some(TopicDescription {
            partitions: found.partitions().len(),
            replicas: replicas.unwrap_or_default(),
        }))
    }

    /// Returns the offset after the last committed record or transaction marker of a partition.
    pub fn end(&self, topic: &str, partition: i32) -> KafkaResult<i64> {
        Ok(self.consumer.fetch_watermarks(topic, partition, TIMEOUT)?.1)
    }

    /// Returns the timestamp, in milliseconds, of the first committed record at or after an offset (`None`: of the
    /// partition). Returns `None` if there is no such record.
    pub fn timestamp_from(
        &self,
        topic: &str,
        partition: i32,
        offset: Option<i64>,
    ) -> KafkaResult<Option<i64>> {
        let mut assignment = TopicPartitionList::new();
        let offset = offset.map_or(Offset::Beginning, Offset::Offset);
        assignment.add_partition_offset(topic, partition, offset)?;
        self.consumer.assign(&assignment)?;
        let deadline = Instant::now() + TIMEOUT;
        while Instant::now() < deadline {
            match self.consumer.poll(Duration::from_millis(50)) {
                Some(Ok(record)) => return Ok(record.timestamp().to_millis()),
                Some(Err(KafkaError::PartitionEOF(_))) => return Ok(None),
                Some(Err(error)) => return Err(error),
                None => {}
            }
        }
        Err(KafkaError::MessageConsumption(RDKafkaErrorCode::OperationTimedOut))
    }

    /// Returns the settings of topics, by topic. Topics that do not exist, or whose settings the user must not read, are
    /// left out.
    pub async fn settings(&self, topics: &[&str]) -> KafkaResult<BTreeMap<String, BTreeMap<String, String>>> {
        let admin: AdminClient<_> = create_client(&self.cluster.config(&[]), LogContext)?;
        let resources: Vec<_> = topics.iter().map(|topic| ResourceSpecifier::Topic(topic)).collect();
        let options = AdminOptions::new().request_timeout(Some(TIMEOUT));
        let mut settings = BTreeMap::new();
        for (topic, described) in topics.iter().zip(admin.describe_configs(&resources, &options).await?) {
            let Ok(described) = described else { continue };
            let entries = described.entries.into_iter().filter_map(|entry| Some((entry.name, entry.value?)));
            settings.insert((*topic).to_owned(), entries.collect());
        }
        Ok(settings)
    }
}
