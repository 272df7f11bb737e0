//! The topics of the routes and their settings.

use std::collections::BTreeMap;
use std::sync::Arc;

use aqueduct_kafka::{ClusterProbe, TopicDescription};
use aqueduct_relay::LaneTopics;

use super::finding::Findings;
use crate::connections::Connections;

const AREA: &str = "topics";
/// Number of brokers from which a single replica is a warning.
const BROKERS_TO_REPLICATE: usize = 3;

/// A topic, and how it should be.
struct Expected {
    name: String,
    partitions: u32,
    /// The last value of each key is kept, nothing else.
    compacted: bool,
    /// Bytes that a message may have, at least.
    message_bytes: usize,
    /// The relay cannot begin without it.
    required: bool,
}

pub(super) async fn check(connections: &Connections, probe: Arc<ClusterProbe>) -> Findings {
    let mut findings = Findings::default();
    let expected = expected(connections);
    if expected.is_empty() {
        return findings;
    }
    let names: Vec<String> = expected.iter().map(|topic| topic.name.clone()).collect();
    let asked = Arc::clone(&probe);
    let described = tokio::task::spawn_blocking(move || {
        let brokers = asked.brokers().map_err(|error| error.to_string())?;
        let facts = names.iter().map(|name| asked.topic(name)).collect::<Result<Vec<_>, _>>();
        Ok::<_, String>((brokers, facts.map_err(|error| error.to_string())?))
    });
    let (brokers, facts) = match described.await {
        Ok(Ok(described)) => described,
        Ok(Err(error)) => {
            findings.error(
                AREA,
                format!("cannot be described: {error}"),
                "check the rights of the Kafka user",
            );
            return findings;
        }
        Err(error) => {
            findings.error(AREA, error.to_string(), "run it again");
            return findings;
        }
    };
    let existing: Vec<&str> = expected
        .iter()
        .zip(&facts)
        .filter(|(_, facts)| facts.is_some())
        .map(|(topic, _)| topic.name.as_str())
        .collect();
    let settings = if existing.is_empty() { Ok(BTreeMap::new()) } else { probe.settings(&existing).await };
    let settings = settings.unwrap_or_else(|error| {
        findings.unknown(AREA, format!("settings unknown: {error}"));
        BTreeMap::new()
    });
    for (topic, facts) in expected.iter().zip(facts) {
        match facts {
            None if topic.required => {
                findings.error(AREA, format!("topic {} does not exist", topic.name), "run `setup`");
            }
            None => {
                findings.warning(
                    AREA,
                    format!("topic {} does not exist", topic.name),
                    "run `setup` before events are parked",
                );
            }
            Some(facts) => check_topic(topic, &facts, settings.get(&topic.name), brokers, &mut findings),
        }
    }
    findings
}

fn expected(connections: &Connections) -> Vec<Expected> {
    let configuration = connections.configuration();
    let options = configuration.relay_options();
    let (prefix, lanes) = (&configuration.kafka.prefix, options.lanes.get());
    let message_bytes = options.largest_message();
    let mut expected = Vec::new();
    for route in &options.routes {
        let (name, partitions) = (route.topic.clone(), route.partitions.get());
        expected.push(Expected { name, partitions, compacted: false, message_bytes, required: true });
        // Parked events are as large as records.
        let LaneTopics { checkpoint, exceptions, parked, requests } = route.lane_topics(prefix);
        for (name, message_bytes, required) in [
            (checkpoint, 0, true),
            (exceptions, 0, false),
            (parked, message_bytes, false),
            (requests, 0, false),
        ] {
            expected.push(Expected { name, partitions: lanes, compacted: true, message_bytes, required });
        }
    }
    expected
}

fn check_topic(
    topic: &Expected,
    facts: &TopicDescription,
    settings: Option<&BTreeMap<String, String>>,
    brokers: usize,
    findings: &mut Findings,
) {
    let (name, before) = (&topic.name, findings.len());
    check_layout(topic, facts, brokers, findings);
    let Some(settings) = settings else {
        return findings.unknown(AREA, format!("settings of topic {name} unknown"));
    };
    let setting = |key: &str| settings.get(key).map_or("", String::as_str);
    check_cleanup_policy(topic, setting, findings);
    check_message_size(topic, setting, findings);
    if findings.len() == before {
        findings
            .ok(AREA, format!("topic {name}: {} partitions, {} replicas", facts.partitions, facts.replicas));
    }
}

