//! What an error from Postgres means.

use aqueduct_core::ErrorKind;
use sqlx::error::DatabaseError;
use sqlx::postgres::PgDatabaseError;

/// SQLSTATE `feature_not_supported`: what Postgres returns for a prepared statement whose result type changed.
const FEATURE_NOT_SUPPORTED: &str = "0A000";

/// SQLSTATE `query_canceled`.
const QUERY_CANCELED: &str = "57014";

/// Kind of an error from Postgres. [`Park`](ErrorKind::Park) means that a value does not fit: one record of the batch
/// is at fault.
pub(crate) fn error_kind(error: &sqlx::Error) -> ErrorKind {
    match error {
        sqlx::Error::Io(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed
        | sqlx::Error::Protocol(_) => ErrorKind::Retry,
        _ if is_stale_statement(error) => ErrorKind::Retry,
        sqlx::Error::Database(error) => error.code().map_or(ErrorKind::Stop, |code| state_kind(&code)),
        _ => ErrorKind::Stop,
    }
}

/// Whether a prepared statement must be prepared again, because a table that it uses was changed. Other errors have
/// the same SQLSTATE and the message is translated, so the function of Postgres that raised it decides.
pub(crate) fn is_stale_statement(error: &sqlx::Error) -> bool {
    let error = error.as_database_error().and_then(|error| error.try_downcast_ref::<PgDatabaseError>());
    error.is_some_and(|error| {
        error.code() == FEATURE_NOT_SUPPORTED && error.routine() == Some("RevalidateCachedQuery")
    })
}

/// Whether Postgres cancelled a statement: it took too long, or somebody cancelled it.
pub(crate) fn is_cancelled(error: &sqlx::Error) -> bool {
    has_code(error, QUERY_CANCELED)
}

/// Whether Postgres has returned this SQLSTATE.
pub(crate) fn has_code(error: &sqlx::Error, code: &str) -> bool {
    error.as_database_error().and_then(DatabaseError::code).as_deref() == Some(code)
}

/// By SQLSTATE (PostgreSQL's appendix A).
fn state_kind(code: &str) -> ErrorKind {
    match code.get(..2) {
        // Cardinality, data, integrity constraint, check option, limit (a key too long for its index), raised by
        // a trigger.
        Some("21" | "22" | "23" | "44" | "54" | "P0") => ErrorKind::Park,
        // Connection, transaction state (a standby is read only until it is promoted), rollback (deadlock,
        // serialisation), resources, object in use (lock timeout), operator intervention (statement timeout),
        // system, internal.
        Some("08" | "25" | "40" | "53" | "55" | "57" | "58" | "XX") => ErrorKind::Retry,
        // Missing tables, rejected logins and rights: a retry does not solve them.
        _ => ErrorKind::Stop,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sqlstate_decides_the_kind() {
        for (code, kind) in [
            ("22003", ErrorKind::Park),
            ("23514", ErrorKind::Park),
            ("57P01", ErrorKind::Retry),
            ("57014", ErrorKind::Retry),
            ("40P01", ErrorKind::Retry),
            ("42P01", ErrorKind::Stop),
            ("28P01", ErrorKind::Stop),
        ] {
            assert_eq!(state_kind(code), kind, "{code}");
        }
    }
}
