//! Registers what the topics carry.

use crate::registry::client::Registry;
use crate::registry::error::RegistryError;
use crate::registry::subject::subject;
use crate::set::{EventSchemas, SchemaSet};

/// Which event types a topic carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicEvents {
    /// Name of the Kafka topic.
    pub topic: String,
    /// The event types. The topic carries their latest version.
    pub event_types: Vec<String>,
}

/// A schema that the registry now has.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Published {
    /// Topic and record name.
    pub subject: String,
    /// The version in the registry, which counts what was registered: not the file's number.
    pub version: u32,
    /// The id that records carry.
    pub id: u32,
    /// Mapped name of the event type, `OrderCreated`.
    pub event_type: String,
    /// The number of the file, `vN.avsc`.
    pub schema_version: u32,
}

/// Why not everything was published. What was registered before stays; publishing again is safe.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// A topic carries an event type that has no schema.
    #[error("topic {topic:?} carries event type {event_type}, which has no schema")]
    UnknownEventType {
        /// Name of the Kafka topic.
        topic: String,
        /// Mapped name of the event type, `OrderCreated`.
        event_type: String,
    },
    /// The registry failed or refused.
    #[error(transparent)]
    Registry(#[from] RegistryError),
}

/// The subjects that do not have the latest version of an event type that the topics carry. Registers nothing.
pub async fn unpublished(
    set: &SchemaSet,
    registry: &Registry,
    topics: &[TopicEvents],
) -> Result<Vec<String>, PublishError> {
    let mut missing = Vec::new();
    for carried in carried(set, topics) {
        let Carried { subject, event, .. } = carried?;
        match registry.look_up(&subject, &event.last().schema).await {
            Ok(_) => {}
            Err(error) if error.is_unknown() => missing.push(subject),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(missing)
}

/// Registers the latest version of each event type under each topic that carries it, without upcast rules.
/// Idempotent: what the registry has keeps its version and id.
pub async fn publish(
    set: &SchemaSet,
    registry: &Registry,
    topics: &[TopicEvents],
) -> Result<Vec<Published>, PublishError> {
    let mut published = Vec::new();
    for carried in carried(set, topics) {
        let Carried { subject, event_type, event } = carried?;
        let registered = registry.register(&subject, &event.last().schema).await?;
        published.push(Published {
            subject,
            version: registered.version,
            id: registered.id,
            event_type: event_type.to_owned(),
            schema_version: event.latest(),
        });
    }
    Ok(published)
}

/// An event type that a topic carries.
struct Carried<'a> {
    subject: String,
    event_type: &'a str,
    event: &'a EventSchemas,
}

/// The event types of all topics, topic by topic.
fn carried<'a>(
    set: &'a SchemaSet,
    topics: &'a [TopicEvents],
) -> impl Iterator<Item = Result<Carried<'a>, PublishError>> {
    let of_topic = move |TopicEvents { topic, event_types }: &'a TopicEvents| {
        event_types.iter().map(move |event_type| {
            let event = set.event(event_type).ok_or_else(|| PublishError::UnknownEventType {
                topic: topic.clone(),
                event_type: event_type.clone(),
            })?;
            Ok(Carried { subject: subject(topic, event.full_name()), event_type, event })
        })
    };
    topics.iter().flat_map(of_topic)
}
