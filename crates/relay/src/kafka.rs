//! How the relay's Kafka clients are set up. The settings here carry promises; see the comments.

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::client::ClientContext;
use rdkafka::config::{FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::{KafkaError, KafkaResult};

use crate::{Options, Route};

/// Longest wait for an answer about metadata, offsets or a partition's end.
pub(crate) const REQUEST_TIMEOUT: Duration = Duration::from_secs(15);

fn base(options: &Options) -> ClientConfig {
    let mut config = ClientConfig::new();
    // librdkafka would wait up to 10 s before it looks whether a broker is back.
    config.set("reconnect.backoff.max.ms", "1000");
    for (key, value) in &options.properties {
        config.set(key, value);
    }
    config.set("bootstrap.servers", &options.brokers).set_log_level(RDKafkaLogLevel::Info);
    config
}

pub(crate) fn admin(options: &Options) -> ClientConfig {
    base(options)
}

/// What a client and a topic have to let through: beside key, value and headers, what the record format adds.
pub(crate) fn largest_message(options: &Options) -> usize {
    options.max_record_bytes.get().saturating_add(4096)
}

pub(crate) fn producer(options: &Options, transactional_id: &str) -> ClientConfig {
    let timeout = options.transaction_timeout_ms.to_string();
    let mut config = base(options);
    config
        .set("transactional.id", transactional_id)
        .set("enable.idempotence", "true")
        .set("acks", "all")
        .set("transaction.timeout.ms", &timeout)
        .set("message.timeout.ms", &timeout)
        .set("message.max.bytes", largest_message(options).to_string())
        // A batch is complete when it is sent: waiting would be paid once per transaction.
        .set("linger.ms", "0")
        // librdkafka's own default is not Java's. The relay names the partition of each record; this is for
        // whoever changes that.
        .set("partitioner", "murmur2_random");
    config
}

/// A consumer that is told what to read and from where. It never joins the group.
pub(crate) fn reader(options: &Options, route: &Route) -> ClientConfig {
    let mut config = consumer(options, route);
    config
        .set("isolation.level", "read_committed")
        // Transaction markers take offsets: only this tells that nothing more will come.
        .set("enable.partition.eof", "true")
        .set("fetch.wait.max.ms", "10");
    config
}

/// The member of the group through which instances share a route's lanes.
pub(crate) fn member(options: &Options, route: &Route) -> ClientConfig {
    let mut config = consumer(options, route);
    config
        .set("session.timeout.ms", options.session_timeout_ms.to_string())
        // How soon it shows that the brokers are gone.
        .set("statistics.interval.ms", "1000")
        .set("heartbeat.interval.ms", (options.session_timeout_ms / 3).max(1).to_string())
        // Lanes that stay here go on while others move.
        .set("partition.assignment.strategy", "cooperative-sticky");
    config
}

fn consumer(options: &Options, route: &Route) -> ClientConfig {
    let mut config = base(options);
    config
        .set("group.id", options.group(route))
        // Neither consumer may create what it reads, commit anything, or jump to an offset by itself.
        .set("allow.auto.create.topics", "false")
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("auto.offset.reset", "error");
    config
}

/// Makes a client. The error for a property that librdkafka refuses names it without its value, which may be a
/// password.
pub(crate) fn client<C, T>(config: &ClientConfig, context: C) -> KafkaResult<T>
where
    C: ClientContext,
    T: FromClientConfigAndContext<C>,
{
    T::from_config_and_context(config, context).map_err(|error| match error {
        // librdkafka's own text shows values only of properties that have a list of them.
        KafkaError::ClientConfig(result, text, property, _) => {
            KafkaError::ClientConfig(result, text, property, "(its value is not shown)".to_owned())
        }
        other => other,
    })
}

/// Passes what librdkafka says on to `tracing`. None of it is more than a warning: it tries again by itself, and
/// what it gives up fails a call.
pub(crate) fn log(level: RDKafkaLogLevel, facility: &str, message: &str) {
    match level {
        RDKafkaLogLevel::Emerg
        | RDKafkaLogLevel::Alert
        | RDKafkaLogLevel::Critical
        | RDKafkaLogLevel::Error
        | RDKafkaLogLevel::Warning => tracing::warn!(target: "librdkafka", facility, "{message}"),
        RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info => {
            tracing::debug!(target: "librdkafka", facility, "{message}");
        }
        RDKafkaLogLevel::Debug => tracing::trace!(target: "librdkafka", facility, "{message}"),
    }
}

/// Passes an error that belongs to no call on to `tracing`; what matters of it stands in the log too.
pub(crate) fn log_error(error: &KafkaError, reason: &str) {
    tracing::debug!(target: "librdkafka", %error, "{reason}");
}

/// The context of clients that need nothing but their log.
pub(crate) struct LogContext;

impl ClientContext for LogContext {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        log_error(&error, reason);
    }
}

impl ConsumerContext for LogContext {}

#[cfg(test)]
mod tests {
    use rdkafka::consumer::BaseConsumer;

    use super::*;
    use crate::error::chain;
    use crate::{LaneError, Pump};

    #[test]
    fn a_refused_property_is_named_without_its_value() {
        let mut options = Options::default();
        options.properties.insert("ssl.key.passwrod".to_owned(), "hunter2".to_owned());
        let reader = client::<_, BaseConsumer<_>>(&admin(&options), LogContext).err().unwrap();
        let texts = [
            chain(&LaneError::kafka("create a reader")(reader)),
            chain(&Pump::open(&options, "aqueduct.orders.0").err().unwrap()),
        ];
        for text in texts {
            assert!(text.contains("ssl.key.passwrod") && !text.contains("hunter2"), "{text}");
        }
    }
}
