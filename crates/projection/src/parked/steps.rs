//! The statements of the steps in which an owner executes requests.

use sqlx::{Executor, PgConnection, PgPool, Postgres};

use crate::inbox::GENERATION;
use crate::inbox::entry::Fault;
use crate::inbox::ownership::OwnedPartition;
use crate::inbox::park::storable;
use crate::inbox::reason_code::ReasonCode;
use crate::inbox::verdict::ParkingVerdict;

/// Maximum number of events per step.
const MAX_EVENTS: i32 = 500;
/// Maximum number of events that a step discards.
const MAX_DISCARDED: i32 = 1000;
/// Maximum bytes of keys, payloads and headers per step. A single larger event is still read.
const MAX_BYTES: i64 = 4 << 20;

/// A stream of a request that waits to be executed.
#[derive(Debug, Clone)]
pub(crate) struct PendingStream {
    pub(crate) request: i64,
    pub(crate) action: String,
    pub(crate) source: String,
    pub(crate) topic: String,
    pub(crate) partition: i32,
    pub(crate) stream: String,
    /// Whether a discard has marked all events that it selected.
    pub(crate) is_discarded: bool,
}
crate::from_row!(PendingStream { request, action, source, topic, partition, stream, is_discarded });

impl PendingStream {
    pub(crate) fn must_discard(&self) -> bool {
        self.action == "discard" && !self.is_discarded
    }
}

/// The stream and partition of one step.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StreamStep<'a> {
    pub(crate) pending: &'a PendingStream,
    pub(crate) partition: &'a OwnedPartition,
    pub(crate) inbox: i32,
}

/// The pending stream of these partitions that was least recently tried, so that a stream that fails temporarily does
/// not delay the others. Of those never tried, discards come before replays. A stream is not replayed for any request
/// before each discard has marked all events that it selected.
pub(crate) async fn next_pending(
    pool: &PgPool,
    projection: &str,
    partitions: &[OwnedPartition],
) -> Result<Option<PendingStream>, sqlx::Error> {
    sqlx::query_as(
        "select w.request, w.action, w.source, w.topic, w.partition, w.stream, w.is_discarded \
           from unnest($3::text[], $4::integer[]) as o (topic, partition) \
          cross join lateral ( \
                select * from aqueduct.parked_work w \
                 where w.state = 'waiting' and w.projection = $1 and w.generation = $2 \
                   and w.topic = o.topic and w.partition = o.partition \
                   and not exists (select from aqueduct.parked_work d \
                                    where d.state = 'waiting' and d.action = 'discard' and not d.is_discarded \
                                      and d.projection = w.projection and d.generation = w.generation \
                                      and d.source = w.source and d.topic = w.topic \
                                      and d.partition = w.partition and d.stream = w.stream \
                                      and (w.action <> 'discard' or w.is_discarded)) \
                 order by w.touched_at nulls first, w.action, w.request limit 1) w \
          order by w.touched_at nulls first, w.action, w.request limit 1",
    )
    .bind(projection)
    .bind(GENERATION)
    .bind(partitions.iter().map(|owned| &*owned.topic).collect::<Vec<_>>())
    .bind(partitions.iter().map(|owned| owned.partition).collect::<Vec<_>>())
    .fetch_optional(pool)
    .await
}

/// A row of a blocked stream.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) id: i64,
    pub(crate) revision: Option<i64>,
    pub(crate) state: String,
    pub(crate) code: String,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) payload: Option<Vec<u8>>,
    pub(crate) headers: serde_json::Value,
}
crate::from_row!(Row { id, revision, state, code, partition, offset, key, payload, headers });

/// What a step begins with.
#[derive(Debug)]
pub(crate) struct NextRows {
    /// Last revision that the inbox of the stream has applied; -1: none.
    pub(crate) applied_before: i64,
    /// The next rows of the stream, in its order.
    pub(crate) rows: Vec<Row>,
}

