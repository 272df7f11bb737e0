//! Kafka values in the Confluent wire format: a zero byte, the schema's id in four bytes (big-endian), Avro.

use std::collections::HashMap;
use std::marker::PhantomData;
use std::sync::{Arc, PoisonError, RwLock};

use apache_avro::schema::Schema;
use aqueduct_core::{CodecError, ErrorKind};
use bytes::Bytes;
use serde::de::DeserializeSeed;
use serde_json::Value;

use crate::compile::compile;
use crate::decode;
use crate::layout::Layout;
use crate::registry::{Registry, RegistryError, subject};
use crate::set::{SchemaSet, refused};

const MAGIC: u8 = 0;
const HEADER: usize = 5;

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
}

/// Makes a topic's values of stored events. Safe to share; ids are looked up once and kept.
#[derive(Debug)]
pub struct RecordEncoder {
    set: Arc<SchemaSet>,
    registry: Registry,
    topic: String,
    ids: RwLock<HashMap<String, Registered>>,
}

#[derive(Debug, Clone)]
struct Registered {
    id: u32,
    full_name: Arc<str>,
}

impl RecordEncoder {
    /// An encoder for one topic. Asks the registry nothing yet.
    pub fn new(set: Arc<SchemaSet>, registry: Registry, topic: impl Into<String>) -> Self {
        Self { set, registry, topic: topic.into(), ids: RwLock::default() }
    }

    /// Looks up the ids of those event types that are not known yet; without a request where all are. Call it
    /// before [`encode`](Self::encode), for each batch. Never registers: a schema that the registry does not
    /// have is an error of kind [`Stop`](ErrorKind::Stop). Nothing about an error is remembered, so the next
    /// call asks again. Event types without a schema are left to [`encode`](Self::encode) to refuse.
    pub async fn prepare<'e>(
        &self,
        event_types: impl IntoIterator<Item = &'e str>,
    ) -> Result<(), RegistryError> {
        for event_type in event_types {
            let Some(event) = self.set.event(event_type) else { continue };
            if self.registered(event_type).is_some() {
                continue;
            }
            let subject = subject(&self.topic, event.full_name());
            let found = self.registry.look_up(&subject, &event.last().schema).await;
            let found = found.map_err(|error| match error.is_unknown() {
                true => RegistryError {
                    problem: format!(
                        "version {} of {event_type} is not registered there; run `aqueduct schemas publish`",
                        event.latest()
                    ),
                    ..error
                },
                false => error,
            })?;
            let known = Registered { id: found.id, full_name: Arc::clone(&event.last().layout.full_name) };
            let mut ids = self.ids.write().unwrap_or_else(PoisonError::into_inner);
            ids.insert(event_type.to_owned(), known);
        }
        Ok(())
    }

    /// Upcasts a stored event to the latest version and encodes it. Pure once its type is
    /// [prepared](Self::prepare).
    pub fn encode(
        &self,
        event_type: &str,
        stored_version: u32,
        json: &[u8],
    ) -> Result<EncodedRecord, CodecError> {
        let avro = self.set.to_avro(event_type, stored_version, json)?;
        let Some(Registered { id, full_name }) = self.registered(event_type) else {
            let problem = "its schema id has not been looked up; prepare the encoder first";
            return Err(refused(event_type, stored_version, problem.to_owned()));
        };
        let schema_version = self.set.known(event_type, stored_version)?.latest();
        let mut bytes = Vec::with_capacity(HEADER + avro.len());
        bytes.push(MAGIC);
        bytes.extend_from_slice(&id.to_be_bytes());
        bytes.extend_from_slice(&avro);
        Ok(EncodedRecord {
            bytes: bytes.into(),
            full_name,
            schema_version,
            upcasted: stored_version != schema_version,
        })
    }

    fn registered(&self, event_type: &str) -> Option<Registered> {
        self.ids.read().unwrap_or_else(PoisonError::into_inner).get(event_type).cloned()
    }
}

/// A record's value as an event.
#[derive(Debug, Clone, PartialEq)]
pub struct DecodedRecord {
    /// The Avro full name, `shop.orders.OrderCreated`.
    pub full_name: Arc<str>,
    /// The data in the plain mapping, in canonical form, by the schema it was written with.
    pub json: Value,
}

