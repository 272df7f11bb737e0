//! Detects when the table, not an event, causes every row to fail.

use std::collections::BTreeSet;

use parking_lot::Mutex;
use sqlx::postgres::PgDatabaseError;

use crate::model::error::ApplyError;

/// Number of consecutive streams, without an accepted row, after which a table is considered at fault of which nothing
/// else is known.
const STREAMS: usize = 3;

/// The same for a table that accepts the rows that it contains. Three bad events of one kind must not halt a projection
/// that has little to do. But a table can also accept its old rows and reject all new ones: it lacks the partition of
/// the current month, or has a constraint on the time.
const STREAMS_OF_SOUND_TABLE: usize = 100;

/// The same for a projection in SQL, which cannot be asked for a row that its table contains.
const STREAMS_UNPROBED: usize = 10;

/// What a probe has shown about a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TableState {
    /// It accepts a row that it contains.
    Sound,
    /// It is empty, or rejects its own row for another reason.
    Unknown,
    /// There was no probe.
    Unprobed,
}

/// Counts the rows that Postgres rejected since it last accepted one. If a table was changed by hand so that every
/// row fails, the events are not at fault, and parking them all would only hide the cause.
#[derive(Debug, Default)]
pub(crate) struct TableFaultDetector {
    consecutive: Mutex<Consecutive>,
}

#[derive(Debug, Default)]
struct Consecutive {
    reason: Option<FailureReason>,
    streams: BTreeSet<String>,
}

/// SQLSTATE `no_data`: an event touched no row.
const NO_DATA: &str = "02000";

/// What failures of the same cause have in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FailureReason {
    sqlstate: String,
    /// Constraint or column.
    object: Option<String>,
}

impl FailureReason {
    /// Returns `None` if the table cannot be the cause.
    pub(crate) fn of(error: &ApplyError) -> Option<Self> {
        if let ApplyError::NoRow { path } = error {
            return Some(Self { sqlstate: NO_DATA.to_owned(), object: Some(path.display().to_string()) });
        }
        let error = error.postgres()?.as_database_error()?.try_downcast_ref::<PgDatabaseError>()?;
        let object = error.constraint().or_else(|| error.column()).map(str::to_owned);
        Some(Self { sqlstate: error.code().to_owned(), object })
    }
}

impl TableFaultDetector {
    /// Records that a row was accepted.
    pub(crate) fn record_success(&self) {
        *self.consecutive.lock() = Consecutive::default();
    }

    /// Records that the rows of these streams were rejected and no row of the batch was accepted. Returns the number
    /// of consecutive streams if the table is at fault.
    pub(crate) fn record_failure(
        &self,
        batch: impl IntoIterator<Item = (FailureReason, String)>,
        table: TableState,
    ) -> Option<usize> {
        let mut consecutive = self.consecutive.lock();
        for (reason, stream) in batch {
            if consecutive.reason.as_ref() != Some(&reason) {
                *consecutive = Consecutive { reason: Some(reason), streams: BTreeSet::new() };
            }
            consecutive.streams.insert(stream);
        }
        let streams = consecutive.streams.len();
        let limit = match table {
            TableState::Sound => STREAMS_OF_SOUND_TABLE,
            TableState::Unknown => STREAMS,
            TableState::Unprobed => STREAMS_UNPROBED,
        };
        (streams >= limit).then_some(streams)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(sqlstate: &str) -> FailureReason {
        FailureReason { sqlstate: sqlstate.to_owned(), object: None }
    }

    #[test]
    fn three_consecutive_streams_with_one_reason_are_a_fault_of_the_table() {
        let table_faults = TableFaultDetector::default();
        let fail = |sqlstate, stream: &str| {
            table_faults.record_failure([(reason(sqlstate), stream.to_owned())], TableState::Unknown)
        };
        assert_eq!(fail("22P02", "a"), None);
        assert_eq!(fail("22P02", "a"), None);
        assert_eq!(fail("22P02", "b"), None);
        table_faults.record_success();
        assert_eq!(fail("22P02", "c"), None);
        assert_eq!(fail("23514", "d"), None);
        assert_eq!(fail("23514", "e"), None);
        assert_eq!(fail("23514", "f"), Some(3));
    }

    #[test]
    fn a_sound_table_is_at_fault_after_a_hundred_consecutive_streams() {
        let table_faults = TableFaultDetector::default();
        for stream in 1..=100 {
            let fault =
                table_faults.record_failure([(reason("23514"), stream.to_string())], TableState::Sound);
            assert_eq!(fault, (stream == 100).then_some(100));
        }
    }
}
