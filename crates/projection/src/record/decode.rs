//! Decoding of payloads.

use std::borrow::Cow;
use std::marker::PhantomData;
use std::sync::Arc;

use aqueduct_core::{DomainEvent, ErrorKind};
use aqueduct_schema::{RecordDecoder, RecordValue, Registry, RegistryError, RegistryOptions};
use async_trait::async_trait;
use serde::de::{DeserializeSeed, Deserializer, Error as _};
use serde_json::Value;

use crate::record::envelope::Envelope;

/// Decodes payloads.
#[async_trait]
pub trait Decoder: Send + Sync + 'static {
    /// As [`decode`](Self::decode), with what is known; `None` if something must be fetched first. Called first, because nearly
    /// all payloads are decoded so.
    fn decode_known<'a>(
        &self,
        _envelope: &Envelope,
        _payload: &'a [u8],
    ) -> Result<Option<Payload<'a>>, DecodeError> {
        Ok(None)
    }

    /// Decodes one payload up to the step that needs the event's Rust type.
    async fn decode<'a>(&self, envelope: &Envelope, payload: &'a [u8]) -> Result<Payload<'a>, DecodeError>;
}

/// The data of an event, not deserialised yet.
#[derive(Debug)]
pub enum Payload<'a> {
    /// Text in the plain JSON mapping.
    Json(Cow<'a, [u8]>),
    /// Avro with its schema.
    Avro(RecordValue<'a>),
}

/// The enum lists the type but does not read it.
const NOT_READ: &str = "its event enum lists the type but does not read it";

impl<'p> Payload<'p> {
    /// Deserialises an event of this type.
    pub(crate) fn event<E: DomainEvent>(&self, event_type: &str) -> Result<E, DecodeError> {
        let event = match self {
            Self::Json(json) => match E::from_json(event_type, json) {
                Some(event) => event.map_err(|error| error.to_string()),
                None => Err(NOT_READ.to_owned()),
            },
            Self::Avro(value) => {
                value.read(OfType(event_type, PhantomData)).map_err(|error| error.to_string())
            }
        };
        event.map_err(|problem| DecodeError::not_of_type(event_type, &problem))
    }

    /// The data as text in the plain JSON mapping: of Avro what `seed` reads, and JSON as it is.
    pub(crate) fn to_json<S>(&self, event_type: &str, seed: S) -> Result<String, DecodeError>
    where
        S: DeserializeSeed<'p, Value = Value>,
    {
        let json = match self {
            Self::Json(json) => String::from_utf8(json.to_vec()).map_err(|error| error.to_string()),
            Self::Avro(value) => {
                value.read(seed).map(|json| json.to_string()).map_err(|error| error.to_string())
            }
        };
        json.map_err(|problem| DecodeError::not_of_type(event_type, &problem))
    }
}

/// Deserialises an event of the type with this name.
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
    fn decode_known<'a>(
        &self,
        envelope: &Envelope,
        payload: &'a [u8],
    ) -> Result<Option<Payload<'a>>, DecodeError> {
        let value = self.known_value(payload).map_err(cannot_be_decoded)?;
        value.map(|value| of_type(value, envelope)).transpose()
    }

    async fn decode<'a>(&self, envelope: &Envelope, payload: &'a [u8]) -> Result<Payload<'a>, DecodeError> {
        of_type(self.value(payload).await.map_err(cannot_be_decoded)?, envelope)
    }
}

fn of_type<'a>(value: RecordValue<'a>, envelope: &Envelope) -> Result<Payload<'a>, DecodeError> {
    if value.full_name() == envelope.full_type {
        return Ok(Payload::Avro(value));
    }
    let (payload, header) = (value.full_name(), &envelope.full_type);
    let problem = format!("its schema id belongs to {payload}, its header ce_type is {header}");
    Err(DecodeError { kind: ErrorKind::Park, problem, source: None })
}

fn cannot_be_decoded(error: aqueduct_schema::DecodeError) -> DecodeError {
    let kind = error.kind();
    let problem = match kind {
        ErrorKind::Stop => {
            "no record of its schema can be decoded: correct the registry, or adapt the projection"
        }
        ErrorKind::Park | ErrorKind::Retry => "the payload cannot be decoded",
    };
    DecodeError { kind, problem: problem.to_owned(), source: Some(error.into()) }
}

/// The decoder for records that the relay writes.
pub fn registry_decoder(options: &RegistryOptions) -> Result<Arc<dyn Decoder>, RegistryError> {
    Ok(Arc::new(RecordDecoder::new(Registry::new(options)?)))
}

/// A payload cannot be decoded.
#[derive(Debug, thiserror::Error)]
#[error("{problem}")]
pub struct DecodeError {
    /// [`Retry`](ErrorKind::Retry) if the schema could not be fetched and may be available later,
    /// [`Park`](ErrorKind::Park) if these bytes cannot be read, [`Stop`](ErrorKind::Stop) if their schema cannot.
    pub kind: ErrorKind,
    /// What is wrong.
    pub problem: String,
    /// The cause, if there is one.
    #[source]
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl DecodeError {
    /// The data is not that of an event of its type.
    pub(crate) fn not_of_type(event_type: &str, problem: &str) -> Self {
        let problem = format!("the payload is not an event of type {event_type}: {problem}");
        Self { kind: ErrorKind::Park, problem, source: None }
    }
}
