//! Histories that are generated from the schemas.

use std::collections::VecDeque;

use aqueduct_schema::{EventSchemas, SchemaSet};
use fastrand::Rng;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use crate::history::Event;

/// 2020-01-01T00:00:00Z, near which the first event happens.
const BEGINNING: i64 = 1_577_836_800;
/// Most seconds between two events.
const PAUSE: i64 = 3_600;

/// A kind of streams that are generated, `[[generated]]` in the definition.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct GeneratedStreams {
    pub(crate) topic: String,
    /// What the streams' names begin with: `order-…`.
    pub(crate) category: String,
    /// Each stream begins with an event of one of these types.
    pub(crate) begins: Vec<String>,
    /// The types of those that follow.
    #[serde(default)]
    pub(crate) continues: Vec<String>,
    /// A field of all these types, text or a UUID, that has the part of the stream's name behind the category.
    pub(crate) id: Option<String>,
    /// How many streams there are.
    #[serde(default = "default_streams")]
    pub(crate) streams: u16,
    /// Most events of a stream.
    #[serde(default = "default_longest")]
    pub(crate) longest: u16,
}

impl GeneratedStreams {
    pub(crate) fn most_events(&self) -> usize {
        usize::from(self.streams) * usize::from(self.longest)
    }
}

fn default_streams() -> u16 {
    30
}

fn default_longest() -> u16 {
    6
}

/// An event before it has its place.
struct Draft {
    topic: usize,
    stream: String,
    revision: u64,
    event_type: String,
    data: Value,
}

/// Generates the streams of all kinds and interleaves them. The same seed gives the same history. An error says which key of
/// the definition is wrong.
pub(crate) fn generate(
    kinds: &[GeneratedStreams],
    topics: &[String],
    schemas: &SchemaSet,
    seed: u64,
) -> Result<Vec<Event>, String> {
    let mut random = Rng::with_seed(seed);
    let mut streams = Vec::new();
    for kind in kinds {
        let types = |key, names: &[String]| {
            let find = |name: &String| {
                schemas.event(name).ok_or_else(|| format!("generated.{key}: no schema of event type {name}"))
            };
            names.iter().map(find).collect::<Result<Vec<_>, _>>()
        };
        let (begins, continues) = (types("begins", &kind.begins)?, types("continues", &kind.continues)?);
        let topic = topics.iter().position(|topic| *topic == kind.topic);
        let topic = topic.ok_or_else(|| format!("generated.topic: {} is not one of topics", kind.topic))?;
        for _ in 0..kind.streams {
            streams.push(stream(kind, topic, &begins, &continues, &mut random)?);
        }
    }
    interleave(streams, &mut random)
}

fn stream(
    kind: &GeneratedStreams,
    topic: usize,
    begins: &[&EventSchemas],
    continues: &[&EventSchemas],
    random: &mut Rng,
) -> Result<VecDeque<Draft>, String> {
    // Text as well as a UUID.
    let id = uuid::Builder::from_random_bytes(random.u128(..).to_be_bytes()).into_uuid();
    let longest = if continues.is_empty() { 1 } else { u64::from(kind.longest) };
    let length = random.u64(1..=longest);
    let mut drafts = VecDeque::new();
    for revision in 0..length {
        let types = if revision == 0 { begins } else { continues };
        let event = random.choice(types).ok_or("generated.begins: at least one event type")?;
        drafts.push_back(Draft {
            topic,
            stream: format!("{}-{id}", kind.category),
            revision,
            event_type: event.event_type().to_owned(),
            data: data(event, kind.id.as_deref().map(|field| (field, id)), random)?,
        });
    }
    Ok(drafts)
}

/// A random event with the id of its stream.
fn data(event: &EventSchemas, id: Option<(&str, Uuid)>, random: &mut Rng) -> Result<Value, String> {
    let name = event.event_type();
    let mut data = event.sample(random).map_err(|problem| format!("event type {name}: {problem}"))?;
    if let Some((field, id)) = id {
        match data.get_mut(field) {
            Some(value) => *value = id.to_string().into(),
            None => return Err(format!("generated.id: event type {name} has no field {field}")),
        }
    }
    Ok(data)
}

