//! Creating clients.

use rdkafka::ClientConfig;
use rdkafka::client::ClientContext;
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::error::{KafkaError, KafkaResult};

/// Creates a client. The error for a property that librdkafka refuses names the property without its value,
/// which may be a password.
pub fn create_client<C, T>(config: &ClientConfig, context: C) -> KafkaResult<T>
where
    C: ClientContext,
    T: FromClientConfigAndContext<C>,
{
    T::from_config_and_context(config, context).map_err(|error| match error {
        // The description contains values only of properties with a fixed list of them.
        KafkaError::ClientConfig(result, description, property, _) => {
            KafkaError::ClientConfig(result, description, property, "(value not shown)".to_owned())
        }
        other => other,
    })
}

#[cfg(test)]
mod tests {
    use rdkafka::consumer::BaseConsumer;
    use rdkafka::producer::{BaseProducer, DefaultProducerContext};

    use super::*;
    use crate::{Cluster, LogContext};

    #[test]
    fn a_refused_property_is_named_without_its_value() {
        let mut cluster = Cluster::default();
        cluster.properties.insert("ssl.key.passwrod".to_owned(), "hunter2".to_owned());
        let config = cluster.config(&[]);
        let errors = [
            create_client::<_, BaseConsumer<_>>(&config, LogContext).err().unwrap(),
            create_client::<_, BaseProducer<_>>(&config, DefaultProducerContext).err().unwrap(),
        ];
        for error in errors {
            for text in [error.to_string(), format!("{error:?}")] {
                assert!(text.contains("ssl.key.passwrod") && !text.contains("hunter2"), "{text}");
            }
        }
    }
}
