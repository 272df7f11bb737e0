//! The metadata of an event, from its record's headers.

use aqueduct_core::{Revision, StreamName};
use jiff::Timestamp;

/// Metadata of an event, read from its record's CloudEvents headers.
#[derive(Debug, Clone, PartialEq)]
pub struct Envelope {
    /// `ce_source`: configured name of the store that the event comes from.
    pub source: String,
    /// `ce_subject`: the stream, also the record's key.
    pub stream: StreamName,
    /// `ce_revision`: revision of the event in its stream, from 0.
    pub revision: Revision,
    /// `ce_previousrevision`: which record of the stream precedes this one on the topic.
    pub previous: Previous,
    /// `ce_position`: commit position in `$all`; the relay writes it.
    pub position: Option<u64>,
    /// `ce_id`: `7@order-42`, unique in the source.
    pub id: String,
    /// `ce_eventid`: id of the stored event, of the relay a UUID. It is not unique; events that this one causes name it as
    /// their cause.
    pub event_id: Option<String>,
    /// `ce_type`: Avro full name, `shop.orders.OrderCreated`.
    pub full_type: String,
    /// `ce_time`: when the event was decided, or stored where that is not known.
    pub time: Timestamp,
    /// `ce_schemaversion`: version of the payload's schema, which may be later than the stored event's.
    pub schema_version: u32,
    /// `ce_correlationid`: text of any form, for our own services a UUID.
    pub correlation_id: Option<String>,
    /// `ce_causationid`: text of any form, for our own services a UUID.
    pub causation_id: Option<String>,
    /// `traceparent` of the span that appended the event.
    pub traceparent: Option<String>,
}

/// The stream's previous record on the topic, as a record names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Previous {
    /// This is the stream's first record.
    First,
    /// Revision of the previous record.
    Revision(Revision),
    /// The header is absent, because the relay did not know it: gaps before this record are not detected.
    Unknown,
}

impl Envelope {
    /// The event type: last part of the full name, `OrderCreated`.
    pub fn event_type(&self) -> &str {
        self.full_type.rsplit_once('.').map_or(&self.full_type, |(_, name)| name)
    }
}
