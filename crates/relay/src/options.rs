//! What can be configured.

use std::collections::BTreeSet;
use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

use aqueduct_kafka::{Cluster, ReservedProperty};
use serde::Deserialize;

/// The relay's configuration. Times are in milliseconds.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// What goes where. Routes are independent of each other.
    pub routes: Vec<Route>,
    /// Lanes of each route: how many instances can share its work. Can't be changed once a route has a
    /// checkpoint.
    pub lanes: NonZeroU32,
    /// Replicas of the topics that [`create_topics`](crate::create_topics) creates; -1 is the broker's default.
    pub replication_factor: i32,
    /// Most records of one transaction.
    pub batch_records: NonZeroUsize,
    /// Bytes of keys, headers and values after which a transaction takes no further record.
    pub batch_bytes: NonZeroUsize,
    /// How long a transaction that isn't full waits for more events. A transaction is filled with what
    /// arrives while the one before it commits anyway.
    pub linger_ms: u64,
    /// Largest record (key, headers and value). An event that makes a larger one is a bad event. The topic's
    /// `max.message.bytes` must allow it (4 KiB more), or the lane halts at such an event;
    /// [`create_topics`](crate::create_topics) sees to that for the topics it creates.
    pub max_record_bytes: NonZeroUsize,
    /// How long the broker lets a transaction stay open, and so for how long a relay that vanished holds back
    /// the readers if no other takes over.
    pub transaction_timeout_ms: u64,
    /// How long an instance may be silent before its lanes go to another.
    pub session_timeout_ms: u64,
    /// How often a lane that makes no records writes a checkpoint, if it received events.
    pub idle_checkpoint_ms: u64,
    /// First pause after a fault of the surroundings (broker, store, registry out of reach); it doubles up to
    /// `halt_retry_ms`.
    pub retry_ms: u64,
    /// Pause after which a halted lane restarts; it halts again if the cause still exists.
    pub halt_retry_ms: u64,
    /// Streams of which a lane remembers the last revision; any other is looked up in the store.
    pub known_streams: NonZeroUsize,
}

/// A part of the store's events and the topic they go to. A topic has exactly one route.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// Names its checkpoint topic, its consumer group and its transactional ids.
    pub name: String,
    /// Kafka topic.
    pub topic: String,
    /// Categories of streams (the part before the first dash) whose events it carries, all of them.
    pub categories: BTreeSet<String>,
    /// Partitions of the topic, a multiple of the lanes. Never to be changed: streams would move.
    #[serde(default = "default_partitions")]
    pub partitions: NonZeroU32,
}

const fn default_partitions() -> NonZeroU32 {
    NonZeroU32::MIN.saturating_add(3)
}

const fn non_zero(n: usize) -> NonZeroUsize {
    NonZeroUsize::MIN.saturating_add(n - 1)
}

impl Default for Options {
    fn default() -> Self {
        Self {
            routes: Vec::new(),
            lanes: NonZeroU32::MIN,
            replication_factor: -1,
            batch_records: non_zero(4_000),
            batch_bytes: non_zero(8 << 20),
            linger_ms: 0,
            max_record_bytes: non_zero(1_000_000),
            transaction_timeout_ms: 30_000,
            session_timeout_ms: 10_000,
            idle_checkpoint_ms: 10_000,
            retry_ms: 200,
            halt_retry_ms: 10_000,
            known_streams: non_zero(200_000),
        }
    }
}

/// A configuration that can't work.
#[derive(Debug, thiserror::Error)]
#[error("relay configuration: {key}: {problem}")]
pub struct OptionsError {
    /// The key, below the relay's section.
    pub key: String,
    /// What is wrong with it and what to do.
    pub problem: String,
}

