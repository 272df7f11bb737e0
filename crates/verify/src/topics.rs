//! The topics judged by the store.

use std::collections::HashMap;

use aqueduct_core::{Revision, StreamName};
use serde_json::Value;

use crate::finding::{Findings, Kind, Stage};
use crate::log::{Entry, Log};
use crate::murmur2::partition;
use crate::payload::{Schema, difference};
use crate::system::System;

/// A committed record, as a consumer reads it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Record {
    /// Partition it stands in.
    pub partition: i32,
    /// Its offset there.
    pub offset: i64,
    /// Its key.
    pub key: Option<Vec<u8>>,
    /// Its headers, in their order.
    pub headers: Vec<(String, Vec<u8>)>,
    /// How many more it has, whose names are not UTF-8.
    pub unnamed_headers: usize,
    /// Its value.
    pub value: Option<Vec<u8>>,
}

/// Which streams go to which topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Topic {
    /// Its name.
    pub(crate) name: String,
    /// What stands before the first dash of its streams.
    pub(crate) categories: Vec<String>,
    /// How many partitions it has.
    pub(crate) partitions: i32,
}

/// Judges the records of one topic, given in the order in which a consumer meets them (by offset within a
/// partition).
pub(crate) struct TopicJudge<'a> {
    log: &'a Log,
    system: &'a dyn System,
    topic: &'a Topic,
    source: &'a str,
    streams: HashMap<&'a StreamName, Seen>,
    /// Records read.
    pub(crate) records: u64,
    /// Records that carry a later version than the store.
    pub(crate) upcast: u64,
}

/// What was seen of a stream.
struct Seen {
    /// By the place of the event in its stream.
    events: Vec<bool>,
    last: Option<Revision>,
}

impl<'a> TopicJudge<'a> {
    pub(crate) fn new(log: &'a Log, system: &'a dyn System, topic: &'a Topic, source: &'a str) -> Self {
        let ours = |stream: &&StreamName| topic.categories.iter().any(|it| it == stream.category());
        let streams = log.streams().filter(ours);
        let streams = streams.map(|it| (it, Seen { events: vec![false; log.stream(it).len()], last: None }));
        Self { log, system, topic, source, streams: streams.collect(), records: 0, upcast: 0 }
    }

    /// Judges the next record; `schema` is the writer's, or why there is none.
    pub(crate) fn see(&mut self, record: &Record, schema: Result<&Schema, &str>, findings: &mut Findings) {
        self.records += 1;
        let place = format!("{}[{}]@{}", self.topic.name, record.partition, record.offset);
        let mut add = |kind, text: String| findings.add(Stage::Topics, kind, &place, text);
        let key = record.key.as_deref().unwrap_or_default();
        let home = partition(key, self.topic.partitions);
        if home != record.partition {
            add(Kind::Mismatch, format!("its key belongs to partition {home}"));
        }
        if record.unnamed_headers > 0 {
            add(Kind::Mismatch, format!("{} headers have names that are not UTF-8", record.unnamed_headers));
        }
        let Ok(name) = str::from_utf8(key) else {
            return add(Kind::Mismatch, "its key is no text".to_owned());
        };
        let revision = header(record, "ce_revision").and_then(|text| text.parse::<Revision>().ok());
        let Some(revision) = revision else {
            return add(Kind::Mismatch, format!("of {name}, but ce_revision is no number"));
        };
        let (log, reference) = (self.log, format!("{revision}@{name}"));
        let stream = StreamName::from(name);
        let found = log.find(&stream, revision).zip(self.streams.get_mut(&stream));
        let Some(((index, entry, previous), seen)) = found else {
            return add(Kind::Mismatch, format!("{reference} is no event of this topic in the store"));
        };
        if std::mem::replace(&mut seen.events[index], true) {
            return add(Kind::Duplicate, format!("{reference} was there before"));
        }
        if let Some(last) = seen.last.filter(|last| *last > revision) {
            add(Kind::OutOfOrder, format!("{reference} stands after {last}@{name}"));
        }
        seen.last = seen.last.max(Some(revision));
        let (version, data) = match self.latest(entry) {
            Ok(latest) => latest,
            Err(text) => return add(Kind::Mismatch, format!("{reference} should have no record: {text}")),
        };
        let stored = entry.metadata.as_ref().map(|metadata| metadata.schema_version);
        self.upcast += u64::from(stored.is_some_and(|stored| stored < version));
        for text in self.headers(record, entry, previous.map(|it| it.event.revision), version) {
            add(Kind::Mismatch, format!("{reference}: {text}"));
        }
        if let Some(text) = content(record, schema, &data) {
            add(Kind::Mismatch, format!("{reference}: {text}"));
        }
        let full_name = self.system.full_name(&entry.event.event_type).unwrap_or_default();
        if let Ok(schema) = schema
            && schema.full_name() != full_name
        {
            add(Kind::Mismatch, format!("{reference}: written as {}, not {full_name}", schema.full_name()));
        }
    }

