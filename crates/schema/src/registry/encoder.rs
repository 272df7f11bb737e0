//! Stored events to Kafka values in the Confluent wire format.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use aqueduct_core::{CodecError, CodecProblem};
use bytes::Bytes;

use crate::registry::client::Registry;
use crate::registry::error::RegistryError;
use crate::registry::subject::subject;
use crate::registry::wire::{HEADER, MAGIC};
use crate::set::{SchemaSet, codec_error};

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
    ids: RwLock<HashMap<String, Registered>>,
}

#[derive(Debug, Clone)]
struct Registered {
    id: u32,
    full_name: Arc<str>,
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
            let Some(event) = self.set.event(event_type) else { continue };
            if self.registered(event_type).is_some() {
                continue;
            }
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
            let known = Registered { id: found.id, full_name: Arc::clone(&event.last().layout.full_name) };
            let mut ids = self.ids.write().unwrap_or_else(PoisonError::into_inner);
            ids.insert(event_type.to_owned(), known);
        }
        Ok(())
    }

    /// Upcasts a stored event to the latest version and encodes it; an event without a version is of the latest.
    /// Pure once its type is [prepared](Self::prepare).
    pub fn encode(
        &self,
        event_type: &str,
        stored_version: impl Into<Option<u32>>,
        json: &[u8],
    ) -> Result<EncodedRecord, CodecError> {
        let stored_version = match stored_version.into() {
            Some(version) => version,
            None => self.set.known(event_type, 0)?.latest(),
        };
        let latest = self.set.latest(event_type, stored_version, json)?;
        let Some(Registered { id, full_name }) = self.registered(event_type) else {
            let problem = "its schema id is not known; call prepare first";
            let category = CodecProblem::UnknownType;
            return Err(codec_error(event_type, stored_version, category, problem.to_owned()));
        };
        let schema_version = self.set.known(event_type, stored_version)?.latest();
        let avro = &latest.encoded.avro;
        let mut bytes = Vec::with_capacity(HEADER + avro.len());
        bytes.push(MAGIC);
        bytes.extend_from_slice(&id.to_be_bytes());
        bytes.extend_from_slice(avro);
        Ok(EncodedRecord {
            bytes: bytes.into(),
            full_name,
            schema_version,
            upcasted: stored_version != schema_version,
            dropped_fields: latest.dropped_fields,
        })
    }

    fn registered(&self, event_type: &str) -> Option<Registered> {
        self.ids.read().unwrap_or_else(PoisonError::into_inner).get(event_type).cloned()
    }
}
