//! Kafka values in the Confluent wire format to events.

use std::collections::HashMap;
use std::marker::PhantomData;
use std::sync::{Arc, PoisonError, RwLock};

use aqueduct_core::ErrorKind;
use serde::de::DeserializeSeed;
use serde_json::Value;

use crate::layout::types::Names;
use crate::load::compile::Origin;
use crate::load::registered::RegisteredSchema;
use crate::mapping::decode;
use crate::registry::client::Registry;
use crate::registry::error::RegistryError;
use crate::registry::wire::MAGIC;

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
    pub(crate) id: u32,
    pub(crate) schema: Arc<RegisteredSchema>,
    pub(crate) avro: &'a [u8],
}

impl<'a> RecordValue<'a> {
    /// The Avro full name, `shop.orders.OrderCreated`.
    pub fn full_name(&self) -> &str {
        &self.schema.layout.full_name
    }

    /// Reads the value into what `seed` makes of the event's plain JSON: the same answer as from the text of
    /// [`to_json`](Self::to_json), but straight from the bytes. Only [`serde_json::value::RawValue`] cannot be
    /// had, because there is no text. Fields that it does not have are passed over: they are not decoded, and so not checked.
    pub fn read<S: DeserializeSeed<'a>>(&self, seed: S) -> Result<S::Value, DecodeError> {
        let read = decode::read(&self.schema.layout, self.avro, Names::Avro, seed);
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
    schemas: RwLock<HashMap<u32, Arc<RegisteredSchema>>>,
}

impl RecordDecoder {
    /// A decoder for any topic. Sends no request yet.
    pub fn new(registry: Registry) -> Self {
        Self { registry, schemas: RwLock::default() }
    }

    /// Decodes a value to JSON, see [`value`](Self::value).
    pub async fn decode(&self, record: &[u8]) -> Result<DecodedRecord, DecodeError> {
        let value = self.value(record).await?;
        Ok(DecodedRecord { full_name: Arc::clone(&value.schema.layout.full_name), json: value.to_json()? })
    }

    /// Finds the schema of a value. Asks the registry only for an id that it does not know yet; nothing about an error
    /// is remembered.
    pub async fn value<'a>(&self, record: &'a [u8]) -> Result<RecordValue<'a>, DecodeError> {
        let (id, avro) = split(record)?;
        let schema = match self.known_schema(id) {
            Some(schema) => schema,
            None => self.fetch_schema(id).await?,
        };
        Ok(RecordValue { id, schema, avro })
    }

    /// As [`value`](Self::value), but asks nobody: `None` if the schema is not known yet.
    pub fn known_value<'a>(&self, record: &'a [u8]) -> Result<Option<RecordValue<'a>>, DecodeError> {
        let (id, avro) = split(record)?;
        Ok(self.known_schema(id).map(|schema| RecordValue { id, schema, avro }))
    }

    fn known_schema(&self, id: u32) -> Option<Arc<RegisteredSchema>> {
        self.schemas.read().unwrap_or_else(PoisonError::into_inner).get(&id).cloned()
    }

    async fn fetch_schema(&self, id: u32) -> Result<Arc<RegisteredSchema>, DecodeError> {
        let text = self.registry.schema(id).await?;
        let schema = RegisteredSchema::parse(&text, Origin::Writer);
        let schema = schema.map_err(|problem| DecodeError::Schema { id, problem })?;
        let schema = Arc::new(schema);
        let mut schemas = self.schemas.write().unwrap_or_else(PoisonError::into_inner);
        schemas.insert(id, Arc::clone(&schema));
        Ok(schema)
    }
}

/// The schema id of a value, and its Avro.
fn split(record: &[u8]) -> Result<(u32, &[u8]), DecodeError> {
    match record {
        [MAGIC, a, b, c, d, avro @ ..] => Ok((u32::from_be_bytes([*a, *b, *c, *d]), avro)),
        _ => Err(DecodeError::NotWireFormat),
    }
}

/// A record that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// The value does not begin with the magic byte and an id.
    #[error("the value is not in wire format (a zero byte and a schema id before the data)")]
    NotWireFormat,
    /// The Avro schema of that id does not parse, or uses what the product cannot carry: no record with it can be read.
    #[error("schema id {id} cannot be read: {problem}")]
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
    /// [`Park`](ErrorKind::Park) where the record is at fault, [`Stop`](ErrorKind::Stop) where its schema is, else the kind of
    /// the registry's error.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NotWireFormat | Self::Payload { .. } => ErrorKind::Park,
            Self::Schema { .. } => ErrorKind::Stop,
            Self::Registry(error) => error.kind(),
        }
    }
}
