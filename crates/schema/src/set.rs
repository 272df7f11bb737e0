//! The schemas of all events, with their versions.

use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::sync::Arc;

use aqueduct_core::CodecError;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::Value;

use crate::layout::types::Layout;
use crate::limits::MAX_EVENT_BYTES;
use crate::mapping::decode;
use crate::mapping::encode::{Encoded, encode};
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
pub(crate) struct Latest<'s> {
    json: Value,
    pub(crate) encoded: Encoded,
    layout: &'s Layout,
}

impl Latest<'_> {
    fn into_json(self) -> Result<Value, String> {
        canonical(self.layout, self.json, &self.encoded)
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
        let known = self.known_version(event, version)?;
        let fail = |problem: String| refused(event_type, version, problem);
        let value = parse(&json).map_err(fail)?;
        let encoded = encode(&known.layout, &value).map_err(|error| fail(error.to_string()))?;
        if encoded.canonical {
            return Ok(json.into());
        }
        let canonical = canonical(&known.layout, value, &encoded).map_err(fail)?;
        Ok(canonical.to_string().into())
    }

    /// An event of any version as Avro of the latest one, without a header.
    pub fn to_avro(&self, event_type: &str, version: u32, json: &[u8]) -> Result<Vec<u8>, CodecError> {
        Ok(self.latest(event_type, version, json)?.encoded.avro)
    }

    /// What [`to_avro`](Self::to_avro) made, or anybody else by the schema of that version, as a type that
    /// reads the canonical JSON: the event's struct, or [`Value`] for the JSON itself.
    pub fn from_avro<'de, T: Deserialize<'de>>(
        &self,
        event_type: &str,
        version: u32,
        avro: &'de [u8],
    ) -> Result<T, CodecError> {
        let known = self.known_version(self.known(event_type, version)?, version)?;
        let read = decode::read(&known.layout, avro, PhantomData);
        read.map_err(|error| refused(event_type, version, error.to_string()))
    }

    /// Brings an event of any version to the latest one.
    pub(crate) fn latest(
        &self,
        event_type: &str,
        version: u32,
        json: &[u8],
    ) -> Result<Latest<'_>, CodecError> {
        let event = self.known(event_type, version)?;
        let known = self.known_version(event, version)?;
        let fail = |problem: String| refused(event_type, version, problem);
        let parsed = parse(json).map_err(fail)?;
        let encoded = encode(&known.layout, &parsed).map_err(|error| fail(error.to_string()))?;
        let mut latest = Latest { json: parsed, encoded, layout: &known.layout };
        let mut size = json.len();
        for (next, newer) in (version + 1..).zip(&event.versions[version as usize..]) {
            let fail = |problem: String| fail(format!("upcasting to version {next}: {problem}"));
            let older = latest.layout;
            let mut value = latest.into_json().map_err(fail)?;
            if let Some(step) = &newer.step {
                let upcast = step.run(older, &value, size);
                value = upcast.map_err(|error| fail(error.to_string()))?;
            }
            let encoded = encode(&newer.layout, &value).map_err(|error| fail(error.to_string()))?;
            // A rule may have made it larger.
            size = size.max(encoded.avro.len());
            check_size(size).map_err(fail)?;
            latest = Latest { json: value, encoded, layout: &newer.layout };
        }
        Ok(latest)
    }

    pub(crate) fn known(&self, event_type: &str, version: u32) -> Result<&EventSchemas, CodecError> {
        self.event(event_type).ok_or_else(|| {
            let problem =
                "there is no schema for this event type; event types are the names of the schema folders";
            refused(event_type, version, problem.to_owned())
        })
    }

    fn known_version<'s>(&self, event: &'s EventSchemas, version: u32) -> Result<&'s Version, CodecError> {
        event.version(version).ok_or_else(|| {
            let problem =
                format!("there is no schema of this version, only of versions 1 to {}", event.latest());
            refused(&event.event_type, version, problem)
        })
    }
}

pub(crate) fn refused(event_type: &str, version: u32, problem: String) -> CodecError {
    CodecError { event_type: event_type.to_owned(), version, problem, source: None }
}

fn parse(json: &[u8]) -> Result<Value, String> {
    check_size(json.len())?;
    serde_json::from_slice(json).map_err(|error| format!("not JSON: {error}"))
}

fn check_size(bytes: usize) -> Result<(), String> {
    if bytes > MAX_EVENT_BYTES {
        Err(format!("{bytes} bytes, more than the {MAX_EVENT_BYTES} that an event may have"))
    } else {
        Ok(())
    }
}

fn canonical(layout: &Layout, json: Value, encoded: &Encoded) -> Result<Value, String> {
    if encoded.canonical {
        Ok(json)
    } else {
        decode::decode(layout, &encoded.avro).map_err(|error| error.to_string())
    }
}

impl aqueduct_core::Codec for SchemaSet {
    fn encode(&self, event_type: &str, latest: Vec<u8>) -> Result<(u32, Bytes), CodecError> {
        let version = self.known(event_type, 0)?.latest();
        Ok((version, self.check(event_type, version, latest)?))
    }

    fn upcast(&self, event_type: &str, version: u32, stored: &Bytes) -> Result<Bytes, CodecError> {
        let event = self.known(event_type, version)?;
        let known = self.known_version(event, version)?;
        // What was checked when it was stored needs no second look, unless it may lack fields that a reader
        // of the latest version counts on.
        if version == event.latest() && !known.layout.has_defaults {
            return Ok(stored.clone());
        }
        let json = self.latest(event_type, version, stored)?.into_json();
        Ok(json.map_err(|problem| refused(event_type, version, problem))?.to_string().into())
    }

    fn read_foreign(
        &self,
        event_type: &str,
        version: Option<u32>,
        stored: &Bytes,
    ) -> Result<Bytes, CodecError> {
        let version = match version {
            Some(version) => version,
            None => self.known(event_type, 0)?.latest(),
        };
        // Nobody checked it: also what is of the latest version may need its defaults and its canonical form.
        let json = self.latest(event_type, version, stored)?.into_json();
        Ok(json.map_err(|problem| refused(event_type, version, problem))?.to_string().into())
    }
}
