//! One record against its event.

use aqueduct_core::{RecordedEvent, Revision};

use super::record::Record;
use super::stored::Stored;
use crate::json::Json;
use crate::mapping::Metadata;
use crate::payload::{Datum, Files, Schema, difference};
use crate::system::System;

/// The revision that the header of the previous record must name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Previous {
    /// There is none before it.
    None,
    /// This one.
    Is(Revision),
    /// This one, or none, and so far back that the header may be left out.
    Far(Option<Revision>),
    /// The stream was truncated: any lower one, or no header.
    Truncated,
}

impl Previous {
    /// Whether an event of this revision may say that the record before it is this, or that there is none.
    pub(super) fn allows(self, previous: Option<Revision>, revision: Revision) -> bool {
        match self {
            Self::None => previous.is_none(),
            Self::Is(expected) => previous == Some(expected),
            Self::Far(expected) => previous == expected,
            Self::Truncated => previous.is_none_or(|previous| previous < revision),
        }
    }
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

/// What is known of a record besides its event.
#[derive(Clone, Copy)]
pub(super) struct Known<'a> {
    pub(super) system: Option<&'a dyn System>,
    pub(super) files: Option<&'a Files>,
    /// What the relay calls the store.
    pub(super) source: &'a str,
    pub(super) previous: Previous,
    /// The writer's schema, or why there is none.
    pub(super) schema: Result<&'a Schema, &'a str>,
}

/// What the record must be.
struct Expected {
    version: u32,
    full_name: String,
    /// Not known where a rule made it.
    payload: Option<Datum>,
}

/// Compares headers and payload.
pub(super) fn compare(
    record: &Record,
    event: &RecordedEvent,
    stored: &Stored<'_>,
    known: Known<'_>,
) -> Compared {
    let mut compared = Compared::default();
    let expected = match expected(record, event, stored, known) {
        Ok(expected) => expected,
        Err(text) => {
            compared.differences.push(format!("should have no record: {text}"));
            return compared;
        }
    };
    compared.upcast = stored.version.is_some_and(|stored| stored < expected.version);
    compared.payload = expected.payload.is_some();
    headers(record, event, &stored.metadata, (&expected, known.source), &mut compared.differences);
    compared.differences.extend(previous_revision(record, event.revision, known.previous));
    match known.schema {
        Ok(schema) => {
            compared.differences.extend(payload(record, schema, expected.payload.as_ref()));
            compared.differences.extend(written_as(schema, stored, &expected, known.files));
        }
        Err(text) => compared.differences.push(text.to_owned()),
    }
    compared
}

/// `Err` says why there can be no record.
fn expected(
    record: &Record,
    event: &RecordedEvent,
    stored: &Stored<'_>,
    known: Known<'_>,
) -> Result<Expected, String> {
    let found = record.number("ce_schemaversion").and_then(|version| u32::try_from(version).ok());
    let version = stored.version.or(found).unwrap_or(0);
    let under = |schema: &Schema, data: &Json| {
        schema.expect(data).map_err(|misfit| format!("its data does not fit its schema{misfit}"))
    };
    if let Some(system) = known.system {
        let data = serde_json::from_slice(&event.data).map_err(|error| error.to_string())?;
        let (version, data) = system.latest(&stored.name, version, data)?;
        let full_name = system.full_name(&stored.name).unwrap_or_default().to_owned();
        let payload = known.schema.ok().map(|schema| under(schema, &Json::from(&data))).transpose()?;
        return Ok(Expected { version, full_name, payload });
    }
    if let Some(files) = known.files {
        let no_schema = || format!("there is no schema of {}", stored.name);
        let event = files.event(&stored.name).ok_or_else(no_schema)?;
        let versions = stored.version.unwrap_or(1)..=event.latest();
        // It was the last version when the record was made.
        let version = found.filter(|found| versions.contains(found)).unwrap_or(event.latest());
        let payload = stored.in_version(event, version)?;
        let full_name = event.version(version).map_or("", Schema::full_name).to_owned();
        return Ok(Expected { version, full_name, payload });
    }
    let full_name = known.schema.map_or(stored.name.as_str(), Schema::full_name).to_owned();
    match found {
        // The rules are not known here: a later version is what some rule made of the stored one.
        Some(found) if found > version => Ok(Expected { version: found, full_name, payload: None }),
        _ => {
            let payload = known.schema.ok().map(|schema| under(schema, stored.data)).transpose()?;
            Ok(Expected { version, full_name, payload })
        }
    }
}

fn headers(
    record: &Record,
    event: &RecordedEvent,
    metadata: &Metadata,
    (record_is, source): (&Expected, &str),
    wrong: &mut Vec<String>,
) {
    let expected = [
        ("content-type", Some("application/avro".to_owned())),
        ("ce_specversion", Some("1.0".to_owned())),
        ("ce_id", Some(event.reference())),
        ("ce_type", Some(record_is.full_name.clone())),
        ("ce_source", Some(source.to_owned())),
        ("ce_subject", Some(event.stream.to_string())),
        ("ce_eventid", Some(event.id.to_string())),
        ("ce_revision", Some(event.revision.to_string())),
        ("ce_position", Some(event.position.to_string())),
        ("ce_schemaversion", Some(record_is.version.to_string())),
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
    let times = record.headers.iter().filter(|(name, _)| name == "ce_time").count();
    if times > 1 {
        wrong.push(format!("header ce_time is there {times} times"));
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
        Previous::Far(_) if found.is_none() => return None,
        Previous::Is(previous) | Previous::Far(Some(previous)) => previous.to_string(),
        Previous::None | Previous::Far(None) => "-1".to_owned(),
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

/// The writer's schema has the name of the event, and is the one of the files. Without those and a [`System`] its
/// namespace is not known.
fn written_as(
    schema: &Schema,
    stored: &Stored<'_>,
    expected: &Expected,
    files: Option<&Files>,
) -> Option<String> {
    let written = schema.full_name();
    let name = written.rsplit_once('.').map_or(written, |(_, name)| name);
    if written != expected.full_name {
        return Some(format!("written as {written}, not {}", expected.full_name));
    }
    if name != stored.name {
        return Some(format!("written as {written}, the event is a {}", stored.name));
    }
    let file = files.and_then(|files| files.event(&stored.name)?.version(expected.version));
    file.is_some_and(|file| !schema.is_same_as(file))
        .then(|| format!("its schema id does not belong to version {} of {}", expected.version, stored.name))
}

/// A payload that cannot be compared must be readable at least.
fn payload(record: &Record, schema: &Schema, expected: Option<&Datum>) -> Option<String> {
    let bytes = record.value.as_deref().and_then(|value| value.get(5..)).unwrap_or_default();
    match schema.decode(bytes) {
        Ok(datum) => difference(expected?, &datum).map(|text| format!("payload{text}")),
        Err(text) => Some(format!("payload cannot be decoded: {text}")),
    }
}
