//! One record against its event.

use aqueduct_core::{RecordedEvent, Revision};
use serde_json::Value;

use super::record::Record;
use crate::metadata::Metadata;
use crate::payload::{Schema, difference};
use crate::system::System;

/// What an event says, read once for all topics.
#[derive(Debug)]
pub(super) struct Stored {
    metadata: Metadata,
    data: Value,
}

impl Stored {
    /// `Err` says why the event can't have a record.
    pub(super) fn read(event: &RecordedEvent) -> Result<Self, String> {
        let metadata = Metadata::read(&event.metadata)?;
        match serde_json::from_slice(&event.data) {
            Ok(data @ Value::Object(_)) => Ok(Self { metadata, data }),
            Ok(_) => Err("its data is not a JSON object".to_owned()),
            Err(error) => Err(format!("its data is not JSON: {error}")),
        }
    }
}

/// The revision that the header of the previous record must name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Previous {
    /// There is none before it.
    None,
    /// This one.
    Is(Revision),
    /// The stream was truncated: any lower one, or no header.
    Truncated,
}

/// What a comparison has shown.
#[derive(Debug, Default)]
pub(super) struct Compared {
    pub(super) differences: Vec<String>,
    /// The record has a later version than the store.
    pub(super) upcast: bool,
    /// The payload was compared.
    pub(super) payload: bool,
}

/// Compares headers and payload; `schema` is the writer's, or why there is none.
pub(super) fn compare(
    record: &Record,
    event: &RecordedEvent,
    stored: &Stored,
    previous: Previous,
    schema: Result<&Schema, &str>,
    (system, source): (Option<&dyn System>, &str),
) -> Compared {
    let mut compared = Compared::default();
    let found = record.number("ce_schemaversion").and_then(|version| u32::try_from(version).ok());
    let version = stored.metadata.version.or(found).unwrap_or(0);
    let (latest, data) = match system {
        Some(system) => match system.latest(&event.event_type, version, stored.data.clone()) {
            Ok((latest, data)) => (latest, Some(data)),
            Err(text) => {
                compared.differences.push(format!("should have no record: {text}"));
                return compared;
            }
        },
        // The rules are not known here: a later version is what some rule made of the stored one.
        None if found.is_some_and(|found| found > version) => (found.unwrap_or(version), None),
        None => (version, Some(stored.data.clone())),
    };
    compared.upcast = stored.metadata.version.is_some_and(|stored| stored < latest);
    compared.payload = data.is_some();
    let full_name = match system {
        Some(system) => system.full_name(&event.event_type).unwrap_or_default().to_owned(),
        None => schema.map_or_else(|_| event.event_type.clone(), |schema| schema.full_name().to_owned()),
    };
    headers(record, event, &stored.metadata, (latest, &full_name, source), &mut compared.differences);
    compared.differences.extend(previous_revision(record, event.revision, previous));
    match schema {
        Ok(schema) => {
            compared.differences.extend(payload(record, schema, data.as_ref()));
            compared.differences.extend(name(schema, event, &full_name));
        }
        Err(text) => compared.differences.push(text.to_owned()),
    }
    compared
}

fn headers(
    record: &Record,
    event: &RecordedEvent,
    metadata: &Metadata,
    (version, full_name, source): (u32, &str, &str),
    wrong: &mut Vec<String>,
) {
    let expected = [
        ("content-type", Some("application/avro".to_owned())),
        ("ce_specversion", Some("1.0".to_owned())),
        ("ce_id", Some(event.reference())),
        ("ce_type", Some(full_name.to_owned())),
        ("ce_source", Some(source.to_owned())),
        ("ce_subject", Some(event.stream.to_string())),
        ("ce_eventid", Some(event.id.to_string())),
        ("ce_revision", Some(event.revision.to_string())),
        ("ce_position", Some(event.position.to_string())),
        ("ce_schemaversion", Some(version.to_string())),
        ("ce_subindex", None),
        ("ce_subcount", None),
        ("ce_previoussubindex", None),
        ("ce_correlationid", metadata.correlation_id.clone()),
        ("ce_causationid", metadata.causation_id.clone()),
        ("traceparent", metadata.traceparent.clone()),
    ];
    for (name, expected) in &expected {
        let found: Vec<_> = record.headers.iter().filter(|(found, _)| found == name).collect();
        if found.len() > 1 {
            wrong.push(format!("header {name} is there {} times", found.len()));
        }
        let found = found.first().map(|(_, value)| String::from_utf8_lossy(value));
        if found.as_deref() != expected.as_deref() {
            let (found, expected) = (found.as_deref().unwrap_or("none"), expected.as_deref());
            wrong.push(format!("header {name} is {found}, expected {}", expected.unwrap_or("none")));
        }
    }
    // RFC 3339 writes one time in several ways.
    let expected = metadata.time.unwrap_or(event.created);
    if record.header("ce_time").and_then(|text| text.parse::<jiff::Timestamp>().ok()) != Some(expected) {
        let found = record.header("ce_time").unwrap_or("none");
        wrong.push(format!("header ce_time is {found}, expected {expected}"));
    }
}

fn previous_revision(record: &Record, revision: Revision, previous: Previous) -> Option<String> {
    let found = record.header("ce_previousrevision");
    let expected = match previous {
        Previous::None => "-1".to_owned(),
        Previous::Is(previous) => previous.to_string(),
        Previous::Truncated => {
            let number = found.map(|text| text.parse::<i64>().ok());
            let lower = |number: i64| u64::try_from(number).map_or(number == -1, |number| number < revision);
            let fits = number.is_none_or(|number| number.is_some_and(lower));
            return (!fits).then(|| {
                format!("header ce_previousrevision is {}, expected a lower one", found.unwrap_or("none"))
            });
        }
    };
    let times = record.headers.iter().filter(|(name, _)| name == "ce_previousrevision").count();
    if times > 1 {
        return Some(format!("header ce_previousrevision is there {times} times"));
    }
    (found != Some(expected.as_str()))
        .then(|| format!("header ce_previousrevision is {}, expected {expected}", found.unwrap_or("none")))
}

/// The name of the writer's schema is that of the event. Without a [`System`] its namespace is not known.
fn name(schema: &Schema, event: &RecordedEvent, full_name: &str) -> Option<String> {
    let written = schema.full_name();
    let name = written.rsplit_once('.').map_or(written, |(_, name)| name);
    if written != full_name {
        Some(format!("written as {written}, not {full_name}"))
    } else {
        (name != event.event_type)
            .then(|| format!("written as {written}, the event is a {}", event.event_type))
    }
}

/// A payload that can't be compared must be readable at least.
fn payload(record: &Record, schema: &Schema, data: Option<&Value>) -> Option<String> {
    let bytes = record.value.as_deref().and_then(|value| value.get(5..)).unwrap_or_default();
    match schema.decode(bytes) {
        Ok(datum) => difference(schema, data?, &datum).map(|text| format!("payload{text}")),
        Err(text) => Some(format!("payload can't be decoded: {text}")),
    }
}
