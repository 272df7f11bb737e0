//! The port to the payloads' encoding.

use std::borrow::Cow;
use std::marker::PhantomData;

use aqueduct_core::{DomainEvent, ErrorKind};
use aqueduct_schema::{RecordDecoder, RecordValue};
use async_trait::async_trait;
use serde::de::{DeserializeSeed, Deserializer, Error as _};

use crate::Envelope;

/// Finds out how payloads are written.
#[async_trait]
pub trait Decoder: Send + Sync + 'static {
    /// One payload, ready to be read.
    async fn decode<'a>(&self, envelope: &Envelope, payload: &'a [u8]) -> Result<Payload<'a>, DecodeError>;
}

/// An event's data, not yet read.
#[derive(Debug)]
pub enum Payload<'a> {
    /// Text in the plain JSON mapping.
    Json(Cow<'a, [u8]>),
    /// Avro with its schema.
    Avro(RecordValue<'a>),
}

/// The enum lists the type and yet does not read it.
const NOT_READ: &str = "it is not read by its own event enum";

impl Payload<'_> {
    /// Reads the event of this type.
    pub(crate) fn event<E: DomainEvent>(&self, event_type: &str) -> Result<E, String> {
        match self {
            Self::Json(json) => {
                let event = E::from_json(event_type, json).ok_or(NOT_READ)?;
                event.map_err(|error| error.to_string())
            }
            Self::Avro(value) => {
                value.read(OfType(event_type, PhantomData)).map_err(|error| error.to_string())
            }
        }
    }
}

/// Reads an event of the type of this name.
struct OfType<'t, E>(&'t str, PhantomData<E>);

impl<'de, E: DomainEvent> DeserializeSeed<'de> for OfType<'_, E> {
    type Value = E;

    fn deserialize<D: Deserializer<'de>>(self, data: D) -> Result<E, D::Error> {
        E::read(self.0, data).unwrap_or_else(|| Err(D::Error::custom(NOT_READ)))
    }
}

/// Values in the Confluent wire format.
#[async_trait]
impl Decoder for RecordDecoder {
    async fn decode<'a>(&self, envelope: &Envelope, payload: &'a [u8]) -> Result<Payload<'a>, DecodeError> {
        let value = self.value(payload).await.map_err(|error| DecodeError {
            kind: error.kind(),
            problem: "the payload can't be decoded".to_owned(),
            source: Some(error.into()),
        })?;
        if value.full_name() != envelope.full_type {
            let (payload, header) = (value.full_name(), &envelope.full_type);
            let problem = format!("its schema id is that of {payload}, its header ce_type says {header}");
            return Err(DecodeError { kind: ErrorKind::Park, problem, source: None });
        }
        Ok(Payload::Avro(value))
    }
}

/// A payload can't be decoded.
#[derive(Debug, thiserror::Error)]
#[error("{problem}")]
pub struct DecodeError {
    /// [`Retry`](ErrorKind::Retry) where the schema could not be fetched and may be later,
    /// [`Park`](ErrorKind::Park) where these bytes can't be read.
    pub kind: ErrorKind,
    /// What is wrong.
    pub problem: String,
    /// The error underneath, where there is one.
    #[source]
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}
