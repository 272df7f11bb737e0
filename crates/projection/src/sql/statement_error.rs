//! Where in its file a statement failed.

use sqlx::postgres::PgDatabaseError;
use sqlx::postgres::PgErrorPosition::Original;

use crate::model::error::StatementError;
use crate::sql::statement::Statement;

/// An error of Postgres with the place in the file, where so many characters were sent before the statement.
pub(crate) fn error_at(statement: &Statement, source: sqlx::Error, before: usize) -> StatementError {
    let error = source.as_database_error().and_then(|error| error.try_downcast_ref::<PgDatabaseError>());
    let position = match error.and_then(PgDatabaseError::position) {
        Some(Original(position)) => Some(position.saturating_sub(before)),
        _ => None,
    };
    StatementError {
        path: statement.path.clone(),
        line: position.map(|position| statement.line_of(position)),
        source,
    }
}
