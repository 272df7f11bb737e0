//! How to reach Kafka, and the client configurations that follow from it.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;
use serde::Deserialize;

use crate::reserved::{ReservedProperty, find_reserved};
use crate::watch::STATISTICS_INTERVAL;

/// A Kafka cluster and the names that the product uses there. One value configures relay and projections alike.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Cluster {
    /// Bootstrap servers, `host:port,host:port`.
    pub brokers: String,
    /// Further librdkafka properties (TLS, SASL, …) for every client. Not all can be set, see
    /// [`validate`](Self::validate).
    pub properties: BTreeMap<String, String>,
    /// First part of the names of consumer groups, transactional ids and checkpoint topics. Instances with the
    /// same prefix share the work; two systems on one cluster need two prefixes.
    pub prefix: String,
    /// Name of the event store, `ce_source` of every record.
    pub source: String,
}

impl Default for Cluster {
    fn default() -> Self {
        Self {
            brokers: "localhost:9092".to_owned(),
            properties: BTreeMap::new(),
            prefix: "aqueduct".to_owned(),
            source: "aqueduct/eventstore".to_owned(),
        }
    }
}

/// Without the values of the properties: they may be passwords.
impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { brokers, properties, prefix, source } = self;
        f.debug_struct("Cluster")
            .field("brokers", brokers)
            .field("properties", &properties.keys().collect::<Vec<_>>())
            .field("prefix", prefix)
            .field("source", source)
            .finish()
    }
}

impl Cluster {
    /// The cluster at these bootstrap servers, everything else as by default.
    pub fn new(brokers: impl Into<String>) -> Self {
        Self { brokers: brokers.into(), ..Self::default() }
    }

    /// Refuses properties that the product sets itself, because a delivery guarantee rests on them or because
    /// they follow from other options.
    pub fn validate(&self) -> Result<(), ReservedProperty> {
        find_reserved(self.properties.keys()).map_or(Ok(()), Err)
    }

    /// Configuration of any client: `defaults`, then the user's properties, then the bootstrap servers. What
    /// must not be overridden is set on the result.
    pub fn config(&self, defaults: &[(&str, &str)]) -> ClientConfig {
        let mut config = ClientConfig::new();
        // librdkafka's default would check only every 10 s whether a broker is back.
        config.set("reconnect.backoff.max.ms", "1000");
        // Half of it is the pause between a client's first connection, which learns the brokers' names, and the one that it
        // uses from then on. With the default of 100 ms each new client began with 50 ms of waiting.
        config.set("reconnect.backoff.ms", "20");
        for (name, value) in defaults {
            config.set(*name, *value);
        }
        for (name, value) in &self.properties {
            config.set(name, value);
        }
        config.set("bootstrap.servers", &self.brokers).set_log_level(RDKafkaLogLevel::Info);
        config
    }

    /// Configuration of a consumer that reads committed records only, creates no topics, commits no offsets and
    /// never picks an offset on its own. `group` is needed by librdkafka also where no group is joined.
    pub fn consumer_config(&self, group: &str, defaults: &[(&str, &str)]) -> ClientConfig {
        let mut config = self.config(defaults);
        config
            .set("group.id", group)
            .set("isolation.level", "read_committed")
            .set("allow.auto.create.topics", "false")
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("auto.offset.reset", "error");
        config
    }

    /// Configuration of a consumer that joins `group`, with the statistics that a
    /// [`BrokerWatch`](crate::BrokerWatch) needs. The assignment strategy is left to the caller.
    pub fn member_config(
        &self,
        group: &str,
        session_timeout: Duration,
        defaults: &[(&str, &str)],
    ) -> ClientConfig {
        let session_timeout = session_timeout.as_millis();
        let mut config = self.consumer_config(group, defaults);
        config
            .set("session.timeout.ms", session_timeout.to_string())
            .set("heartbeat.interval.ms", (session_timeout / 3).max(1).to_string())
            .set("statistics.interval.ms", STATISTICS_INTERVAL.as_millis().to_string());
        config
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(properties: &[(&str, &str)]) -> Cluster {
        let properties = properties.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Cluster { properties: properties.collect(), ..Cluster::new("kafka:9092") }
    }

    #[test]
    fn debug_shows_no_property_value() {
        let text = format!("{:?}", with(&[("sasl.password", "hunter2")]));
        assert!(text.contains("sasl.password") && !text.contains("hunter2"), "{text}");
    }

    #[test]
    fn properties_override_defaults_but_not_what_delivery_rests_on() {
        let cluster = with(&[
            ("fetch.wait.max.ms", "77"),
            ("isolation.level", "read_uncommitted"),
            ("session.timeout.ms", "1"),
            ("bootstrap.servers", "elsewhere:9092"),
        ]);
        let defaults = [("fetch.wait.max.ms", "10"), ("client.id", "x")];
        let config = cluster.member_config("group", Duration::from_secs(6), &defaults);
        for (name, expected) in [
            ("fetch.wait.max.ms", "77"),
            ("client.id", "x"),
            ("isolation.level", "read_committed"),
            ("session.timeout.ms", "6000"),
            ("heartbeat.interval.ms", "2000"),
            ("statistics.interval.ms", "1000"),
            ("bootstrap.servers", "kafka:9092"),
            ("group.id", "group"),
        ] {
            assert_eq!(config.get(name), Some(expected), "{name}");
        }
    }

    #[test]
    fn reserved_properties_are_refused_under_every_name() {
        with(&[("sasl.password", "hunter2"), ("compression.type", "lz4")]).validate().unwrap();
        for name in ["acks", "request.required.acks", "metadata.broker.list", "delivery.timeout.ms"] {
            let error = with(&[(name, "1")]).validate().unwrap_err();
            assert_eq!(error.property, name);
        }
    }

    #[test]
    fn every_key_can_be_left_out_and_no_other_is_accepted() {
        let cluster: Cluster = serde_json::from_value(serde_json::json!({"prefix": "shop"})).unwrap();
        assert_eq!(cluster, Cluster { prefix: "shop".to_owned(), ..Cluster::default() });
        serde_json::from_value::<Cluster>(serde_json::json!({"broker": "a"})).unwrap_err();
    }
}
