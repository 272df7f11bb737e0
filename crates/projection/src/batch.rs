//! The records of a batch, read: what the inbox and the handler see of them.

use std::fmt;

use aqueduct_core::{DomainEvent, ErrorKind};

use crate::decode::Decoder;
use crate::headers::shown;
use crate::{Envelope, Place, Previous, Record};

/// A record with what was read from it.
pub(crate) struct Entry<E> {
    pub(crate) record: Record,
    /// Number of its inbox.
    pub(crate) inbox: i32,
    /// From the headers, or the record's key where they can't be read.
    pub(crate) stream: String,
    pub(crate) envelope: Option<Envelope>,
    pub(crate) content: Content<E>,
}

/// What a record holds for this projection.
pub(crate) enum Content<E> {
    Event(E),
    /// An event of a type that the projection passes over: only the inbox takes note of it.
    Ignored,
    /// It can't be read or applied, for this reason.
    Faulty(String),
}

impl<E> Entry<E> {
    pub(crate) fn new(record: Record, inbox: i32, envelope: Option<Envelope>, content: Content<E>) -> Self {
        let stream = match &envelope {
            Some(envelope) => envelope.stream.to_string(),
            None => shown(record.key.as_deref().unwrap_or_default()),
        };
        Self { record, inbox, stream, envelope, content }
    }

    /// Where it stands in its stream, if its headers can be read.
    pub(crate) fn place(&self) -> Option<Place> {
        self.envelope.as_ref().map(|envelope| envelope.place)
    }

    pub(crate) fn previous(&self) -> Previous {
        self.envelope.as_ref().map_or(Previous::Unknown, |envelope| envelope.previous)
    }

    pub(crate) fn is_faulty(&self) -> bool {
        self.fault().is_some()
    }

    pub(crate) fn fault(&self) -> Option<&str> {
        match &self.content {
            Content::Faulty(reason) => Some(reason),
            Content::Event(_) | Content::Ignored => None,
        }
    }

    /// The event, if there is one to apply.
    pub(crate) fn event(&self) -> Option<(&E, &Envelope)> {
        match (&self.content, &self.envelope) {
            (Content::Event(event), Some(envelope)) => Some((event, envelope)),
            _ => None,
        }
    }
}

/// What is to be known to read records.
pub(crate) struct Reader<'a> {
    pub(crate) decoder: &'a dyn Decoder,
    pub(crate) projection: &'static str,
    pub(crate) source: &'a str,
    pub(crate) ignores: &'static [&'static str],
}

/// A payload could not be decoded for a reason that may pass.
#[derive(Debug, thiserror::Error)]
#[error("record {record} could not be decoded")]
pub(crate) struct ReadError {
    record: String,
    pub(crate) source: crate::DecodeError,
}

impl Reader<'_> {
    /// Reads a record. Whatever is wrong with the record itself makes it faulty and is no error.
    pub(crate) async fn read<E: DomainEvent>(
        &self,
        record: &Record,
    ) -> Result<(Option<Envelope>, Content<E>), ReadError> {
        let envelope = match record.headers.envelope(record.key.as_deref()) {
            Ok(envelope) => envelope,
            Err(error) => return Ok((None, Content::Faulty(error.to_string()))),
        };
        let content = self.content(record, &envelope).await?;
        Ok((Some(envelope), content))
    }

    async fn content<E: DomainEvent>(
        &self,
        record: &Record,
        envelope: &Envelope,
    ) -> Result<Content<E>, ReadError> {
        let event_type = envelope.event_type();
        if envelope.source != self.source {
            let (theirs, ours) = (&envelope.source, self.source);
            return Ok(faulty(format_args!(
                "it comes from source {theirs:?}, this projection reads {ours:?}"
            )));
        }
        if self.ignores.contains(&event_type) {
            return Ok(Content::Ignored);
        }
        if !E::EVENT_TYPES.contains(&event_type) {
            let projection = self.projection;
            return Ok(faulty(format_args!(
                "event type {event_type} is unknown to projection {projection}; handle it or name it in IGNORES"
            )));
        }
        let Some(payload) = &record.payload else {
            return Ok(faulty("it has no payload"));
        };
        match self.decoder.decode(envelope, payload).await {
            Ok(payload) => Ok(match payload.event(event_type) {
                Ok(event) => Content::Event(event),
                Err(problem) => faulty(format_args!("event type {event_type} does not fit: {problem}")),
            }),
            Err(error) if error.kind == ErrorKind::Park => Ok(faulty(describe(&error))),
            Err(source) => Err(ReadError { record: record.to_string(), source }),
        }
    }
}

fn faulty<E>(reason: impl fmt::Display) -> Content<E> {
    Content::Faulty(reason.to_string())
}

/// An error with its causes, for places that keep text only.
pub(crate) fn describe(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}
