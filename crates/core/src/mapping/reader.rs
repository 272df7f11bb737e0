//! Reads schema version, time, ids and trace context of an event.

use std::borrow::Cow;
use std::fmt;

use jiff::Timestamp;
use uuid::Uuid;

use crate::ids::CommandId;
use crate::mapping::configuration::ConfigurationError;
use crate::mapping::extract::{MAX_VALUES, PointerTree, Values};
use crate::mapping::left_out::LeftOut;
use crate::mapping::metadata::MetadataMapping;
use crate::mapping::pointer::{EventPointer, Part};
use crate::mapping::time::{self, TimeUnit};
use crate::mapping::trace_context;
use crate::mapping::trace_context::TracePointer;
use crate::mapping::value;

impl MetadataMapping {
    /// Checks the mapping and prepares it for reading.
    pub fn compile(&self) -> Result<MetadataReader, ConfigurationError> {
        let mut slots = Slots::default();
        let mut reader = MetadataReader {
            schema_version: slots.add(&self.schema_version_pointers()),
            time: self.time_pointers().iter().map(|it| (slots.place(&it.pointer), it.unit)).collect(),
            correlation_id: slots.add(&self.correlation_id_pointers()),
            causation_id: slots.add(&self.causation_id_pointers()),
            traceparents: Vec::new(),
            trace_pairs: Vec::new(),
            command_id: slots.place(&EventPointer::metadata("commandId")),
            own_schema_version: slots.place(&EventPointer::metadata("schemaVersion")),
            metadata: PointerTree::default(),
            data: PointerTree::default(),
        };
        for pointer in self.trace_pointers() {
            match pointer {
                TracePointer::Traceparent(pointer) => reader.traceparents.push(slots.place(&pointer)),
                TracePointer::Pair { trace_id, span_id } => {
                    reader.trace_pairs.push((slots.place(&trace_id), slots.place(&span_id)));
                }
            }
        }
        if slots.used > MAX_VALUES {
            let problem = format!("{} different pointers, at most {MAX_VALUES} can be read", slots.used);
            return Err(ConfigurationError::new("metadata", problem));
        }
        (reader.metadata, reader.data) = (slots.metadata, slots.data);
        Ok(reader)
    }
}

/// Pointers and the places of their values while a mapping is compiled.
#[derive(Default)]
struct Slots {
    used: usize,
    metadata: PointerTree,
    data: PointerTree,
}

impl Slots {
    fn place(&mut self, pointer: &EventPointer) -> Place {
        let tree = match pointer.part() {
            Part::Metadata => &mut self.metadata,
            Part::Data => &mut self.data,
        };
        let slot = tree.add(pointer, self.used);
        if slot == self.used {
            self.used += 1;
        }
        Place { part: pointer.part(), slot, pointer: pointer.to_string().into() }
    }

    fn add(&mut self, pointers: &[EventPointer]) -> Vec<Place> {
        pointers.iter().map(|pointer| self.place(pointer)).collect()
    }
}

/// A pointer and where its value is kept while an event is read.
#[derive(Debug, Clone)]
struct Place {
    part: Part,
    slot: usize,
    pointer: Box<str>,
}

/// A compiled [`MetadataMapping`]. An event's metadata is parsed once, its data only if a pointer into it may
/// win.
#[derive(Debug, Clone)]
pub struct MetadataReader {
    schema_version: Vec<Place>,
    time: Vec<(Place, Option<TimeUnit>)>,
    correlation_id: Vec<Place>,
    causation_id: Vec<Place>,
    traceparents: Vec<Place>,
    trace_pairs: Vec<(Place, Place)>,
    command_id: Place,
    own_schema_version: Place,
    metadata: PointerTree,
    data: PointerTree,
}

