//! The port to the payloads' encoding.

use aqueduct_core::ErrorKind;
use aqueduct_schema::RecordDecoder;
use async_trait::async_trait;

use crate::Envelope;

/// Turns payloads into the plain JSON of the event.
#[async_trait]
pub trait Decoder: Send + Sync + 'static {
    /// The JSON of one payload.
    async fn decode(&self, envelope: &Envelope, payload: &[u8]) -> Result<Vec<u8>, DecodeError>;
}

/// Values in the Confluent wire format.
#[async_trait]
impl Decoder for RecordDecoder {
    async fn decode(&self, envelope: &Envelope, payload: &[u8]) -> Result<Vec<u8>, DecodeError> {
        let park = |problem| DecodeError { kind: ErrorKind::Park, problem, source: None };
        let decoded = RecordDecoder::decode(self, payload).await.map_err(|error| DecodeError {
            kind: error.kind(),
            problem: "the payload can't be decoded".to_owned(),
            source: Some(error.into()),
        })?;
        if *decoded.full_name != *envelope.full_type {
            let (payload, header) = (&decoded.full_name, &envelope.full_type);
            return Err(park(format!(
                "its schema id is that of {payload}, its header ce_type says {header}"
            )));
        }
        serde_json::to_vec(&decoded.json).map_err(|error| park(error.to_string()))
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
