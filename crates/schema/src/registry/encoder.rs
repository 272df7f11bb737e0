//! Stored events to Kafka values in the Confluent wire format.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use aqueduct_core::{CodecError, CodecProblem};
use bytes::Bytes;

use crate::registry::client::Registry;
use crate::registry::error::RegistryError;
use crate::registry::subject::subject;
use crate::registry::wire::{HEADER, MAGIC};
use crate::set::{EventSchemas, SchemaSet, codec_error, unknown_type};

/// A record's value, ready for Kafka.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncodedRecord {
    /// The value in wire format.
    pub bytes: Bytes,
    /// The Avro full name, `shop.orders.OrderCreated`.
    pub full_name: Arc<str>,
    /// The version that the value has: the latest.
    pub schema_version: u32,
    /// Whether the event was stored in an older version.
    pub upcasted: bool,
    /// How many fields of the stored event were left out because no schema has them, where the schema says
    /// `"unknownFields": "drop"`.
    pub dropped_fields: usize,
}

/// Makes a topic's values of stored events. Safe to share; ids are looked up once and kept.
#[derive(Debug)]
pub struct RecordEncoder {
    set: Arc<SchemaSet>,
    registry: Registry,
    topic: String,
    ids: RwLock<HashMap<String, u32>>,
}

/// An event type whose schema id is known. Encodes without a look-up.
#[derive(Debug, Clone)]
pub struct RegisteredType<'e> {
    event: &'e EventSchemas,
    header: [u8; HEADER],
}

/// What was done to an event to make a record's value of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EncodedValue {
    /// Whether the event was stored in an older version.
    pub upcasted: bool,
    /// See [`EncodedRecord::dropped_fields`].
    pub dropped_fields: usize,
}

impl RegisteredType<'_> {
    /// The Avro full name, `shop.orders.OrderCreated`.
    pub fn full_name(&self) -> &str {
        self.event.full_name()
    }

    /// The version of the values that are made: the latest.
    pub fn schema_version(&self) -> u32 {
        self.event.latest()
    }

    /// Upcasts a stored event to the latest version and appends it to `value` in wire format; an event without a version
    /// is of the latest. After an error the end of `value` is undefined.
    pub fn encode(
        &self,
        stored_version: Option<u32>,
        json: &[u8],
        value: &mut Vec<u8>,
    ) -> Result<EncodedValue, CodecError> {
        value.extend_from_slice(&self.header);
        encode(self.event, stored_version, json, value)
    }
}

fn encode(
    event: &EventSchemas,
    stored_version: Option<u32>,
    json: &[u8],
    value: &mut Vec<u8>,
) -> Result<EncodedValue, CodecError> {
    let stored_version = stored_version.unwrap_or(event.latest());
    let dropped_fields = event.append_avro(stored_version, json, value)?;
    Ok(EncodedValue { upcasted: stored_version != event.latest(), dropped_fields })
}

impl RecordEncoder {
    /// An encoder for one topic. Sends no request yet.
    pub fn new(set: Arc<SchemaSet>, registry: Registry, topic: impl Into<String>) -> Self {
        Self { set, registry, topic: topic.into(), ids: RwLock::default() }
    }

    /// Looks up the ids of those event types that are not known yet; without a request where all are. Call it
    /// before [`encode`](Self::encode), for each batch. Never registers: a schema that the registry does not
    /// have is an error of kind [`Stop`](aqueduct_core::ErrorKind::Stop). Nothing about an error is remembered,
    /// so the next call asks again. Event types without a schema are left to [`encode`](Self::encode) to refuse.
    pub async fn prepare<'e>(
        &self,
        event_types: impl IntoIterator<Item = &'e str>,
    ) -> Result<(), RegistryError> {
        for event_type in event_types {
            self.registered_type(event_type).await?;
        }
        Ok(())
    }

    /// [Prepares](Self::prepare) an event type and returns it; `None` where it has no schema.
    pub async fn registered_type(
        &self,
        event_type: &str,
    ) -> Result<Option<RegisteredType<'_>>, RegistryError> {
        let Some(event) = self.set.event(event_type) else { return Ok(None) };
        let id = match self.id(event_type) {
            Some(id) => id,
            None => self.look_up(event).await?,
        };
        Ok(Some(RegisteredType { event, header: header(id) }))
    }

    async fn look_up(&self, event: &EventSchemas) -> Result<u32, RegistryError> {
        let event_type = event.event_type();
        let subject = subject(&self.topic, event.full_name());
        let found = self.registry.look_up(&subject, &event.last().schema).await;
        let found = found.map_err(|error| {
            if error.is_unknown() {
                RegistryError {
                    problem: format!(
                        "version {} of {event_type} is not registered; run `aqueduct schemas publish`",
                        event.latest()
                    ),
                    ..error
                }
            } else {
                error
            }
        })?;
        let mut ids = self.ids.write().unwrap_or_else(PoisonError::into_inner);
        ids.insert(event_type.to_owned(), found.id);
        Ok(found.id)
    }

    /// The error of an event whose type has no schema.
    pub fn unknown_type(&self, event_type: &str, stored_version: Option<u32>) -> CodecError {
        unknown_type(event_type, stored_version.unwrap_or(0))
    }

    /// Upcasts a stored event to the latest version and encodes it; an event without a version is of the latest.
    /// Pure once its type is [prepared](Self::prepare).
    pub fn encode(
        &self,
        event_type: &str,
        stored_version: impl Into<Option<u32>>,
        json: &[u8],
    ) -> Result<EncodedRecord, CodecError> {
        let stored_version = stored_version.into();
        let event = self.set.known(event_type, stored_version.unwrap_or(0))?;
        let mut value = Vec::with_capacity(256);
        value.resize(HEADER, 0);
        let EncodedValue { upcasted, dropped_fields } = encode(event, stored_version, json, &mut value)?;
        let Some(id) = self.id(event_type) else {
            let problem = "its schema id is not known; call prepare first";
            let version = stored_version.unwrap_or(event.latest());
            let category = CodecProblem::UnknownType;
            return Err(codec_error(event_type, version, category, problem.to_owned()));
        };
        value[..HEADER].copy_from_slice(&header(id));
        Ok(EncodedRecord {
            bytes: value.into(),
            full_name: Arc::clone(&event.last().layout.full_name),
            schema_version: event.latest(),
            upcasted,
            dropped_fields,
        })
    }

    fn id(&self, event_type: &str) -> Option<u32> {
        self.ids.read().unwrap_or_else(PoisonError::into_inner).get(event_type).copied()
    }
}

/// What is before the Avro in Confluent's wire format.
fn header(id: u32) -> [u8; HEADER] {
    let [a, b, c, d] = id.to_be_bytes();
    [MAGIC, a, b, c, d]
}
