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
use crate::mapping::encode::{Encoded, encode};
use crate::mapping::json::Json;
use crate::mapping::json::parse::{BYTE_ORDER_MARK, parse};
use crate::mapping::mismatch::Mismatch;
use crate::mapping::straight;
use crate::upcast::UpcastStep;

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
pub(crate) struct Latest<'s, 'j> {
    json: Source<'j>,
    pub(crate) encoded: Encoded,
    /// Fields of the stored event that no schema has and that were left out.
    pub(crate) dropped_fields: usize,
    layout: &'s Layout,
}

/// What an event was encoded from.
enum Source<'j> {
    /// As it was stored.
    Stored(Json<'j>),
    /// Made by a step, with the names of Avro.
    Upcast(Value),
}

impl Latest<'_, '_> {
    /// Whether the event is of the latest version and in canonical form as it is stored.
    fn is_stored_form(&self, stored: &[u8]) -> bool {
        let unchanged = matches!(self.json, Source::Stored(_)) && self.encoded.canonical;
        unchanged && !stored.starts_with(BYTE_ORDER_MARK)
    }

    /// Canonical JSON with the names of Avro.
    fn into_avro_names(self) -> Result<Value, String> {
        match self.json {
            Source::Stored(json) if self.encoded.canonical && !self.layout.renames => Ok(json.into_value()),
            Source::Upcast(json) if self.encoded.canonical => Ok(json),
            _ => canonical(self.layout, &self.encoded, Names::Avro),
        }
    }

    /// Canonical JSON with the names of stored JSON.
    fn into_stored(self) -> Result<Value, String> {
        match self.json {
            Source::Upcast(json) if self.encoded.canonical && !self.layout.renames => Ok(json),
            _ => canonical(self.layout, &self.encoded, Names::Stored),
        }
    }
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
        let canonical = canonical(&known.layout, &encoded, Names::Stored)
            .map_err(|problem| codec_error(event_type, version, CodecProblem::Payload, problem))?;
        Ok(canonical.to_string().into())
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
        avro.extend_from_slice(&latest.encoded.avro);
        Ok(latest.dropped_fields)
    }

    /// Brings an event of any version to the latest one.
    pub(crate) fn bring_to_latest<'j>(
        &self,
        version: u32,
        json: &'j [u8],
    ) -> Result<Latest<'_, 'j>, CodecError> {
        let event_type = &self.event_type;
        let known = self.known_version(version)?;
        let parsed = parse_event(event_type, version, json)?;
        let encoded = encode(&known.layout, &parsed, Names::Stored)
            .map_err(|error| mismatch(event_type, version, CodecProblem::Payload, &error))?;
        let dropped_fields = encoded.dropped_fields;
        let mut latest =
            Latest { json: Source::Stored(parsed), encoded, dropped_fields, layout: &known.layout };
        let mut size = json.len();
        for (next, newer) in (version + 1..).zip(&self.versions[version as usize..]) {
            let fail = |problem: String| {
                let problem = format!("upcasting to version {next}: {problem}");
                codec_error(event_type, version, CodecProblem::Upcast, problem)
            };
            let fail_at = |error: &Mismatch| CodecError { place: error.place(), ..fail(error.to_string()) };
            let older = latest.layout;
            let mut value = latest.into_avro_names().map_err(fail)?;
            if let Some(step) = &newer.step {
                let upcast = step.run(older, &value, size);
                value = upcast.map_err(|error| fail_at(&error))?;
            }
            let encoded = encode(&newer.layout, &Json::from(&value), Names::Avro);
            let encoded = encoded.map_err(|error| fail_at(&error))?;
            // A rule may have made it larger.
            size = size.max(encoded.avro.len());
            check_size(size).map_err(fail)?;
            latest = Latest { json: Source::Upcast(value), encoded, dropped_fields, layout: &newer.layout };
        }
        Ok(latest)
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

fn canonical(layout: &Layout, encoded: &Encoded, names: Names) -> Result<Value, String> {
    decode::decode(layout, &encoded.avro, names).map_err(|error| error.to_string())
}

impl aqueduct_core::Codec for SchemaSet {
    fn encode(&self, event_type: &str, latest: Vec<u8>) -> Result<(u32, Bytes), CodecError> {
        let version = self.known(event_type, 0)?.latest();
        Ok((version, self.check(event_type, version, latest)?))
    }

    fn upcast(&self, event_type: &str, version: u32, stored: &Bytes) -> Result<Bytes, CodecError> {
        // Whoever wrote the event may not have checked it against the schema, so it is checked here.
        let latest = self.known(event_type, version)?.bring_to_latest(version, stored)?;
        if latest.is_stored_form(stored) {
            return Ok(stored.clone());
        }
        let json = latest.into_stored();
        let json = json.map_err(|problem| codec_error(event_type, version, CodecProblem::Upcast, problem))?;
        Ok(json.to_string().into())
    }
}
