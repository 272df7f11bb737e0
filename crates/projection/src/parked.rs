//! Parked events: listing them, and requests to replay or discard them.
//!
//! A request is only recorded here, durably. The owner of the stream's partition, a running projection, executes it:
//! in each transaction it applies the next parked events of a stream in order and removes them, until none is left
//! or one fails again. Events of the stream that arrive meanwhile are parked after them. [`progress`]
//! returns the state of the request.

pub(crate) mod apply;
pub(crate) mod event;
pub(crate) mod execute;
pub(crate) mod react;
pub(crate) mod read;
pub(crate) mod replay_batch;
pub(crate) mod steps;

use std::time::Duration;

use aqueduct_core::Revision;
use sqlx::PgPool;
use sqlx::postgres::types::PgInterval;

use self::event::COLUMNS;
pub use self::event::{ParkedEvent, ParkedRecord, ParkedState};
pub use crate::inbox::reason_code::{ReasonCode, UnknownReasonCode};
use crate::record::headers::Headers;

/// Which parked events to list, replay or discard: those that match all fields that are set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ParkedFilter {
    /// Name of the projection.
    pub projection: Option<String>,
    /// Topic of the record.
    pub topic: Option<String>,
    /// Stream of the event.
    pub stream: Option<String>,
    /// Revision of the event in its stream.
    pub revision: Option<Revision>,
    /// Why it is parked.
    pub code: Option<ReasonCode>,
    /// Parked at least this long ago.
    pub older_than: Option<Duration>,
}

/// A thousand years: what Postgres subtracts from the present must be a time that it has.
const LONGEST_AGE: Duration = Duration::from_secs(1_000 * 366 * 24 * 3_600);

impl ParkedFilter {
    fn revision(&self) -> Option<i64> {
        // No event has a revision above the signed range.
        self.revision.map(|revision| i64::try_from(revision).unwrap_or(i64::MAX))
    }

    fn older_than(&self) -> Option<PgInterval> {
        let age = self.older_than?.min(LONGEST_AGE);
        let microseconds = i64::try_from(age.as_micros()).unwrap_or(i64::MAX);
        Some(PgInterval { months: 0, days: 0, microseconds })
    }
}

/// Lists parked and discarded events in the order of their ids: at most `limit` after the id `after` (0: from the
/// beginning).
///
/// # Errors
/// The statement failed, or Postgres is unreachable.
pub async fn list(
    pool: &PgPool,
    selection: &ParkedFilter,
    after: i64,
    limit: u32,
) -> Result<Vec<ParkedEvent>, sqlx::Error> {
    let query = format!(
        "select {COLUMNS} from aqueduct.parked p \
          where p.id > $7 and ($1::text is null or p.projection = $1) and ($2::text is null or p.topic = $2) \
            and ($3::text is null or p.stream = $3) and ($4::bigint is null or p.revision = $4) \
            and ($5::text is null or p.code = $5) and ($6::interval is null or p.parked_at <= now() - $6) \
          order by p.id limit $8"
    );
    sqlx::query_as(sqlx::AssertSqlSafe(query))
        .bind(&selection.projection)
        .bind(&selection.topic)
        .bind(&selection.stream)
        .bind(selection.revision())
        .bind(selection.code.map(ReasonCode::as_str))
        .bind(selection.older_than())
        .bind(after)
        .bind(i64::from(limit))
        .fetch_all(pool)
        .await
}

struct StoredRecord {
    key: Option<Vec<u8>>,
    payload: Option<Vec<u8>>,
    headers: serde_json::Value,
}
crate::from_row!(StoredRecord { key, payload, headers });