impl Options {
    /// Checks what the types don't say.
    pub fn validate(&self) -> Result<(), OptionsError> {
        let error = |key: &str, problem: String| Err(OptionsError { key: key.to_owned(), problem });
        if self.routes.is_empty() {
            return error("routes", "at least one route is needed: name, topic and categories".to_owned());
        }
        let mut names = BTreeSet::new();
        let mut topics = BTreeSet::new();
        for (n, route) in self.routes.iter().enumerate() {
            let key = |field: &str| format!("routes[{n}].{field}");
            if route.name.is_empty() || !names.insert(&route.name) {
                return error(&key("name"), format!("\"{}\" must be unique and not empty", route.name));
            }
            if route.topic.is_empty() || !topics.insert(&route.topic) {
                let problem = format!("topic \"{}\" must not be empty, nor another route's", route.topic);
                return error(&key("topic"), problem);
            }
            if let Some(bad) = route.categories.iter().find(|it| it.is_empty() || it.contains(['-', '$'])) {
                let problem = format!(
                    "\"{bad}\" is not a category: that is the part of a stream name before its first dash"
                );
                return error(&key("categories"), problem);
            }
            if route.categories.is_empty() {
                return error(&key("categories"), "name at least one".to_owned());
            }
            if route.partitions.get() % self.lanes != 0 {
                let problem = format!("{} is not a multiple of the {} lanes", route.partitions, self.lanes);
                return error(&key("partitions"), problem);
            }
        }
        Ok(())
    }

    pub(crate) fn linger(&self) -> Duration {
        Duration::from_millis(self.linger_ms)
    }

    pub(crate) fn session_timeout(&self) -> Duration {
        Duration::from_millis(self.session_timeout_ms)
    }

    pub(crate) fn transaction_timeout(&self) -> Duration {
        Duration::from_millis(self.transaction_timeout_ms)
    }

    pub(crate) fn idle_checkpoint(&self) -> Duration {
        Duration::from_millis(self.idle_checkpoint_ms)
    }

    pub(crate) fn retry(&self) -> Duration {
        Duration::from_millis(self.retry_ms).min(self.halt_retry())
    }

    pub(crate) fn halt_retry(&self) -> Duration {
        Duration::from_millis(self.halt_retry_ms)
    }
}

impl From<ReservedProperty> for OptionsError {
    fn from(error: ReservedProperty) -> Self {
        let problem = "set by the relay: remove it, and use its options".to_owned();
        Self { key: format!("kafka.properties.{}", error.property), problem }
    }
}

/// Checks both, as a relay and the creation of its topics need them.
pub(crate) fn validate(cluster: &Cluster, options: &Options) -> Result<(), OptionsError> {
    cluster.validate()?;
    options.validate()
}

impl Route {
    /// The consumer group through which instances share the lanes of the route.
    pub fn group(&self, prefix: &str) -> String {
        format!("{prefix}.relay.{}", self.name)
    }

    /// The transactional id of a lane's producer.
    pub fn transactional_id(&self, prefix: &str, lane: u32) -> String {
        format!("{prefix}.{}.{lane}", self.name)
    }

    /// The compacted topic of the route's checkpoints, one partition per lane.
    pub fn checkpoint_topic(&self, prefix: &str) -> String {
        format!("{prefix}.checkpoint.{}", self.name)
    }

    /// The checkpoint topic of version 0.1, the same for all prefixes.
    pub(crate) fn unprefixed_checkpoint_topic(&self) -> String {
        self.checkpoint_topic("aqueduct")
    }

    /// The lane's partitions of the topic.
    pub(crate) fn partitions_of(&self, lane: u32, lanes: NonZeroU32) -> impl Iterator<Item = i32> {
        (0..self.partitions.get()).filter(move |it| *it % lanes == lane).map(|it| it as i32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(routes: serde_json::Value) -> Options {
        let mut options: Options = serde_json::from_value(serde_json::json!({ "routes": routes })).unwrap();
        options.lanes = NonZeroU32::new(2).unwrap();
        options
    }

    #[test]
    fn a_configuration_that_cannot_work_names_its_key() {
        let good = serde_json::json!({"name": "orders", "topic": "shop.orders", "categories": ["order"]});
        options(serde_json::json!([good])).validate().unwrap();

        let with = |field: &str, value: serde_json::Value| {
            let mut route = good.clone();
            route["name"] = "second".into();
            route["topic"] = "second".into();
            route[field] = value;
            options(serde_json::json!([good, route])).validate().unwrap_err().key
        };
        assert_eq!(with("name", "orders".into()), "routes[1].name");
        assert_eq!(with("topic", "shop.orders".into()), "routes[1].topic");
        assert_eq!(with("categories", serde_json::json!(["a-b"])), "routes[1].categories");
        assert_eq!(with("partitions", 3.into()), "routes[1].partitions");

        let mut cluster = Cluster::default();
        cluster.properties.insert("acks".to_owned(), "1".to_owned());
        let error = validate(&cluster, &options(serde_json::json!([good]))).unwrap_err();
        assert_eq!(error.key, "kafka.properties.acks");
    }
}
