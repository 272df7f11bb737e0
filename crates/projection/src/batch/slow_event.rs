//! Events whose statement Postgres cancels, although it is for this event alone.

use std::sync::Arc;
use std::time::Duration;

use sqlx::{PgConnection, PgPool};

use crate::model::error::ApplyError;
use crate::record::Record;

/// Attempts in a row after which an event is parked.
const ATTEMPTS: u32 = 3;

/// What a backend was doing while its statement took long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Activity {
    /// It executed the statement.
    Running,
    /// It waited, for a lock, a disk or another process; or nobody has looked.
    Other,
}

/// Postgres cancelled the statement of one event.
#[derive(Debug, thiserror::Error)]
#[error("postgres cancelled the statement of record {record} alone")]
pub(crate) struct Cancelled {
    pub(super) record: String,
    /// Index of its entry.
    pub(super) entry: usize,
    pub(super) activity: Activity,
    pub(super) source: ApplyError,
}

/// The server process of a connection, for others to look at.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Backend {
    pid: i32,
    statement_timeout: Duration,
}

impl Backend {
    pub(crate) async fn of(connection: &mut PgConnection) -> Result<Self, sqlx::Error> {
        let (pid, timeout): (i32, i64) = sqlx::query_as(
            "select pg_backend_pid(), (select setting::bigint from pg_settings where name = 'statement_timeout')",
        )
        .fetch_one(connection)
        .await?;
        Ok(Self { pid, statement_timeout: Duration::from_millis(timeout.unsigned_abs()) })
    }

    /// Looks at it, over another connection, before its statement has taken as long as it may. A wait for one lock has ended by
    /// then: `lock_timeout` is half of `statement_timeout`.
    pub(crate) async fn look(self, pool: &PgPool) -> Activity {
        tokio::time::sleep(self.statement_timeout * 3 / 4).await;
        // The class `Timeout` is pg_sleep, and what else a statement waits for because it wants to.
        let is_running: Result<Option<bool>, sqlx::Error> = sqlx::query_scalar(
            "select state = 'active' and coalesce(wait_event_type, 'Timeout') = 'Timeout' \
               from pg_stat_activity where pid = $1",
        )
        .bind(self.pid)
        .fetch_one(pool)
        .await;
        match is_running {
            Ok(Some(true)) => Activity::Running,
            Ok(Some(false) | None) | Err(_) => Activity::Other,
        }
    }
}

/// Counts the attempts in a row in which the statement of an event was cancelled.
#[derive(Debug, Default)]
pub(crate) struct SlowEvent {
    /// Topic, partition and offset.
    place: Option<(Arc<str>, i32, i64)>,
    attempts: u32,
}

impl SlowEvent {
    /// Counts one more. Returns whether the event is at fault: Postgres executed its statement each time until the time was
    /// over. A server that waits is not counted.
    pub(crate) fn count(&mut self, record: &Record, activity: Activity) -> bool {
        let place = Some((Arc::clone(&record.topic), record.partition, record.offset));
        if self.place != place || activity != Activity::Running {
            *self = Self { place, attempts: 0 };
        }
        self.attempts += u32::from(activity == Activity::Running);
        self.attempts >= ATTEMPTS
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::headers::Headers;

    #[test]
    fn three_attempts_in_a_row_in_which_nothing_was_waited_for_are_a_fault_of_the_event() {
        let mut slow = SlowEvent::default();
        let mut count = |offset, activity| {
            let (topic, headers) = ("bank".into(), Headers::default());
            let record = Record { topic, partition: 0, offset, epoch: 1, key: None, payload: None, headers };
            slow.count(&record, activity)
        };
        assert!(!count(1, Activity::Running));
        assert!(!count(1, Activity::Running));
        assert!(!count(1, Activity::Other));
        assert!(!count(1, Activity::Running));
        assert!(!count(2, Activity::Running));
        assert!(!count(2, Activity::Running));
        assert!(count(2, Activity::Running));
    }
}
