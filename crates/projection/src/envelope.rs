//! What a record's headers say.

use std::fmt;

use aqueduct_core::{Revision, StreamName};
use jiff::Timestamp;
use uuid::Uuid;

/// A record's place and origin, from its CloudEvents headers.
#[derive(Debug, Clone, PartialEq)]
pub struct Envelope {
    /// `ce_source`: configured name of the store it comes from.
    pub source: String,
    /// `ce_subject`: the stream, also the record's key.
    pub stream: StreamName,
    /// Where the event stands in its stream.
    pub place: Place,
    /// Place of the stream's last earlier record on the topic; [`Previous::Unknown`] where the relay could
    /// not tell (the header is left out).
    pub previous: Previous,
    /// `ce_position`: commit position in `$all`.
    pub position: u64,
    /// `ce_id`: `7@order-42`, unique in the source.
    pub id: String,
    /// `ce_eventid`: the stored event's id, not unique; what follows from the event names it as its cause.
    pub event_id: Option<Uuid>,
    /// `ce_type`: Avro full name, `shop.orders.OrderCreated`.
    pub full_type: String,
    /// `ce_time`: when the event was decided.
    pub time: Timestamp,
    /// `ce_schemaversion`: version of the payload's schema, whatever version was stored.
    pub schema_version: u32,
    /// `ce_correlationid`.
    pub correlation_id: Option<Uuid>,
    /// `ce_causationid`.
    pub causation_id: Option<Uuid>,
    /// `traceparent` of the span that appended the event.
    pub traceparent: Option<String>,
}

/// Where an event stands in its stream. An upcaster may make several events of a stored one: they share the
/// revision and are told apart by the sub-index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// Revision of the stored event.
    pub revision: Revision,
    /// Counts from 0 within the stored event.
    pub subindex: u32,
}

/// `7`, or `7.1` where an upcaster made several events of one: as in `ce_id`.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.subindex {
            0 => write!(f, "{}", self.revision),
            subindex => write!(f, "{}.{subindex}", self.revision),
        }
    }
}

/// What a record says about the one before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Previous {
    /// This is the stream's first record.
    None,
    /// The last earlier record of the stream.
    At(Place),
    /// The header is left out.
    Unknown,
}

impl Envelope {
    /// The event type: last part of the full name, `OrderCreated`.
    pub fn event_type(&self) -> &str {
        self.full_type.rsplit_once('.').map_or(&self.full_type, |(_, name)| name)
    }
}
