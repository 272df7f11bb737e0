//! What Postgres tells about the progress of projections: for operators.

use jiff::Timestamp;
use sqlx::PgPool;

use crate::inbox::GENERATION;

/// A partition of a topic, as a projection or reactor has applied it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionReport {
    /// Name of the projection or reactor.
    pub projection: String,
    /// Name of the topic; empty for an instance that owns no partition and cannot work.
    pub topic: String,
    /// Number of the partition; -1 for an instance that owns none.
    pub partition: i32,
    /// The offset after the last applied or parked record; `None` if there is none.
    pub next_offset: Option<i64>,
    /// Offset up to which everything is applied, including transaction markers, in the current owner's last report.
    pub read_to: Option<i64>,
    /// Number of parked events of the partition.
    pub parked: u64,
    /// The last report of an owner; `None` if there is none.
    pub reported: Option<PartitionState>,
}

/// What an instance reported about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionState {
    /// `running`, `retrying`, `halted` or `stopped`.
    pub state: String,
    /// Why it does not run, and what to do.
    pub problem: Option<String>,
    /// When it was reported, by the clock of Postgres. An instance reports every ten seconds.
    pub at: Timestamp,
}

struct Row {
    projection: String,
    topic: String,
    partition: i32,
    next_offset: Option<i64>,
    read_to: Option<i64>,
    parked: i64,
    state: Option<String>,
    problem: Option<String>,
    reported_at: Option<f64>,
}
crate::from_row!(Row {
    projection,
    topic,
    partition,
    next_offset,
    read_to,
    parked,
    state,
    problem,
    reported_at
});

/// Reads the partitions of all projections in this database, ordered by projection, topic and partition.
///
/// # Errors
/// Postgres cannot be reached, or the migrations of this version did not run.
pub async fn read_partitions(pool: &PgPool) -> Result<Vec<PartitionReport>, sqlx::Error> {
    let rows: Vec<Row> = sqlx::query_as(
        "select coalesce(o.projection, s.projection) as projection, coalesce(o.topic, s.topic) as topic,
                coalesce(o.partition, s.partition) as partition, o.next_offset,
                case when s.epoch = o.epoch then s.read_to end as read_to,
                coalesce(p.parked, 0) as parked, s.state, s.problem,
                extract(epoch from s.reported_at)::float8 as reported_at
           from (select * from aqueduct.offsets where generation = $1) o
           full join (select * from aqueduct.projection_status where generation = $1) s
             on s.projection = o.projection and s.topic = o.topic and s.partition = o.partition
           left join (select projection, topic, partition, count(*) as parked
                        from aqueduct.parked
                       where generation = $1 and state = 'parked'
                       group by projection, topic, partition) p
             on p.projection = o.projection and p.topic = o.topic and p.partition = o.partition
          order by 1, 2, 3",
    )
    .bind(GENERATION)
    .fetch_all(pool)
    .await?;
    Ok(rows.into_iter().map(report).collect())
}

fn report(row: Row) -> PartitionReport {
    let Row { projection, topic, partition, next_offset, read_to, parked, state, problem, reported_at } = row;
    let at = reported_at.and_then(|seconds| Timestamp::from_millisecond((seconds * 1000.0) as i64).ok());
    let reported = state.zip(at).map(|(state, at)| PartitionState { state, problem, at });
    let parked = parked.max(0) as u64;
    PartitionReport { projection, topic, partition, next_offset, read_to, parked, reported }
}