fn check_layout(
    Expected { name, partitions, .. }: &Expected,
    facts: &TopicDescription,
    brokers: usize,
    findings: &mut Findings,
) {
    if facts.partitions != *partitions as usize {
        findings.error(
            AREA,
            format!("topic {name} has {} partitions, {partitions} are configured", facts.partitions),
            "correct the configuration, or use a new route with a topic of its own: a change would move streams",
        );
    }
    if brokers >= BROKERS_TO_REPLICATE && facts.replicas < 2 {
        findings.warning(
            AREA,
            format!("topic {name} has one replica on {brokers} brokers"),
            "add replicas (kafka-reassign-partitions), and set `kafka.replication` for new topics",
        );
    }
}

/// What removes records.
fn check_cleanup_policy<'a>(
    Expected { name, compacted, .. }: &Expected,
    setting: impl Fn(&str) -> &'a str,
    findings: &mut Findings,
) {
    let policy = setting("cleanup.policy");
    if *compacted {
        if policy != "compact" {
            findings.error(
                AREA,
                format!(
                    "topic {name} has cleanup.policy={policy}: what it holds would expire or never be removed"
                ),
                format!("kafka-configs --alter --topic {name} --add-config cleanup.policy=compact"),
            );
        }
        return;
    }
    let (time, bytes) = (setting("retention.ms"), setting("retention.bytes"));
    if policy.contains("compact") {
        findings.error(
            AREA,
            format!("topic {name} has cleanup.policy={policy}: all but the last event of each stream would be removed"),
            format!("kafka-configs --alter --topic {name} --add-config cleanup.policy=delete"),
        );
    } else if time != "-1" || bytes != "-1" {
        findings.warning(
            AREA,
            format!("topic {name} removes old records (retention.ms={time}, retention.bytes={bytes})"),
            "set both to -1 unless every consumer, also a future one, can do without them",
        );
    }
}

fn check_message_size<'a>(
    Expected { name, message_bytes, .. }: &Expected,
    setting: impl Fn(&str) -> &'a str,
    findings: &mut Findings,
) {
    if let Ok(largest) = setting("max.message.bytes").parse::<usize>()
        && largest < *message_bytes
    {
        findings.error(
            AREA,
            format!("topic {name} accepts messages of {largest} bytes, the relay may write {message_bytes}"),
            format!(
                "kafka-configs --alter --topic {name} --add-config max.message.bytes={message_bytes}, or lower \
                 `relay.max_record_bytes`"
            ),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Level;
    use super::*;

    fn findings_of(topic: &Expected, partitions: usize, settings: &[(&str, &str)]) -> Vec<(Level, String)> {
        let settings = settings.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let mut findings = Findings::default();
        check_topic(topic, &TopicDescription { partitions, replicas: 1 }, Some(&settings), 1, &mut findings);
        findings.into_vec().into_iter().map(|finding| (finding.level, finding.finding)).collect()
    }

    #[test]
    fn settings_that_lose_records_are_found() {
        let records = Expected {
            name: "a".to_owned(),
            partitions: 4,
            compacted: false,
            message_bytes: 1000,
            required: true,
        };
        let good = [
            ("cleanup.policy", "delete"),
            ("retention.ms", "-1"),
            ("retention.bytes", "-1"),
            ("max.message.bytes", "1000"),
        ];
        assert_eq!(findings_of(&records, 4, &good)[0].0, Level::Ok);
        for (partitions, key, value, level, says) in [
            (3, "cleanup.policy", "delete", Level::Error, "3 partitions"),
            (4, "cleanup.policy", "compact", Level::Error, "last event of each stream"),
            (4, "retention.ms", "604800000", Level::Warning, "retention.ms=604800000"),
            (4, "max.message.bytes", "999", Level::Error, "999 bytes"),
        ] {
            let mut settings = good;
            settings.iter_mut().filter(|it| it.0 == key).for_each(|it| it.1 = value);
            let found = findings_of(&records, partitions, &settings);
            assert_eq!(found.len(), 1, "{found:?}");
            assert!(found[0].0 == level && found[0].1.contains(says), "{found:?}");
        }
        let checkpoints = Expected { compacted: true, ..records };
        let found =
            findings_of(&checkpoints, 4, &[("cleanup.policy", "delete"), ("max.message.bytes", "1000")]);
        assert_eq!(found[0].0, Level::Error, "{found:?}");
    }
}
