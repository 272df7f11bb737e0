//! What an instance reports about itself in Postgres, for `aqueduct status`.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use sqlx::PgPool;
use tokio::time::Instant;

use crate::inbox::GENERATION;
use crate::inbox::ownership::{OwnedPartition, Ownership};
use crate::status::Status;

/// How often an instance reports without a change of its state.
const INTERVAL: Duration = Duration::from_secs(10);
/// Minimum time between two reports.
const MIN_INTERVAL: Duration = Duration::from_secs(1);
/// Timeout of a report.
const TIMEOUT: Duration = Duration::from_secs(3);
/// Maximum length of a reported problem, in bytes.
const MAX_PROBLEM_BYTES: usize = 2000;

/// State of an instance.
#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    Running,
    Retrying(String),
    Halted(String),
    Stopped,
}

/// Reports the state of an instance. A failure has no other effect than an old report in `aqueduct status`.
#[derive(Debug)]
pub(crate) struct StatusWriter {
    projection: &'static str,
    ownership: Arc<Ownership>,
    pool: PgPool,
    /// The partitions of the last report. When the projection ends, it has already given them up.
    partitions: Mutex<Vec<OwnedPartition>>,
}

impl StatusWriter {
    pub(crate) fn new(projection: &'static str, ownership: Arc<Ownership>, pool: PgPool) -> Self {
        Self { projection, ownership, pool, partitions: Mutex::default() }
    }

    /// Reports when the status changes, and at intervals. Never completes.
    pub(crate) async fn follow(&self, mut status: Status) {
        // By then the state at the start has usually passed.
        tokio::time::sleep(MIN_INTERVAL).await;
        loop {
            let problem = status.not_ready();
            let due = Instant::now() + INTERVAL;
            let reached = self.ownership.reached();
            *self.partitions.lock() = reached.iter().map(|(partition, _)| partition.clone()).collect();
            // An instance without partitions that could work has nothing to report.
            if problem.is_some() || !reached.is_empty() {
                let state = problem.clone().map_or(State::Running, State::Retrying);
                self.write(&state, &reached).await;
            }
            tokio::time::sleep(MIN_INTERVAL).await;
            let owned = reached.len();
            let changed = async {
                while status.not_ready() == problem && self.ownership.partitions().len() == owned {
                    if status.changed().await.is_err() {
                        return std::future::pending().await;
                    }
                }
            };
            // Reports again in either case.
            let _due = tokio::time::timeout_at(due, changed).await;
        }
    }

    /// Reports that the projection has ended, with an error that a retry does not solve or without one.
    pub(crate) async fn end(&self, halted: Option<String>) {
        let partitions = std::mem::take(&mut *self.partitions.lock());
        let reached: Vec<_> = partitions.into_iter().map(|partition| (partition, None)).collect();
        let state = halted.map_or(State::Stopped, State::Halted);
        if state != State::Stopped || !reached.is_empty() {
            self.write(&state, &reached).await;
        }
    }

    async fn write(&self, state: &State, reached: &[(OwnedPartition, Option<i64>)]) {
        let (name, problem) = match state {
            State::Running => ("running", None),
            State::Retrying(problem) => ("retrying", Some(problem)),
            State::Halted(problem) => ("halted", Some(problem)),
            State::Stopped => ("stopped", None),
        };
        let problem = problem.map(|problem| &problem[..problem.floor_char_boundary(MAX_PROBLEM_BYTES)]);
        let partitions = || reached.iter().map(|(partition, _)| partition);
        let report = sqlx::query("select aqueduct.projection_report($1, $2, $3, $4, $5, $6, $7, $8, $9)")
            .bind(self.projection)
            .bind(GENERATION)
            .bind(self.ownership.owner())
            .bind(name)
            .bind(problem)
            .bind(partitions().map(|owned| &*owned.topic).collect::<Vec<_>>())
            .bind(partitions().map(|owned| owned.partition).collect::<Vec<_>>())
            .bind(partitions().map(|owned| owned.epoch).collect::<Vec<_>>())
            .bind(reached.iter().map(|(_, read_to)| *read_to).collect::<Vec<_>>())
            .execute(&self.pool);
        match tokio::time::timeout(TIMEOUT, report).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => tracing::debug!(projection = self.projection, %error, "status not reported"),
            Err(_) => tracing::debug!(projection = self.projection, "status not reported in time"),
        }
    }
}
