//! Tells a table that is at fault from events that are.

use std::collections::BTreeSet;

use parking_lot::Mutex;
use sqlx::postgres::PgDatabaseError;

use crate::model::handler::ApplyError;

/// So many streams in succession, without a row that is accepted, and the table is considered at fault.
const STREAMS: usize = 3;

/// Rows that Postgres refused since it last accepted one. What it refuses for every row, after the table was
/// changed by hand, is not the fault of the events, and parking them all would only hide it.
#[derive(Debug, Default)]
pub(crate) struct Refusals(Mutex<Succession>);

#[derive(Debug, Default)]
struct Succession {
    reason: Option<Reason>,
    streams: BTreeSet<String>,
}

/// What identical refusals have in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reason {
    sqlstate: String,
    /// Constraint or column.
    object: Option<String>,
}

impl Reason {
    /// `None`: the table can't be the reason.
    pub(crate) fn of(error: &ApplyError) -> Option<Self> {
        let ApplyError::Postgres(error) = error else { return None };
        let error = error.as_database_error()?.try_downcast_ref::<PgDatabaseError>()?;
        let object = error.constraint().or_else(|| error.column()).map(str::to_owned);
        Some(Self { sqlstate: error.code().to_owned(), object })
    }
}

impl Refusals {
    /// A row was accepted.
    pub(crate) fn accepted(&self) {
        *self.0.lock() = Succession::default();
    }

    /// The rows of these streams were refused, and none of the batch was accepted. Returns the number of streams
    /// in succession if the table is at fault.
    pub(crate) fn refused(&self, batch: impl IntoIterator<Item = (Reason, String)>) -> Option<usize> {
        let mut succession = self.0.lock();
        for (reason, stream) in batch {
            if succession.reason.as_ref() != Some(&reason) {
                *succession = Succession { reason: Some(reason), streams: BTreeSet::new() };
            }
            succession.streams.insert(stream);
        }
        let streams = succession.streams.len();
        (streams >= STREAMS).then_some(streams)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(sqlstate: &str) -> Reason {
        Reason { sqlstate: sqlstate.to_owned(), object: None }
    }

    #[test]
    fn three_streams_in_succession_with_one_reason_are_a_fault_of_the_table() {
        let refusals = Refusals::default();
        let refused = |sqlstate, stream: &str| refusals.refused([(reason(sqlstate), stream.to_owned())]);
        assert_eq!(refused("22P02", "a"), None);
        assert_eq!(refused("22P02", "a"), None);
        assert_eq!(refused("22P02", "b"), None);
        refusals.accepted();
        assert_eq!(refused("22P02", "c"), None);
        assert_eq!(refused("23514", "d"), None);
        assert_eq!(refused("23514", "e"), None);
        assert_eq!(refused("23514", "f"), Some(3));
    }
}
