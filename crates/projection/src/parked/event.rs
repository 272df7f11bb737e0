//! Parked events as they are listed and shown.

use aqueduct_core::Revision;
use jiff::Timestamp;
use sqlx::postgres::PgRow;
use sqlx::{FromRow, Row as _};

use crate::inbox::reason_code::ReasonCode;
use crate::record::headers::Headers;

/// State of a parked event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParkedState {
    /// It waits for a replay or a discard.
    Parked,
    /// It was discarded and is never applied. Its row is kept as a record of that.
    Discarded,
}

impl ParkedState {
    /// The text that is stored and shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Parked => "parked",
            Self::Discarded => "discarded",
        }
    }

    fn parse(state: &str) -> Option<Self> {
        [Self::Parked, Self::Discarded].into_iter().find(|known| known.as_str() == state)
    }
}

/// A parked event, without its payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParkedEvent {
    /// Number of the row; larger for events that were parked later.
    pub id: i64,
    /// Name of the projection.
    pub projection: String,
    /// Topic of the record.
    pub topic: String,
    /// Partition of the record.
    pub partition: i32,
    /// Offset of the record.
    pub offset: i64,
    /// Stream of the event.
    pub stream: String,
    /// Revision of the event; `None` if the record does not tell.
    pub revision: Option<Revision>,
    /// Event type; `None` if the record does not tell.
    pub event_type: Option<String>,
    /// Whether it was discarded.
    pub state: ParkedState,
    /// Why it is parked.
    pub code: ReasonCode,
    /// Why it is parked, human-readable.
    pub reason: String,
    /// When it was parked, by the clock of Postgres, in milliseconds.
    pub parked_at: Timestamp,
}

/// What [`ParkedEvent`] reads of `aqueduct.parked p`.
pub(super) const COLUMNS: &str = "p.id, p.projection, p.topic, p.partition, p.\"offset\", p.stream, p.revision, \
    p.event_type, p.state, p.code, p.reason, floor(extract(epoch from p.parked_at) * 1000)::bigint as parked_at_ms";

impl<'r> FromRow<'r, PgRow> for ParkedEvent {
    fn from_row(row: &'r PgRow) -> Result<Self, sqlx::Error> {
        let id: i64 = row.try_get("id")?;
        let unreadable =
            |problem: String| sqlx::Error::Decode(format!("parked event {id}: {problem}").into());
        let (state, code): (&str, &str) = (row.try_get("state")?, row.try_get("code")?);
        let parked_at = Timestamp::from_millisecond(row.try_get("parked_at_ms")?);
        Ok(Self {
            id,
            projection: row.try_get("projection")?,
            topic: row.try_get("topic")?,
            partition: row.try_get("partition")?,
            offset: row.try_get("offset")?,
            stream: row.try_get("stream")?,
            revision: row.try_get::<Option<i64>, _>("revision")?.map(i64::cast_unsigned),
            event_type: row.try_get("event_type")?,
            state: ParkedState::parse(state).ok_or_else(|| unreadable(format!("unknown state {state:?}")))?,
            code: code.parse().map_err(|_| {
                unreadable(format!("unknown code {code:?}: list it with the version that parked it"))
            })?,
            reason: row.try_get("reason")?,
            parked_at: parked_at.map_err(|error| unreadable(error.to_string()))?,
        })
    }
}

/// A parked event with its record.
#[derive(Debug, Clone, PartialEq)]
pub struct ParkedRecord {
    /// Where the event is from, and why it is parked.
    pub event: ParkedEvent,
    /// Key of the record.
    pub key: Option<Vec<u8>>,
    /// Value of the record.
    pub payload: Option<Vec<u8>>,
    /// Headers of the record.
    pub headers: Headers,
}