impl DecodedRecord {
    /// The event type, the full name without its namespace: `OrderCreated`.
    pub fn event_type(&self) -> &str {
        self.full_name.rsplit('.').next().unwrap_or(&self.full_name)
    }
}

/// A record's value and the schema that it was written with; nothing of it has been read yet.
#[derive(Debug)]
pub struct RecordValue<'a> {
    id: u32,
    layout: Arc<Layout>,
    avro: &'a [u8],
}

impl<'a> RecordValue<'a> {
    /// The Avro full name, `shop.orders.OrderCreated`.
    pub fn full_name(&self) -> &str {
        &self.layout.full_name
    }

    /// Reads the value into what `seed` makes of the event's plain JSON: the same answer as from the text of
    /// [`to_json`](Self::to_json), but straight from the bytes. Only [`serde_json::value::RawValue`] can't be
    /// had, for there is no text.
    pub fn read<S: DeserializeSeed<'a>>(&self, seed: S) -> Result<S::Value, DecodeError> {
        let read = decode::read(&self.layout, self.avro, seed);
        read.map_err(|mismatch| DecodeError::Payload { id: self.id, problem: mismatch.to_string() })
    }

    /// The data in the plain mapping, in canonical form.
    pub fn to_json(&self) -> Result<Value, DecodeError> {
        self.read(PhantomData)
    }
}

/// Reads values by the schema that their id names. Safe to share; schemas are fetched once and kept.
#[derive(Debug)]
pub struct RecordDecoder {
    registry: Registry,
    layouts: RwLock<HashMap<u32, Arc<Layout>>>,
}

impl RecordDecoder {
    /// A decoder for any topic. Asks the registry nothing yet.
    pub fn new(registry: Registry) -> Self {
        Self { registry, layouts: RwLock::default() }
    }

    /// Decodes a value to JSON, see [`value`](Self::value).
    pub async fn decode(&self, record: &[u8]) -> Result<DecodedRecord, DecodeError> {
        let value = self.value(record).await?;
        Ok(DecodedRecord { full_name: Arc::clone(&value.layout.full_name), json: value.to_json()? })
    }

    /// Finds the schema of a value. Asks the registry only for an id not met before; nothing about an error
    /// is remembered.
    pub async fn value<'a>(&self, record: &'a [u8]) -> Result<RecordValue<'a>, DecodeError> {
        let (id, avro) = match record {
            [MAGIC, a, b, c, d, avro @ ..] => (u32::from_be_bytes([*a, *b, *c, *d]), avro),
            _ => return Err(DecodeError::NotWireFormat),
        };
        Ok(RecordValue { id, layout: self.layout(id).await?, avro })
    }

    async fn layout(&self, id: u32) -> Result<Arc<Layout>, DecodeError> {
        let known = self.layouts.read().unwrap_or_else(PoisonError::into_inner).get(&id).cloned();
        if let Some(layout) = known {
            return Ok(layout);
        }
        let text = self.registry.schema(id).await?;
        let unusable = |problem: String| DecodeError::Schema { id, problem };
        let schema = Schema::parse_str(&text).map_err(|error| unusable(error.to_string()))?;
        let layout = Arc::new(compile(&schema).map_err(|refusal| unusable(refusal.to_string()))?);
        let mut layouts = self.layouts.write().unwrap_or_else(PoisonError::into_inner);
        layouts.insert(id, Arc::clone(&layout));
        Ok(layout)
    }
}

/// A record that can't be read.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// The value does not begin with the magic byte and an id.
    #[error("the value is not in wire format (a zero byte and a schema id before the data)")]
    NotWireFormat,
    /// The schema of that id does not parse, or uses what the product can't carry.
    #[error("schema id {id}: {problem}")]
    Schema {
        /// The id in the record.
        id: u32,
        /// What is wrong with the schema.
        problem: String,
    },
    /// The bytes do not go with their schema.
    #[error("schema id {id}: the payload does not fit: {problem}")]
    Payload {
        /// The id in the record.
        id: u32,
        /// What is wrong, and where.
        problem: String,
    },
    /// The schema could not be fetched.
    #[error(transparent)]
    Registry(#[from] RegistryError),
}

impl DecodeError {
    /// [`Park`](ErrorKind::Park) where the record is at fault, else what the registry's error says.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NotWireFormat | Self::Schema { .. } | Self::Payload { .. } => ErrorKind::Park,
            Self::Registry(error) => error.kind(),
        }
    }
}
