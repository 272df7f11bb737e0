//! A record with the envelope and event that were read from it.

use aqueduct_core::Revision;

use crate::inbox::reason_code::ReasonCode;
use crate::record::Record;
use crate::record::envelope::{Envelope, Previous};
use crate::record::read_envelope::lossy_text;

/// A record with the envelope and event that were read from it.
pub(crate) struct Entry<E> {
    pub(crate) record: Record,
    /// Id of its inbox.
    pub(crate) inbox: i32,
    /// The stream by the record's key, where the headers cannot be read.
    keyed_stream: String,
    pub(crate) envelope: Option<Envelope>,
    pub(crate) content: Content<E>,
}

/// What a record contains for this projection.
pub(crate) enum Content<E> {
    Event(E),
    /// An event of a type that the projection ignores: it only advances the inbox.
    Ignored,
    /// It cannot be read or applied.
    Invalid(Fault),
}

/// Why a record cannot be applied.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Fault {
    pub(crate) code: ReasonCode,
    pub(crate) reason: String,
}

impl<E> Entry<E> {
    pub(crate) fn new(record: Record, inbox: i32, envelope: Option<Envelope>, content: Content<E>) -> Self {
        let keyed_stream = match &envelope {
            Some(_) => String::new(),
            None => lossy_text(record.key.as_deref().unwrap_or_default()),
        };
        Self { record, inbox, keyed_stream, envelope, content }
    }

    /// The stream: from the headers, or the record's key if they cannot be read.
    pub(crate) fn stream(&self) -> &str {
        self.envelope.as_ref().map_or(&self.keyed_stream, |envelope| envelope.stream.as_str())
    }

    /// Its revision, if its headers can be read.
    pub(crate) fn revision(&self) -> Option<Revision> {
        self.envelope.as_ref().map(|envelope| envelope.revision)
    }

    /// The id of its event, if it is known.
    pub(crate) fn event_id(&self) -> Option<&str> {
        self.envelope.as_ref().and_then(|envelope| envelope.event_id.as_deref())
    }

    pub(crate) fn previous(&self) -> Previous {
        self.envelope.as_ref().map_or(Previous::Unknown, |envelope| envelope.previous)
    }

    pub(crate) fn fault(&self) -> Option<&Fault> {
        match &self.content {
            Content::Invalid(fault) => Some(fault),
            Content::Event(_) | Content::Ignored => None,
        }
    }

    /// The event and its envelope, if there is an event to apply.
    pub(crate) fn event(&self) -> Option<(&E, &Envelope)> {
        match (&self.content, &self.envelope) {
            (Content::Event(event), Some(envelope)) => Some((event, envelope)),
            _ => None,
        }
    }
}

/// Revisions are read from headers as signed numbers, so they fit.
pub(crate) fn revision_number(revision: Revision) -> i64 {
    revision.cast_signed()
}

/// The previous revision as the SQL functions take it: -1 for none, null for unknown.
pub(crate) fn previous_number(previous: Previous) -> Option<i64> {
    match previous {
        Previous::First => Some(-1),
        Previous::Revision(revision) => Some(revision_number(revision)),
        Previous::Unknown => None,
    }
}
