//! An event as the store has it.

use aqueduct_core::RecordedEvent;

use crate::json::Json;
use crate::mapping::{Documents, Metadata};
use crate::payload::{Datum, EventFiles, Files};
use crate::topic::Topic;

/// Metadata and data of an event, parsed once for all topics.
#[derive(Debug)]
pub(super) struct Parsed {
    metadata: Option<Json>,
    data: Option<Json>,
}

impl Parsed {
    pub(super) fn of(event: &RecordedEvent) -> Self {
        Self { metadata: Json::parse(&event.metadata), data: Json::parse(&event.data) }
    }
}

/// What an event is by the rule of a topic.
#[derive(Debug)]
pub(super) struct Stored<'a> {
    /// Its name, which its stored type may differ from.
    pub(super) name: String,
    /// Its version, if it says one.
    pub(super) version: Option<u32>,
    pub(super) metadata: Metadata,
    pub(super) data: &'a Json,
    /// Its data under a version of its schema file: its own, or the last.
    pub(super) expected: Option<(u32, Datum)>,
}

/// Why an event cannot have a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Problem {
    /// Codes that the relay may give it.
    pub(super) codes: &'static [&'static str],
    pub(super) text: String,
}

impl Problem {
    fn new(codes: &'static [&'static str], text: impl Into<String>) -> Self {
        Self { codes, text: text.into() }
    }
}

impl<'a> Stored<'a> {
    /// `Err` says why the event cannot have a record: all that is wrong with it.
    pub(super) fn read(
        event: &RecordedEvent,
        parsed: &'a Parsed,
        topic: &Topic,
        files: Option<&Files>,
    ) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        let mut refuse = |codes, text: String| problems.push(Problem::new(codes, text));
        let documents = Documents { metadata: parsed.metadata.as_ref(), data: parsed.data.as_ref() };
        let named = topic.types.name(&event.event_type);
        let named = named.map_err(|text| refuse(&["unmapped_type"], text)).ok();
        let metadata = topic.metadata.read(documents).map_err(|text| refuse(&["metadata"], text)).ok();
        let said = metadata.as_ref().and_then(|metadata| metadata.version);
        let mapped = named.as_ref().and_then(|(_, version)| *version);
        if let (Some(mapped), Some(said)) = (mapped, said)
            && mapped != said
        {
            refuse(&["versions_differ"], format!("its type says version {mapped}, its metadata {said}"));
        }
        if !topic.is_json(event) {
            refuse(
                &["not_json"],
                "its content type is not JSON, and no json_types of the route name it".to_owned(),
            );
        }
        let data = data(parsed).map_err(|text| refuse(&["not_json", "payload"], text)).ok();
        let version = mapped.or(said);
        let mut expected = None;
        if let (Some((name, _)), Some(files)) = (&named, files) {
            match expect(name, version, data, files) {
                Ok(found) => expected = found,
                Err(problem) => problems.push(problem),
            }
        }
        match (named, metadata, data) {
            (Some((name, _)), Some(metadata), Some(data)) if problems.is_empty() => {
                Ok(Self { name, version, metadata, data, expected })
            }
            _ => Err(problems),
        }
    }
}

fn data(parsed: &Parsed) -> Result<&Json, String> {
    let data = parsed.data.as_ref().ok_or("its data is not JSON")?;
    if !matches!(data, Json::Object(_)) {
        return Err("its data is not a JSON object".to_owned());
    }
    data.fault().map_or(Ok(data), |fault| Err(format!("its data {fault}")))
}

/// The data under the event's own version, or the last.
fn expect(
    name: &str,
    version: Option<u32>,
    data: Option<&Json>,
    files: &Files,
) -> Result<Option<(u32, Datum)>, Problem> {
    let no_schema = || Problem::new(&["unknown_type"], format!("there is no schema of {name}"));
    let event = files.event(name).ok_or_else(no_schema)?;
    let version = version.unwrap_or_else(|| event.latest());
    let Some(schema) = event.version(version) else {
        let text = format!("there is no schema of version {version} of {name}");
        return Err(Problem::new(&["unknown_version"], text));
    };
    let Some(data) = data else { return Ok(None) };
    let misfit = |misfit| {
        Problem::new(&["payload"], format!("its data does not fit version {version} of {name}{misfit}"))
    };
    schema.expect(data).map(|datum| Some((version, datum))).map_err(misfit)
}

impl Stored<'_> {
    /// What a record of a version must contain. `None` where a rule made it, so that it is not known here; `Err`
    /// says why there can be no such record.
    pub(super) fn in_version(&self, event: &EventFiles, version: u32) -> Result<Option<Datum>, String> {
        let from = self.version.unwrap_or(version);
        let mut datum = match &self.expected {
            Some((known, datum)) if *known == from => datum.clone(),
            _ => {
                let no_version = || format!("there is no schema of version {from} of {}", self.name);
                let schema = event.version(from).ok_or_else(no_version)?;
                schema.expect(self.data).map_err(|misfit| {
                    format!("its data does not fit version {from} of {}{misfit}", self.name)
                })?
            }
        };
        for newer in from + 1..=version {
            let schemas = event.version(newer - 1).zip(event.version(newer));
            let Some(migrated) = schemas.and_then(|(older, newer)| newer.migrate(older, datum)) else {
                return Ok(None);
            };
            datum = migrated;
        }
        Ok(Some(datum))
    }
}

/// Name, version and metadata of an event whose data is not inspected, or the codes of what is wrong.
#[cfg(feature = "testing")]
pub(crate) fn mapped(
    event: &RecordedEvent,
    topic: &Topic,
) -> Result<(String, Option<u32>, Metadata), Vec<&'static str>> {
    let parsed = Parsed::of(event);
    match Stored::read(event, &parsed, topic, None) {
        Ok(stored) => Ok((stored.name, stored.version, stored.metadata)),
        Err(problems) => Err(problems.iter().flat_map(|problem| problem.codes).copied().collect()),
    }
}