/// One parked event with its record; `None` if there is no row with this id.
///
/// # Errors
/// The statement failed, or Postgres is unreachable.
pub async fn show(pool: &PgPool, id: i64) -> Result<Option<ParkedRecord>, sqlx::Error> {
    let event = format!("select {COLUMNS} from aqueduct.parked p where p.id = $1");
    let event = sqlx::query_as(sqlx::AssertSqlSafe(event)).bind(id).fetch_optional(pool).await?;
    let record: Option<StoredRecord> =
        sqlx::query_as("select key, payload, headers from aqueduct.parked where id = $1")
            .bind(id)
            .fetch_optional(pool)
            .await?;
    let (Some(event), Some(StoredRecord { key, payload, headers })) = (event, record) else {
        return Ok(None);
    };
    let headers = Headers::from_json(&headers).ok_or_else(|| {
        sqlx::Error::Decode(format!("the headers of parked event {id} cannot be read").into())
    })?;
    Ok(Some(ParkedRecord { event, key, payload, headers }))
}

/// A recorded request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request {
    /// Id of the request, for [`progress`].
    pub id: i64,
    /// Number of streams with selected events.
    pub streams: i64,
    /// Number of selected events.
    pub events: i64,
}

/// Requests the replay of the streams of the selected events, each from its first parked event on. Returns `None`
/// if the selection matches no parked event.
///
/// # Errors
/// The statement failed, or Postgres is unreachable.
pub async fn replay(pool: &PgPool, selection: &ParkedFilter) -> Result<Option<Request>, sqlx::Error> {
    request(pool, "replay", selection).await
}

/// Requests that the selected events are discarded: they are never applied, the inbox advances past their revisions,
/// and their rows remain with state `discarded`. Later events of their streams are then replayed. Returns `None` if
/// the selection matches no parked event.
///
/// # Errors
/// The statement failed, or Postgres is unreachable.
pub async fn discard(pool: &PgPool, selection: &ParkedFilter) -> Result<Option<Request>, sqlx::Error> {
    request(pool, "discard", selection).await
}

async fn request(
    pool: &PgPool,
    action: &str,
    selection: &ParkedFilter,
) -> Result<Option<Request>, sqlx::Error> {
    steps::purge(pool).await?;
    let statement =
        "select request, streams, events from aqueduct.parked_request($1, $2, $3, $4, $5, $6, $7)";
    let (id, streams, events): (Option<i64>, i64, i64) = sqlx::query_as(statement)
        .bind(action)
        .bind(&selection.projection)
        .bind(&selection.topic)
        .bind(&selection.stream)
        .bind(selection.revision())
        .bind(selection.code.map(ReasonCode::as_str))
        .bind(selection.older_than())
        .fetch_one(pool)
        .await?;
    Ok(id.map(|id| Request { id, streams, events }))
}

/// State of a request.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Progress {
    /// Streams that are not done; some of them may be in progress.
    pub waiting: i64,
    /// Of those waiting, streams that no owner has seen yet. If there are some for more than a few seconds, no
    /// instance of their projection owns their partitions.
    pub unseen: i64,
    /// Streams that are done.
    pub done: i64,
    /// Streams at which an event failed again.
    pub failed: i64,
    /// Events applied.
    pub applied: i64,
    /// Events discarded.
    pub discarded: i64,
    /// Why the first of the failed streams failed.
    pub problem: Option<String>,
}
crate::from_row!(Progress { waiting, unseen, done, failed, applied, discarded, problem });

/// Returns the state of a request.
///
/// # Errors
/// The statement failed, or Postgres is unreachable.
pub async fn progress(pool: &PgPool, request: i64) -> Result<Progress, sqlx::Error> {
    sqlx::query_as(
        "select count(*) filter (where state = 'waiting') as waiting, \
                count(*) filter (where state = 'waiting' and touched_at is null) as unseen, \
                count(*) filter (where state = 'done') as done, \
                count(*) filter (where state = 'failed') as failed, \
                coalesce(sum(applied), 0)::bigint as applied, coalesce(sum(discarded), 0)::bigint as discarded, \
                (array_agg(problem order by stream) filter (where state = 'failed'))[1] as problem \
           from aqueduct.parked_work where request = $1",
    )
    .bind(request)
    .fetch_one(pool)
    .await
}
