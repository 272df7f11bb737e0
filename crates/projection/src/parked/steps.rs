//! The statements of the steps in which an owner executes requests.

use sqlx::{Executor, PgPool, Postgres};

use crate::inbox::GENERATION;
use crate::inbox::entry::{Fault, ReasonCode};
use crate::inbox::ownership::OwnedPartition;
use crate::inbox::park::storable;

/// Maximum number of events per step.
const MAX_EVENTS: i32 = 500;
/// Maximum size of the payloads per step, but for a single event: bounds memory.
const MAX_BYTES: i64 = 4 << 20;

/// A stream of a request that waits to be executed.
#[derive(Debug, Clone, sqlx::FromRow)]
pub(crate) struct Work {
    pub(crate) request: i64,
    pub(crate) action: String,
    pub(crate) source: String,
    pub(crate) topic: String,
    pub(crate) partition: i32,
    pub(crate) stream: String,
    /// Number of events that were discarded for it, all of them at once.
    pub(crate) discarded: i64,
}

/// The work of these partitions that was least recently tried, so that one that can't go on does not keep the others
/// waiting. Of those never tried, discards come before replays, which may need them.
pub(crate) async fn next_work(
    pool: &PgPool,
    projection: &str,
    partitions: &[OwnedPartition],
) -> Result<Option<Work>, sqlx::Error> {
    sqlx::query_as(
        "select w.request, w.action, w.source, w.topic, w.partition, w.stream, w.discarded \
           from unnest($3::text[], $4::integer[]) as o (topic, partition) \
          cross join lateral ( \
                select * from aqueduct.parked_work w \
                 where w.state = 'waiting' and w.projection = $1 and w.generation = $2 \
                   and w.topic = o.topic and w.partition = o.partition \
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
#[derive(Debug, sqlx::FromRow)]
pub(crate) struct Row {
    pub(crate) id: i64,
    pub(crate) revision: Option<i64>,
    pub(crate) state: String,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) payload: Option<Vec<u8>>,
    pub(crate) headers: serde_json::Value,
}

/// The next events of a blocked stream, and the last revision that its inbox has applied.
pub(crate) async fn next_rows(
    pool: &PgPool,
    inbox: i32,
    stream: &str,
) -> Result<(i64, Vec<Row>), sqlx::Error> {
    let applied: Option<i64> =
        sqlx::query_scalar("select revision from aqueduct.inbox_streams where inbox = $1 and stream = $2")
            .bind(inbox)
            .bind(stream)
            .fetch_optional(pool)
            .await?;
    let rows = sqlx::query_as("select * from aqueduct.parked_next($1, $2, $3, $4)")
        .bind(inbox)
        .bind(stream)
        .bind(MAX_EVENTS)
        .bind(MAX_BYTES)
        .fetch_all(pool)
        .await?;
    Ok((applied.unwrap_or(-1), rows))
}

/// Locks the partition. False: it has another owner.
pub(crate) async fn hold(
    executor: impl Executor<'_, Database = Postgres>,
    projection: &str,
    OwnedPartition { topic, partition, epoch }: &OwnedPartition,
) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar("select aqueduct.offsets_hold($1, $2, $3, $4, $5)")
        .bind(projection)
        .bind(GENERATION)
        .bind(&**topic)
        .bind(partition)
        .bind(epoch)
        .fetch_one(executor)
        .await
}

/// Discards the events that the request selected in the stream.
pub(crate) async fn discard(
    executor: impl Executor<'_, Database = Postgres>,
    work: &Work,
    inbox: i32,
) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar("select aqueduct.parked_discard($1, $2, $3)")
        .bind(work.request)
        .bind(inbox)
        .bind(&work.stream)
        .fetch_one(executor)
        .await
}

/// Removes applied events and moves the inbox. True: the stream has no parked event left and is open.
pub(crate) async fn applied(
    executor: impl Executor<'_, Database = Postgres>,
    inbox: i32,
    stream: &str,
    ids: &[i64],
    revision: i64,
) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar("select aqueduct.parked_applied($1, $2, $3, $4)")
        .bind(inbox)
        .bind(stream)
        .bind(ids)
        .bind(revision)
        .fetch_one(executor)
        .await
}

/// Parks the event again at which the replay failed.
pub(crate) async fn park_again(
    executor: impl Executor<'_, Database = Postgres>,
    id: i64,
    fault: &Fault,
) -> Result<(), sqlx::Error> {
    let verdict = if fault.code == ReasonCode::Gap { "gap" } else { "invalid" };
    sqlx::query("select aqueduct.parked_again($1, $2, $3, $4)")
        .bind(id)
        .bind(verdict)
        .bind(fault.code.as_str())
        .bind(storable(&fault.reason))
        .execute(executor)
        .await
        .map(drop)
}

/// How a step leaves the work.
pub(crate) enum State<'a> {
    Waiting,
    Done,
    Failed(&'a str),
}

/// Records the progress of the work, in a transaction that holds its partition.
pub(crate) async fn touch(
    executor: impl Executor<'_, Database = Postgres>,
    projection: &str,
    work: &Work,
    (applied, discarded): (i64, i64),
    state: State<'_>,
) -> Result<(), sqlx::Error> {
    let (state, problem) = match state {
        State::Waiting => ("waiting", None),
        State::Done => ("done", None),
        State::Failed(problem) => ("failed", Some(storable(problem))),
    };
    sqlx::query(
        "update aqueduct.parked_work \
            set applied = applied + $7, discarded = discarded + $8, state = $9, problem = $10, touched_at = now() \
          where request = $1 and projection = $2 and generation = $3 and source = $4 and topic = $5 and stream = $6",
    )
    .bind(work.request)
    .bind(projection)
    .bind(GENERATION)
    .bind(&work.source)
    .bind(&work.topic)
    .bind(&work.stream)
    .bind(applied)
    .bind(discarded)
    .bind(state)
    .bind(problem)
    .execute(executor)
    .await
    .map(drop)
}

/// Whether a discarded record without a readable revision explains a gap before `revision`: it is then taken for the
/// missing one, once.
pub(crate) async fn explain_gap(
    executor: impl Executor<'_, Database = Postgres>,
    inbox: i32,
    stream: &str,
    missing: i64,
    before_offset: i64,
) -> Result<bool, sqlx::Error> {
    let explained = sqlx::query(
        "update aqueduct.parked set revision = $3 \
          where id = (select min(p.id) from aqueduct.parked p join aqueduct.inboxes i \
                          on p.projection = i.projection and p.generation = i.generation \
                         and p.source = i.source and p.topic = i.topic \
                       where i.inbox = $1 and p.stream = $2 and p.state = 'discarded' and p.revision is null \
                         and p.\"offset\" < $4)",
    )
    .bind(inbox)
    .bind(stream)
    .bind(missing)
    .bind(before_offset)
    .execute(executor)
    .await?;
    Ok(explained.rows_affected() > 0)
}
