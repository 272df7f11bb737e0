//! The schemas of all events, with their versions.

use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::sync::Arc;

use aqueduct_core::{CodecError, CodecProblem};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::Value;

use crate::layout::types::{Layout, Names};
use crate::limits::MAX_EVENT_BYTES;
use crate::mapping::decode;
use crate::mapping::encode::encode;
use crate::mapping::json::Json;
use crate::mapping::json::parse::{BYTE_ORDER_MARK, parse};
use crate::mapping::mismatch::Mismatch;
use crate::mapping::straight;
use crate::upcast::{Next, UpcastStep, upcast};

/// All event types of a folder of schema files. Immutable, cheap to share behind an [`Arc`].
#[derive(Debug)]
pub struct SchemaSet {
    pub(crate) events: BTreeMap<String, EventSchemas>,
}

/// One event type's versions.
#[derive(Debug)]
pub struct EventSchemas {
    pub(crate) event_type: String,
    pub(crate) context: String,
    /// Version 1 comes first.
    pub(crate) versions: Vec<Version>,
}

#[derive(Debug)]
pub(crate) struct Version {
    pub(crate) layout: Layout,
    /// The schema as it is registered: rules are taken out.
    pub(crate) schema: Arc<str>,
    /// How the version before becomes this one; `None` in version 1.
    pub(crate) step: Option<UpcastStep>,
}

impl Version {
    pub(crate) fn next(&self) -> Option<Next<'_>> {
        self.step.as_ref().map(|step| Next { step, layout: &self.layout })
    }
}

impl EventSchemas {
    /// The record's simple name, `OrderCreated`.
    pub fn event_type(&self) -> &str {
        &self.event_type
    }

    /// The folder that contains it, `orders`.
    pub fn context(&self) -> &str {
        &self.context
    }

    /// The record's full name in Avro, `shop.orders.OrderCreated`. The same in all versions.
    pub fn full_name(&self) -> &str {
        &self.last().layout.full_name
    }

    /// The latest version. The first is 1.
    pub fn latest(&self) -> u32 {
        u32::try_from(self.versions.len()).unwrap_or(u32::MAX)
    }

    /// A version's Avro schema as it is registered: without upcast rules.
    pub fn schema(&self, version: u32) -> Option<&str> {
        self.version(version).map(|version| &*version.schema)
    }

    /// A version's upcast rules: the field, `shop.orders.OrderLine.unitPrice`, with its rule.
    pub fn rules(&self, version: u32) -> Vec<(String, &str)> {
        let mut rules = Vec::new();
        for record in self.version(version).iter().flat_map(|version| &version.layout.records) {
            for field in &record.fields {
                let rule = field.rule.as_deref();
                rules.extend(rule.map(|rule| (format!("{}.{}", record.name.full, field.name), rule)));
            }
        }
        rules
    }

    pub(crate) fn version(&self, version: u32) -> Option<&Version> {
        let index = usize::try_from(version.checked_sub(1)?).ok()?;
        self.versions.get(index)
    }

    #[expect(clippy::expect_used, reason = "an event type without a version is refused when it is loaded")]
    pub(crate) fn last(&self) -> &Version {
        self.versions.last().expect("at least one version")
    }
}

/// An event of the latest version.
pub(crate) struct Latest {
    pub(crate) avro: Vec<u8>,
    /// Whether it was stored as the latest version, in the form that its Avro is read as.
    is_stored_form: bool,
    /// Fields of the stored event that no schema has and that were left out.
    dropped_fields: usize,
}

impl SchemaSet {
    /// The event types, by name.
    pub fn events(&self) -> impl Iterator<Item = &EventSchemas> {
        self.events.values()
    }

    /// One event type.
    pub fn event(&self, event_type: &str) -> Option<&EventSchemas> {
        self.events.get(event_type)
    }

