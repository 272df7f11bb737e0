//! Properties that cannot be configured.

/// Sorted; librdkafka's aliases are listed too. Its names are case-sensitive.
const RESERVED: [&str; 36] = [
    "acks",
    "allow.auto.create.topics",
    "auto.commit.enable",
    "auto.offset.reset",
    "batch.num.messages",
    "batch.size",
    "bootstrap.servers",
    "delivery.timeout.ms",
    "enable.auto.commit",
    "enable.auto.offset.store",
    "enable.idempotence",
    "enable.partition.eof",
    "group.id",
    "group.instance.id",
    "group.protocol",
    "group.protocol.type",
    "group.remote.assignor",
    "heartbeat.interval.ms",
    "isolation.level",
    "linger.ms",
    "log.queue",
    "log_level",
    "message.max.bytes",
    "message.timeout.ms",
    "metadata.broker.list",
    "partition.assignment.strategy",
    "partitioner",
    "queue.buffering.max.ms",
    "queuing.strategy",
    "request.required.acks",
    "session.timeout.ms",
    "statistics.interval.ms",
    "test.mock.broker.rtt",
    "test.mock.num.brokers",
    "transaction.timeout.ms",
    "transactional.id",
];

/// A property is configured that the product sets itself.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("kafka property \"{property}\" is set by aqueduct: remove it")]
pub struct ReservedProperty {
    /// The property's name.
    pub property: String,
}

pub(crate) fn find_reserved<'a>(mut names: impl Iterator<Item = &'a String>) -> Option<ReservedProperty> {
    let property = names.find(|name| RESERVED.binary_search(&name.as_str()).is_ok())?;
    Some(ReservedProperty { property: property.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_sorted_and_each_entry_is_found() {
        assert!(RESERVED.is_sorted());
        for name in RESERVED {
            let name = name.to_owned();
            assert_eq!(find_reserved([&name].into_iter()), Some(ReservedProperty { property: name.clone() }));
        }
    }
}
