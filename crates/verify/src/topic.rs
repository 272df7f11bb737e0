//! A topic that is compared.

use std::collections::BTreeMap;

use aqueduct_core::{ContentType, Position, RecordedEvent};

use crate::mapping::{MetadataMapping, TypeMap};
use crate::murmur2::partition;
use crate::options::Options;
use crate::route::Route;
use crate::selection::{Selection, has_type};

/// Which events go to which topic, and how they are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Topic {
    /// Its name.
    pub(crate) name: String,
    /// The events it carries.
    pub(crate) selection: Selection,
    /// Where to look in them, built-in places included.
    pub(crate) metadata: MetadataMapping,
    /// What they are called.
    pub(crate) types: TypeMap,
    /// Stored types, or globs of them, that are JSON whatever their content type says.
    pub(crate) json_types: Vec<String>,
    /// Event types that count from a position on, by lane.
    pub(crate) since: Since,
    /// How many partitions it has.
    pub(crate) partitions: i32,
}

impl Topic {
    /// The topic of a route, read as its keys and those for all routes say.
    pub(crate) fn new(options: &Options, name: &str, route: &Route, partitions: i32) -> Self {
        Self {
            name: name.to_owned(),
            selection: route.selection.clone(),
            metadata: route.metadata.then(&options.events.metadata).complete(),
            types: route.types.or(&options.events.types),
            json_types: route.json_types.clone(),
            since: Since::default(),
            partitions,
        }
    }

    /// Whether an event is one of the topic.
    pub(crate) fn selects(&self, event: &RecordedEvent) -> bool {
        let counts = |named: &String| self.since.counts(named, event);
        if self.since.is_empty() || self.selection.event_types.iter().all(counts) {
            return self.selection.selects(&event.stream, &event.event_type);
        }
        let event_types: Vec<String> =
            self.selection.event_types.iter().filter(|named| counts(named)).cloned().collect();
        // Without any type a selection would take them all.
        let narrowed = Selection { event_types, ..self.selection.clone() };
        !narrowed.event_types.is_empty() && narrowed.selects(&event.stream, &event.event_type)
    }

    /// Whether the event is declared to be JSON, by its writer or by the route.
    pub(crate) fn is_json(&self, event: &RecordedEvent) -> bool {
        event.content_type == ContentType::Json || has_type(&self.json_types, &event.event_type)
    }
}

/// Event types that were added to a route after it had begun, by lane: their events count from a position on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Since(pub(crate) Vec<BTreeMap<String, Position>>);

impl Since {
    fn is_empty(&self) -> bool {
        self.0.iter().all(BTreeMap::is_empty)
    }

    /// Whether a configured type, or glob, counts for an event.
    fn counts(&self, named: &str, event: &RecordedEvent) -> bool {
        let lanes = i32::try_from(self.0.len()).unwrap_or(i32::MAX);
        let lane = partition(event.stream.as_str().as_bytes(), lanes);
        let lane = usize::try_from(lane).ok().and_then(|lane| self.0.get(lane));
        lane.and_then(|lane| lane.get(named)).is_none_or(|since| event.position > *since)
    }
}