    /// Checks JSON against a given version, for a writer that is not at the latest one. Returns what to
    /// store: the JSON in canonical form, defaults filled in.
    pub fn check(&self, event_type: &str, version: u32, json: Vec<u8>) -> Result<Bytes, CodecError> {
        let event = self.known(event_type, version)?;
        let known = event.known_version(version)?;
        let value = parse_event(event_type, version, &json)?;
        let encoded = encode(&known.layout, &value, Names::Stored)
            .map_err(|error| mismatch(event_type, version, CodecProblem::Payload, &error))?;
        if encoded.canonical && !json.starts_with(BYTE_ORDER_MARK) {
            return Ok(json.into());
        }
        let canonical = canonical(&known.layout, &encoded.avro)
            .map_err(|problem| codec_error(event_type, version, CodecProblem::Payload, problem))?;
        Ok(canonical.to_string().into())
    }

    /// An event of a version as Avro of that version, without a header: it is not upcast.
    pub fn encode_as(&self, event_type: &str, version: u32, json: &[u8]) -> Result<Vec<u8>, CodecError> {
        let known = self.known(event_type, version)?.known_version(version)?;
        let value = parse_event(event_type, version, json)?;
        let encoded = encode(&known.layout, &value, Names::Stored);
        let encoded =
            encoded.map_err(|error| mismatch(event_type, version, CodecProblem::Payload, &error))?;
        Ok(encoded.avro)
    }

    /// An event of any version as Avro of the latest one, without a header.
    pub fn to_avro(&self, event_type: &str, version: u32, json: &[u8]) -> Result<Vec<u8>, CodecError> {
        let mut avro = Vec::with_capacity(256);
        self.known(event_type, version)?.append_avro(version, json, &mut avro)?;
        Ok(avro)
    }

    /// What [`to_avro`](Self::to_avro) made, or anybody else by the schema of that version, as a type that
    /// reads the canonical JSON: the event's struct, or [`Value`] for the JSON itself.
    pub fn from_avro<'de, T: Deserialize<'de>>(
        &self,
        event_type: &str,
        version: u32,
        avro: &'de [u8],
    ) -> Result<T, CodecError> {
        let known = self.known(event_type, version)?.known_version(version)?;
        let read = decode::read(&known.layout, avro, Names::Stored, PhantomData);
        read.map_err(|error| mismatch(event_type, version, CodecProblem::Payload, &error))
    }

    pub(crate) fn known(&self, event_type: &str, version: u32) -> Result<&EventSchemas, CodecError> {
        self.event(event_type).ok_or_else(|| unknown_type(event_type, version))
    }
}

impl EventSchemas {
    /// Appends an event of any version as Avro of the latest one. Returns how many of its fields were left out, which
    /// no schema has. After an error `avro` is as it was.
    pub(crate) fn append_avro(
        &self,
        version: u32,
        json: &[u8],
        avro: &mut Vec<u8>,
    ) -> Result<usize, CodecError> {
        if version == self.latest() && json.len() <= MAX_EVENT_BYTES {
            let dropped_fields = straight::encode(&self.last().layout, json, avro);
            if let Some(dropped_fields) = dropped_fields {
                return Ok(dropped_fields);
            }
        }
        let latest = self.bring_to_latest(version, json)?;
        avro.extend_from_slice(&latest.avro);
        Ok(latest.dropped_fields)
    }

    /// Brings an event of any version to the latest one.
    pub(crate) fn bring_to_latest(&self, version: u32, json: &[u8]) -> Result<Latest, CodecError> {
        let known = self.known_version(version)?;
        let stored = self.encode_stored(version, &known.layout, json)?;
        let older = self.versions.get(version as usize..).unwrap_or_default();
        let steps: Vec<_> = older.iter().filter_map(Version::next).collect();
        if steps.is_empty() {
            return Ok(stored);
        }
        let avro = upcast(&known.layout, &steps, &stored.avro).map_err(|failed| {
            let next =
                version.saturating_add(1).saturating_add(u32::try_from(failed.step).unwrap_or(u32::MAX));
            let problem = format!("upcasting to version {next}: {}", failed.problem);
            let place = failed.problem.place();
            CodecError { place, ..codec_error(&self.event_type, version, CodecProblem::Upcast, problem) }
        })?;
        Ok(Latest { avro, is_stored_form: false, ..stored })
    }

