//! Reading records: headers, then payload.

use std::fmt;

use aqueduct_core::{ErrorKind, with_causes};

use crate::inbox::entry::{Content, Fault};
use crate::inbox::reason_code::ReasonCode;
use crate::model::handler::{Handler, Treatment};
use crate::record::Record;
use crate::record::decode::{DecodeError, Decoder};
use crate::record::envelope::Envelope;

/// Reads records for a projection.
pub(crate) struct Reader<'a, H> {
    pub(crate) decoder: &'a dyn Decoder,
    pub(crate) handler: &'a H,
    pub(crate) source: &'a str,
}

/// A payload could not be decoded, and its record is not at fault.
#[derive(Debug, thiserror::Error)]
#[error("record {record} could not be decoded as {reader}")]
pub(crate) struct ReadError {
    record: String,
    /// What the projection reads it as.
    reader: String,
    pub(crate) source: DecodeError,
}

impl<H: Handler> Reader<'_, H> {
    /// Reads a record. A record that cannot be read is not an error; it becomes [`Content::Invalid`].
    pub(crate) async fn read(
        &self,
        record: &Record,
    ) -> Result<(Option<Envelope>, Content<H::Event>), ReadError> {
        let envelope = match record.headers.envelope(record.key.as_deref()) {
            Ok(envelope) => envelope,
            Err(error) => return Ok((None, invalid(ReasonCode::Headers, error))),
        };
        let content = self.content(record, &envelope).await?;
        Ok((Some(envelope), content))
    }

    async fn content(&self, record: &Record, envelope: &Envelope) -> Result<Content<H::Event>, ReadError> {
        let event_type = envelope.event_type();
        if envelope.source != self.source {
            let (theirs, ours) = (&envelope.source, self.source);
            let problem =
                format_args!("the record comes from source {theirs:?}, this projection reads {ours:?}");
            return Ok(invalid(ReasonCode::Source, problem));
        }
        match self.handler.treats(event_type) {
            Treatment::Applies => {}
            Treatment::Ignores => return Ok(Content::Ignored),
            Treatment::Unknown => {
                let projection = self.handler.name();
                let problem = format_args!(
                    "event type {event_type} is unknown to projection {projection}; handle it or add it to its ignored \
                     types"
                );
                return Ok(invalid(ReasonCode::UnknownType, problem));
            }
        }
        let Some(payload) = &record.payload else {
            return Ok(invalid(ReasonCode::Payload, "the record has no payload"));
        };
        let decoded = match self.decoder.decode_known(envelope, payload).transpose() {
            Some(decoded) => decoded,
            None => self.decoder.decode(envelope, payload).await,
        };
        match decoded.and_then(|payload| self.handler.read(record, event_type, &payload)) {
            Ok(event) => Ok(Content::Event(event)),
            Err(error) if error.kind == ErrorKind::Park => {
                Ok(invalid(ReasonCode::Payload, with_causes(&error)))
            }
            Err(source) => {
                Err(ReadError { record: record.to_string(), reader: self.handler.reader(event_type), source })
            }
        }
    }
}

fn invalid<E>(code: ReasonCode, reason: impl fmt::Display) -> Content<E> {
    Content::Invalid(Fault { code, reason: reason.to_string() })
}
