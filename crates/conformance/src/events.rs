//! Records of events, as the relay makes them.

use std::sync::Arc;

use aqueduct_relay::header;
use aqueduct_schema::{RecordEncoder, Registry, SchemaSet, TopicEvents, publish};
use uuid::Uuid;

use crate::error::Error;
use crate::history::Event;
use crate::record::Record;

/// `ce_source` of the records.
const SOURCE: &str = "conformance";

/// The event types of each topic, for the registry. `names` are those of the topics.
pub(crate) fn carried(events: &[Event], names: &[String]) -> Vec<TopicEvents> {
    let of_topic = |(index, topic): (usize, &String)| {
        let types = events.iter().filter(|event| event.topic == index).map(|event| event.event_type.clone());
        let mut event_types: Vec<String> = types.collect();
        event_types.sort();
        event_types.dedup();
        TopicEvents { topic: topic.clone(), event_types }
    };
    names.iter().enumerate().map(of_topic).collect()
}

/// Publishes the schemas and makes a record of each event.
pub(crate) async fn encode(
    events: &[Event],
    topics: &[String],
    set: &Arc<SchemaSet>,
    registry: &Registry,
) -> Result<Vec<Record>, Error> {
    publish(set, registry, &carried(events, topics)).await?;
    let encoders: Vec<_> = topics
        .iter()
        .map(|topic| RecordEncoder::new(Arc::clone(set), registry.clone(), topic.clone()))
        .collect();
    let mut records = Vec::with_capacity(events.len());
    for (position, event) in events.iter().enumerate() {
        let encoder = &encoders[event.topic];
        encoder.prepare([event.event_type.as_str()]).await?;
        let json = event.data.get().as_bytes();
        let encoded = encoder.encode(&event.event_type, event.version, json);
        let encoded = encoded.map_err(|source| Error::Event { line: event.line, source })?;
        records.push(Record {
            topic: event.topic,
            stream: event.stream.clone(),
            revision: event.revision,
            event_type: event.event_type.clone(),
            key: event.stream.clone().into_bytes(),
            headers: headers(event, position, &encoded.full_name, encoded.schema_version),
            value: Some(encoded.bytes.to_vec()),
            damage: None,
        });
    }
    Ok(records)
}

fn headers(
    event: &Event,
    position: usize,
    full_name: &str,
    schema_version: u32,
) -> Vec<(&'static str, Vec<u8>)> {
    let Event { stream, revision, .. } = event;
    let id = format!("{revision}@{stream}");
    let previous = revision.checked_sub(1).map_or("-1".to_owned(), |previous| previous.to_string());
    // A function of the event: a second run of the kit sends the same.
    let event_id = Uuid::new_v5(&Uuid::NAMESPACE_OID, id.as_bytes());
    [
        (header::CONTENT_TYPE, "application/avro".to_owned()),
        (header::SPEC_VERSION, "1.0".to_owned()),
        (header::ID, id),
        (header::TYPE, full_name.to_owned()),
        (header::SOURCE, SOURCE.to_owned()),
        (header::SUBJECT, stream.clone()),
        (header::TIME, event.time.to_string()),
        (header::EVENT_ID, event_id.to_string()),
        (header::REVISION, revision.to_string()),
        (header::POSITION, position.to_string()),
        (header::SCHEMA_VERSION, schema_version.to_string()),
        (header::PREVIOUS_REVISION, previous),
    ]
    .map(|(name, value)| (name, value.into_bytes()))
    .into()
}