    /// Checks a stored event against its own version.
    fn encode_stored(&self, version: u32, layout: &Layout, json: &[u8]) -> Result<Latest, CodecError> {
        let mut avro = Vec::with_capacity(256);
        if version < self.latest() && json.len() <= MAX_EVENT_BYTES {
            let dropped_fields = straight::encode(layout, json, &mut avro);
            if let Some(dropped_fields) = dropped_fields {
                return Ok(Latest { avro, is_stored_form: false, dropped_fields });
            }
        }
        let parsed = parse_event(&self.event_type, version, json)?;
        let encoded = encode(layout, &parsed, Names::Stored)
            .map_err(|error| mismatch(&self.event_type, version, CodecProblem::Payload, &error))?;
        let is_stored_form = encoded.canonical && !json.starts_with(BYTE_ORDER_MARK);
        Ok(Latest { avro: encoded.avro, is_stored_form, dropped_fields: encoded.dropped_fields })
    }

    fn known_version(&self, version: u32) -> Result<&Version, CodecError> {
        self.version(version).ok_or_else(|| {
            let problem =
                format!("there is no schema of this version, only of versions 1 to {}", self.latest());
            codec_error(&self.event_type, version, CodecProblem::UnknownVersion, problem)
        })
    }
}

pub(crate) fn codec_error(
    event_type: &str,
    version: u32,
    category: CodecProblem,
    problem: String,
) -> CodecError {
    CodecError { event_type: event_type.to_owned(), version, category, place: None, problem, source: None }
}

/// The error of an event whose type has no schema.
pub(crate) fn unknown_type(event_type: &str, version: u32) -> CodecError {
    let problem = "there is no schema for this event type; event types are the names of the schema folders";
    codec_error(event_type, version, CodecProblem::UnknownType, problem.to_owned())
}

fn mismatch(event_type: &str, version: u32, category: CodecProblem, error: &Mismatch) -> CodecError {
    CodecError { place: error.place(), ..codec_error(event_type, version, category, error.to_string()) }
}

fn parse_event<'j>(event_type: &str, version: u32, json: &'j [u8]) -> Result<Json<'j>, CodecError> {
    check_size(json.len())
        .map_err(|problem| codec_error(event_type, version, CodecProblem::TooLarge, problem))?;
    parse(json).map_err(|error| {
        codec_error(event_type, version, CodecProblem::NotJson, format!("not JSON: {error}"))
    })
}

fn check_size(bytes: usize) -> Result<(), String> {
    if bytes > MAX_EVENT_BYTES {
        Err(format!("{bytes} bytes, more than the {MAX_EVENT_BYTES} that an event may have"))
    } else {
        Ok(())
    }
}

/// Canonical JSON as it is stored.
fn canonical(layout: &Layout, avro: &[u8]) -> Result<Value, String> {
    decode::decode(layout, avro, Names::Stored).map_err(|error| error.to_string())
}

impl aqueduct_core::Codec for SchemaSet {
    fn encode(&self, event_type: &str, latest: Vec<u8>) -> Result<(u32, Bytes), CodecError> {
        let version = self.known(event_type, 0)?.latest();
        Ok((version, self.check(event_type, version, latest)?))
    }

    fn upcast(&self, event_type: &str, version: u32, stored: &Bytes) -> Result<Bytes, CodecError> {
        // Whoever wrote the event may not have checked it against the schema, so it is checked here.
        let event = self.known(event_type, version)?;
        let latest = event.bring_to_latest(version, stored)?;
        if latest.is_stored_form {
            return Ok(stored.clone());
        }
        let json = canonical(&event.last().layout, &latest.avro);
        let json = json.map_err(|problem| codec_error(event_type, version, CodecProblem::Upcast, problem))?;
        Ok(json.to_string().into())
    }
}