/// The next rows of a blocked stream.
pub(crate) async fn next_rows(
    executor: &mut PgConnection,
    inbox: i32,
    stream: &str,
) -> Result<NextRows, sqlx::Error> {
    let applied: Option<i64> =
        sqlx::query_scalar("select revision from aqueduct.inbox_streams where inbox = $1 and stream = $2")
            .bind(inbox)
            .bind(stream)
            .fetch_optional(&mut *executor)
            .await?;
    let rows = sqlx::query_as("select * from aqueduct.parked_next($1, $2, $3, $4)")
        .bind(inbox)
        .bind(stream)
        .bind(MAX_EVENTS)
        .bind(MAX_BYTES)
        .fetch_all(executor)
        .await?;
    Ok(NextRows { applied_before: applied.unwrap_or(-1), rows })
}

/// Result of locking a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PartitionLock {
    /// It is locked until the end of the transaction.
    Acquired,
    /// It has another owner and is not locked.
    OtherOwner,
}

/// Locks the partition until the end of the transaction, unless it has another owner.
pub(crate) async fn lock_partition(
    executor: impl Executor<'_, Database = Postgres>,
    projection: &str,
    OwnedPartition { topic, partition, epoch }: &OwnedPartition,
) -> Result<PartitionLock, sqlx::Error> {
    let is_owner: bool = sqlx::query_scalar("select aqueduct.offsets_hold($1, $2, $3, $4, $5)")
        .bind(projection)
        .bind(GENERATION)
        .bind(&**topic)
        .bind(partition)
        .bind(epoch)
        .fetch_one(executor)
        .await?;
    Ok(if is_owner { PartitionLock::Acquired } else { PartitionLock::OtherOwner })
}

/// Discards the next events that the request selected in the stream, in a transaction that has locked its partition.
pub(crate) async fn discard(
    executor: impl Executor<'_, Database = Postgres>,
    pending: &PendingStream,
    inbox: i32,
) -> Result<StepProgress, sqlx::Error> {
    let discarded: i64 = sqlx::query_scalar("select aqueduct.parked_discard($1, $2, $3, $4)")
        .bind(pending.request)
        .bind(inbox)
        .bind(&pending.stream)
        .bind(MAX_DISCARDED)
        .fetch_one(executor)
        .await?;
    let is_discarded = discarded < i64::from(MAX_DISCARDED);
    Ok(StepProgress { discarded, is_discarded, ..StepProgress::default() })
}

/// A parked event whose headers could not be read when it was parked.
#[derive(Debug)]
pub(crate) struct RowWithoutRevision {
    pub(crate) id: i64,
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) headers: serde_json::Value,
}
crate::from_row!(RowWithoutRevision { id, key, headers });

/// Parked events of the stream without a revision.
pub(crate) async fn rows_without_revision(
    executor: impl Executor<'_, Database = Postgres>,
    inbox: i32,
    stream: &str,
) -> Result<Vec<RowWithoutRevision>, sqlx::Error> {
    sqlx::query_as("select id, key, headers from aqueduct.parked_without_revision($1, $2, $3, $4)")
        .bind(inbox)
        .bind(stream)
        .bind(MAX_EVENTS)
        .bind(MAX_BYTES)
        .fetch_all(executor)
        .await
}

/// Sets the revisions of parked events, which puts them in their place in the stream.
pub(crate) async fn assign_revisions(
    executor: impl Executor<'_, Database = Postgres>,
    ids: &[i64],
    revisions: &[i64],
) -> Result<(), sqlx::Error> {
    sqlx::query("select aqueduct.parked_assign_revisions($1, $2)")
        .bind(ids)
        .bind(revisions)
        .execute(executor)
        .await
        .map(drop)
}

/// Removes requests that ended at least a week ago.
pub(crate) async fn purge(executor: impl Executor<'_, Database = Postgres>) -> Result<(), sqlx::Error> {
    sqlx::query("select aqueduct.parked_purge()").execute(executor).await.map(drop)
}

/// A stream after a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StreamState {
    /// It has no parked event left: its next events are applied.
    Open,
    /// It has parked events: its next events are parked after them.
    Blocked,
}