    /// Adds what was not seen; call it after the last record.
    pub(crate) fn finish(&self, findings: &mut Findings) {
        for (stream, seen) in &self.streams {
            for (entry, _) in self.log.stream(stream).zip(&seen.events).filter(|(_, seen)| !**seen) {
                let text = format_args!("{} has no record", entry.event.reference());
                findings.add(Stage::Topics, Kind::Missing, &self.topic.name, text);
            }
        }
    }

    fn latest(&self, entry: &Entry) -> Result<(u32, Value), String> {
        let version = entry.metadata.as_ref().ok_or("its metadata can't be read")?.schema_version;
        let data = serde_json::from_slice(&entry.event.data).map_err(|error| error.to_string())?;
        self.system.latest(&entry.event.event_type, version, data)
    }

    /// What is wrong with the headers.
    fn headers(
        &self,
        record: &Record,
        entry: &Entry,
        previous: Option<Revision>,
        version: u32,
    ) -> Vec<String> {
        let Some(metadata) = &entry.metadata else { return Vec::new() };
        let event = &entry.event;
        let previous = previous.map_or_else(|| "-1".to_owned(), |revision| revision.to_string());
        let full_name = self.system.full_name(&event.event_type).unwrap_or_default().to_owned();
        let expected = [
            ("content-type", Some("application/avro".to_owned())),
            ("ce_specversion", Some("1.0".to_owned())),
            ("ce_id", Some(event.reference())),
            ("ce_type", Some(full_name)),
            ("ce_source", Some(self.source.to_owned())),
            ("ce_subject", Some(event.stream.to_string())),
            ("ce_eventid", Some(event.id.to_string())),
            ("ce_revision", Some(event.revision.to_string())),
            ("ce_previousrevision", Some(previous)),
            ("ce_subindex", None),
            ("ce_subcount", None),
            ("ce_previoussubindex", None),
            ("ce_position", Some(event.position.to_string())),
            ("ce_schemaversion", Some(version.to_string())),
            ("ce_correlationid", Some(metadata.correlation_id.to_string())),
            ("ce_causationid", Some(metadata.causation_id.to_string())),
            ("traceparent", metadata.traceparent.clone()),
        ];
        let mut wrong = Vec::new();
        for (name, expected) in &expected {
            let found: Vec<_> = record.headers.iter().filter(|(found, _)| found == name).collect();
            if found.len() > 1 {
                wrong.push(format!("header {name} stands there {} times", found.len()));
            }
            let found = found.first().map(|(_, value)| String::from_utf8_lossy(value));
            if found.as_deref() != expected.as_deref() {
                let (found, expected) = (found.as_deref().unwrap_or("none"), expected.as_deref());
                wrong.push(format!("header {name} is {found}, expected {}", expected.unwrap_or("none")));
            }
        }
        // RFC 3339 writes one time in several ways.
        let time = header(record, "ce_time").and_then(|text| text.parse::<jiff::Timestamp>().ok());
        if time != Some(metadata.timestamp) {
            let found = header(record, "ce_time").unwrap_or("none");
            wrong.push(format!("header ce_time is {found}, expected {}", metadata.timestamp));
        }
        wrong
    }
}

fn header<'a>(record: &'a Record, name: &str) -> Option<&'a str> {
    let (_, value) = record.headers.iter().find(|(found, _)| found == name)?;
    str::from_utf8(value).ok()
}

/// The id of the writer's schema, if the value is in Confluent's wire format.
pub(crate) fn schema_id(record: &Record) -> Option<u32> {
    match record.value.as_deref()? {
        [0, a, b, c, d, ..] => Some(u32::from_be_bytes([*a, *b, *c, *d])),
        _ => None,
    }
}

/// What is wrong with the value.
fn content(record: &Record, schema: Result<&Schema, &str>, data: &Value) -> Option<String> {
    let schema = match schema {
        Ok(schema) => schema,
        Err(text) => return Some(text.to_owned()),
    };
    let bytes = record.value.as_deref().and_then(|value| value.get(5..)).unwrap_or_default();
    match schema.decode(bytes) {
        Ok(datum) => difference(schema, data, &datum).map(|text| format!("payload{text}")),
        Err(text) => Some(format!("payload can't be decoded: {text}")),
    }
}
