//! Running a statement so that each event is seen to have had an effect.

use std::collections::BTreeSet;

use serde_json::Value;
use sqlx::postgres::PgDatabaseError;
use sqlx::{PgConnection, Row as _};

use crate::model::error::{ApplyError, StatementError};
use crate::sql::events::Columns;
use crate::sql::statement::Statement;
use crate::sql::statement_kind::Verb;
use crate::sql::steps::Event;

/// SQLSTATE `cardinality_violation`: two events of a step are about the same row.
const CARDINALITY_VIOLATION: &str = "21000";

/// Nodes of a plan that make one row of a row, or less.
const ROW_BY_ROW: [&str; 4] = ["ModifyTable", "Subquery Scan", "Function Scan", "Result"];

/// What shows that each of several events had its effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Proof {
    /// The statement returns the ordinals of the events that deleted a row. Whichever of two events deletes a row, it is gone.
    Ordinals,
    /// An event makes at most one row, so that as many rows as events are one of each.
    Count,
    /// Nothing does: the statement runs event by event. Of two events about one row `update` takes one, and of several rows
    /// that an event touches it does not say which it took from another.
    None,
}

/// What a run for several events has shown.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Each event had an effect that is allowed.
    OfEach,
    /// That is not known: what was done must be rolled back, and the statement must run event by event.
    Unproven,
}

/// What comes before a statement that is only planned. Postgres checks tables, columns and rights all the same.
const EXPLAIN: &str = "explain (format json) ";

impl Proof {
    /// Has Postgres plan a statement, and finds out what it shows. An error if it cannot be planned. Not to be called within a
    /// transaction, which such an error would end.
    pub(crate) async fn of(
        statement: &Statement,
        connection: &mut PgConnection,
    ) -> Result<Self, StatementError> {
        let plan = explain(&statement.sql, &mut *connection).await;
        let plan = plan.map_err(|source| error_at(statement, source, EXPLAIN.len()))?;
        Ok(match (statement.verb, &statement.returning) {
            _ if statement.writes_within => Self::None,
            (Verb::Insert, _) if statement.any_rows || is_row_by_row(&plan[0]["Plan"]) => Self::Count,
            (Verb::Delete, Some(returning)) if explain(returning, connection).await.is_ok() => Self::Ordinals,
            _ => Self::None,
        })
    }
}

async fn explain(sql: &str, connection: &mut PgConnection) -> Result<Value, sqlx::Error> {
    Columns::default().bind(&format!("{EXPLAIN}{sql}").into()).fetch_one(connection).await?.try_get(0)
}

/// Whether no node of a plan makes several rows of one: neither a join nor a function that returns a set.
fn is_row_by_row(plan: &Value) -> bool {
    let node = plan["Node Type"].as_str().unwrap_or_default();
    let children = plan["Plans"].as_array().map(Vec::as_slice).unwrap_or_default();
    ROW_BY_ROW.contains(&node) && children.iter().all(is_row_by_row)
}

/// Runs a statement once for several events.
pub(crate) async fn run_for_all(
    statement: &Statement,
    proof: Proof,
    connection: &mut PgConnection,
    events: &[Event<'_>],
) -> Result<Effect, ApplyError> {
    let columns = Columns::of(events);
    let proven = match (proof, &statement.returning) {
        (Proof::Ordinals, Some(returning)) => {
            let rows = columns.bind(returning).fetch_all(connection).await;
            rows.and_then(|rows| {
                rows.iter().map(|row| row.try_get(0)).collect::<Result<BTreeSet<Option<i64>>, _>>()
            })
            .map(|touched| statement.any_rows || touched.iter().flatten().count() == events.len())
        }
        (Proof::Count, _) => {
            let written = columns.bind(&statement.sql).execute(connection).await;
            written.map(|written| statement.any_rows || written.rows_affected() == events.len() as u64)
        }
        _ => return Ok(Effect::Unproven),
    };
    match proven {
        Ok(true) => Ok(Effect::OfEach),
        Ok(false) => Ok(Effect::Unproven),
        Err(error) if has_code(&error, CARDINALITY_VIOLATION) => Ok(Effect::Unproven),
        Err(source) => Err(statement_error(statement, source).into()),
    }
}

/// Runs a statement for one event. An error if it touches no row and that is not allowed.
pub(crate) async fn run_for_one(
    statement: &Statement,
    connection: &mut PgConnection,
    event: Event<'_>,
) -> Result<(), ApplyError> {
    let written = Columns::of(&[event]).bind(&statement.sql).execute(connection).await;
    let rows = written.map_err(|source| statement_error(statement, source))?.rows_affected();
    if rows == 0 && !statement.any_rows {
        return Err(ApplyError::NoRow { path: statement.path.clone() });
    }
    Ok(())
}

fn has_code(error: &sqlx::Error, code: &str) -> bool {
    error.as_database_error().and_then(sqlx::error::DatabaseError::code).as_deref() == Some(code)
}

/// An error of Postgres with the place in the file.
fn statement_error(statement: &Statement, source: sqlx::Error) -> StatementError {
    error_at(statement, source, 0)
}

/// The same where so many characters were sent before the statement.
fn error_at(statement: &Statement, source: sqlx::Error, before: usize) -> StatementError {
    use sqlx::postgres::PgErrorPosition::Original;
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