impl MetadataReader {
    /// Reads an event. A schema version or time of a wrong form, or longer than 1 KiB, is an error; an id or
    /// trace context of a wrong form is left out and reported in [`EventMetadata::left_out`].
    pub fn read<'a>(
        &self,
        metadata: &'a [u8],
        data: &'a [u8],
    ) -> Result<EventMetadata<'a>, MetadataFieldError> {
        let mut values = Values::default();
        let mut left_out =
            LeftOut { metadata: self.metadata.read(metadata, &mut values).err(), ..LeftOut::default() };
        if self.needs_data(&values) {
            // Data that is not a JSON object holds no field. That it cannot be a record is found elsewhere.
            let _unreadable = self.data.read(data, &mut values);
        }
        let command_id = values.get(self.command_id.slot).and_then(command_id);
        let schema_version = self.schema_version(&values, command_id.is_some())?;
        let time = self.time(&values)?;
        let correlation_id = id(&self.correlation_id, &values, &mut left_out.correlation_id);
        let causation_id = id(&self.causation_id, &values, &mut left_out.causation_id);
        let traceparent = self.trace_context(&values, &mut left_out.trace_context);
        Ok(EventMetadata {
            schema_version,
            time,
            correlation_id,
            causation_id,
            traceparent,
            command_id,
            left_out,
        })
    }

    /// Whether a pointer into the data comes before the first one that was found in the metadata.
    fn needs_data(&self, values: &Values<'_>) -> bool {
        fn wants<'p>(mut places: impl Iterator<Item = &'p Place>, values: &Values<'_>) -> bool {
            let decides = |place: &&Place| place.part == Part::Data || values.get(place.slot).is_some();
            places.find(decides).is_some_and(|place| place.part == Part::Data)
        }
        if self.data.is_empty() {
            return false;
        }
        let pairs = self.trace_pairs.iter().flat_map(|(trace_id, span_id)| [trace_id, span_id]);
        wants(self.schema_version.iter(), values)
            || wants(self.time.iter().map(|(place, _)| place), values)
            || wants(self.correlation_id.iter(), values)
            || wants(self.causation_id.iter(), values)
            || wants(self.traceparents.iter(), values)
            || pairs.into_iter().any(|place| place.part == Part::Data)
    }

    fn schema_version(&self, values: &Values<'_>, is_own: bool) -> Result<Option<u32>, MetadataFieldError> {
        // What a repository appended keeps its version, even where the built-in pointers are turned off.
        let own =
            || Some((&self.own_schema_version, values.get(self.own_schema_version.slot).filter(|_| is_own)?));
        let Some((place, json)) = first(&self.schema_version, values).or_else(own) else { return Ok(None) };
        let field = MetadataField::SchemaVersion;
        value::version(json).map(Some).map_err(|problem| MetadataFieldError::new(field, place, problem))
    }

    fn time(&self, values: &Values<'_>) -> Result<Option<Timestamp>, MetadataFieldError> {
        let found = self.time.iter().find_map(|(place, unit)| Some((place, unit, values.get(place.slot)?)));
        let Some((place, unit, json)) = found else { return Ok(None) };
        let field = MetadataField::Time;
        time::parse(json, *unit).map(Some).map_err(|problem| MetadataFieldError::new(field, place, problem))
    }

    fn trace_context<'a>(&self, values: &Values<'a>, left_out: &mut bool) -> Option<Cow<'a, str>> {
        let found = if let Some((_, json)) = first(&self.traceparents, values) {
            trace_context::traceparent(json)
        } else {
            let pair = |(trace_id, span_id): &(Place, Place)| {
                Some((values.get(trace_id.slot)?, values.get(span_id.slot)?))
            };
            let (trace_id, span_id) = self.trace_pairs.iter().find_map(pair)?;
            trace_context::from_pair(trace_id, span_id).map(Cow::Owned)
        };
        *left_out = found.is_none();
        found
    }
}

fn first<'p, 'a>(places: &'p [Place], values: &Values<'a>) -> Option<(&'p Place, &'a str)> {
    places.iter().find_map(|place| Some((place, values.get(place.slot)?)))
}

fn id<'a>(places: &[Place], values: &Values<'a>, left_out: &mut bool) -> Option<Cow<'a, str>> {
    let (_, json) = first(places, values)?;
    let id = value::id(json).ok();
    *left_out = id.is_none();
    id
}

fn command_id(json: &str) -> Option<CommandId> {
    let id = value::id(json).ok()?;
    Uuid::try_parse(&id).ok().map(CommandId::from)
}

/// What was found in an event. Texts borrow from it where they need no unescaping.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct EventMetadata<'a> {
    /// Version of the schema of the data; none means the latest.
    pub schema_version: Option<u32>,
    /// When the event happened; none means the time at which the store recorded it.
    pub time: Option<Timestamp>,
    /// Shared by everything that follows from one request.
    pub correlation_id: Option<Cow<'a, str>>,
    /// What the event follows from.
    pub causation_id: Option<Cow<'a, str>>,
    /// W3C trace context, `00-<trace id>-<span id>-<flags>`.
    pub traceparent: Option<Cow<'a, str>>,
    /// The command that appended the event, where `commandId` of the metadata is a UUID.
    pub command_id: Option<CommandId>,
    /// What could not be used.
    pub left_out: LeftOut,
}

/// A field of the metadata whose wrong form makes a bad event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MetadataField {
    /// The version of the event's schema.
    SchemaVersion,
    /// When the event happened.
    Time,
}

impl fmt::Display for MetadataField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SchemaVersion => "schema version",
            Self::Time => "time",
        })
    }
}

/// A schema version or time of a wrong form. The message does not contain the value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the {field} at {pointer} {problem}")]
pub struct MetadataFieldError {
    /// Which field.
    pub field: MetadataField,
    /// Where it was found, `metadata:/eventVersion`.
    pub pointer: String,
    /// What it is: `is a boolean`.
    pub problem: &'static str,
}

impl MetadataFieldError {
    fn new(field: MetadataField, place: &Place, problem: &'static str) -> Self {
        Self { field, pointer: place.pointer.to_string(), problem }
    }
}

#[cfg(test)]
mod tests;