/// Removes applied events and moves the inbox.
pub(crate) async fn finish_step(
    executor: impl Executor<'_, Database = Postgres>,
    inbox: i32,
    stream: &str,
    ids: &[i64],
    revision: i64,
    event_id: Option<&str>,
) -> Result<StreamState, sqlx::Error> {
    let is_open: bool = sqlx::query_scalar("select aqueduct.parked_applied($1, $2, $3, $4, $5)")
        .bind(inbox)
        .bind(stream)
        .bind(ids)
        .bind(revision)
        .bind(event_id)
        .fetch_one(executor)
        .await?;
    Ok(if is_open { StreamState::Open } else { StreamState::Blocked })
}

/// Parks an event again that could not be applied.
pub(crate) async fn park_again(
    executor: impl Executor<'_, Database = Postgres>,
    id: i64,
    fault: &Fault,
) -> Result<(), sqlx::Error> {
    let verdict = if fault.code == ReasonCode::Gap { ParkingVerdict::Gap } else { ParkingVerdict::Invalid };
    sqlx::query("select aqueduct.parked_again($1, $2, $3, $4)")
        .bind(id)
        .bind(verdict.as_str())
        .bind(fault.code.as_str())
        .bind(storable(&fault.reason))
        .execute(executor)
        .await
        .map(drop)
}

/// How a step leaves its stream.
pub(crate) enum StepOutcome<'a> {
    Waiting,
    Done,
    Failed(&'a str),
}

/// What a step adds to the progress of its request in a stream.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct StepProgress {
    /// Number of events applied.
    pub(crate) applied: i64,
    /// Number of events discarded. Negative: a discarded event was parked again.
    pub(crate) discarded: i64,
    /// See [`PendingStream::is_discarded`].
    pub(crate) is_discarded: bool,
}

/// Records the progress of a request in a stream, in a transaction that has locked its partition.
pub(crate) async fn record_progress(
    executor: impl Executor<'_, Database = Postgres>,
    projection: &str,
    pending: &PendingStream,
    progress: StepProgress,
    outcome: StepOutcome<'_>,
) -> Result<(), sqlx::Error> {
    let (state, problem) = match outcome {
        StepOutcome::Waiting => ("waiting", None),
        StepOutcome::Done => ("done", None),
        StepOutcome::Failed(problem) => ("failed", Some(storable(problem))),
    };
    sqlx::query(
        "update aqueduct.parked_work \
            set applied = applied + $7, discarded = discarded + $8, is_discarded = is_discarded or $9, \
                state = $10, problem = $11, touched_at = now() \
          where request = $1 and projection = $2 and generation = $3 and source = $4 and topic = $5 and stream = $6",
    )
    .bind(pending.request)
    .bind(projection)
    .bind(GENERATION)
    .bind(&pending.source)
    .bind(&pending.topic)
    .bind(&pending.stream)
    .bind(progress.applied)
    .bind(progress.discarded)
    .bind(progress.is_discarded)
    .bind(state)
    .bind(problem)
    .execute(executor)
    .await
    .map(drop)
}

/// A revision that is missing before the record at an offset.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MissingRevision {
    pub(crate) revision: i64,
    pub(crate) before_offset: i64,
}

/// A gap after the search for a discarded record that explains it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gap {
    /// There is no such record.
    Remains,
    /// A discarded record has the missing revision now.
    Explained,
}

/// Assigns a missing revision to a discarded record that has no readable revision, once.
pub(crate) async fn assign_gap_to_discarded(
    executor: impl Executor<'_, Database = Postgres>,
    inbox: i32,
    stream: &str,
    missing: MissingRevision,
) -> Result<Gap, sqlx::Error> {
    let assigned = sqlx::query(
        "update aqueduct.parked set revision = $3 \
          where id = (select min(p.id) from aqueduct.parked p join aqueduct.inboxes i \
                          on p.projection = i.projection and p.generation = i.generation \
                         and p.source = i.source and p.topic = i.topic \
                       where i.inbox = $1 and p.stream = $2 and p.state = 'discarded' and p.revision is null \
                         and p.\"offset\" < $4)",
    )
    .bind(inbox)
    .bind(stream)
    .bind(missing.revision)
    .bind(missing.before_offset)
    .execute(executor)
    .await?;
    Ok(if assigned.rows_affected() > 0 { Gap::Explained } else { Gap::Remains })
}