/// Each stream keeps its order.
fn interleave(mut streams: Vec<VecDeque<Draft>>, random: &mut Rng) -> Result<Vec<Event>, String> {
    let mut events = Vec::new();
    let mut seconds = BEGINNING;
    while !streams.is_empty() {
        let index = random.usize(..streams.len());
        let Some(draft) = streams[index].pop_front() else {
            streams.swap_remove(index);
            continue;
        };
        let Draft { topic, stream, revision, event_type, data } = draft;
        seconds += random.i64(0..=PAUSE);
        let time = Timestamp::UNIX_EPOCH + SignedDuration::from_secs(seconds);
        let data = serde_json::value::to_raw_value(&data).map_err(|error| error.to_string())?;
        let line = events.len() + 1;
        events.push(Event { line, topic, stream, revision, event_type, version: None, time, data });
    }
    Ok(events)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::Path;

    use super::*;

    fn orders() -> GeneratedStreams {
        let types = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        GeneratedStreams {
            topic: "shop.orders".to_owned(),
            category: "order".to_owned(),
            begins: types(&["OrderCreated"]),
            continues: types(&["OrderConfirmed", "OrderCancelled"]),
            id: Some("orderId".to_owned()),
            streams: 20,
            longest: 5,
        }
    }

    fn generated(kind: GeneratedStreams, seed: u64) -> Result<Vec<Event>, String> {
        let schemas = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schemas");
        generate(&[kind], &["shop.orders".to_owned()], &SchemaSet::load(schemas).unwrap(), seed)
    }

    #[test]
    fn revisions_follow_each_other_and_events_name_their_streams() {
        let mut streams: BTreeMap<String, Vec<Event>> = BTreeMap::new();
        for event in generated(orders(), 1).unwrap() {
            streams.entry(event.stream.clone()).or_default().push(event);
        }
        assert_eq!(streams.len(), 20);
        for (name, events) in &streams {
            let id = name.strip_prefix("order-").unwrap();
            assert_eq!(events[0].event_type, "OrderCreated");
            for (revision, event) in (0..).zip(events) {
                assert_eq!((event.revision, revision == 0), (revision, event.event_type == "OrderCreated"));
                let data: Value = serde_json::from_str(event.data.get()).unwrap();
                assert_eq!(data["orderId"], id);
            }
        }
        let lengths = streams.values().map(Vec::len);
        assert_eq!((lengths.clone().min(), lengths.max()), (Some(1), Some(5)));
    }

    #[test]
    fn a_seed_gives_one_history() {
        let texts = |seed| {
            let line =
                |event: Event| format!("{} {} {} {}", event.time, event.stream, event.revision, event.data);
            generated(orders(), seed).unwrap().into_iter().map(line).collect::<Vec<_>>()
        };
        assert_eq!(texts(1), texts(1));
        assert_ne!(texts(1), texts(2));
    }

    #[test]
    fn a_mistake_is_named() {
        let problem = |kind| generated(kind, 1).unwrap_err();
        let kind = GeneratedStreams { begins: vec!["OrderMade".to_owned()], ..orders() };
        assert_eq!(problem(kind), "generated.begins: no schema of event type OrderMade");
        let kind = GeneratedStreams { id: Some("order".to_owned()), ..orders() };
        assert_eq!(problem(kind), "generated.id: event type OrderCreated has no field order");
        let kind = GeneratedStreams { topic: "orders".to_owned(), ..orders() };
        assert_eq!(problem(kind), "generated.topic: orders is not one of topics");
        let kind = GeneratedStreams { begins: Vec::new(), ..orders() };
        assert_eq!(problem(kind), "generated.begins: at least one event type");
    }
}
