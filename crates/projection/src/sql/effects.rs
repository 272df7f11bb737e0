//! Running a statement so that each event is seen to have had an effect.

use std::collections::BTreeSet;

use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row as _};

use crate::model::error::ApplyError;
use crate::postgres::error::has_code;
use crate::sql::events::Event;
use crate::sql::proof::Proof;
use crate::sql::statement::Statement;
use crate::sql::statement_error::error_at;

/// SQLSTATE `cardinality_violation`: two events of a step are about the same row.
const CARDINALITY_VIOLATION: &str = "21000";

/// What a run for several events has shown.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Each event had an effect that is allowed.
    OfEach,
    /// That is not known: what was done must be rolled back, and the statement must run event by event.
    Unproven,
}

/// Runs a statement once for several events.
pub(crate) async fn run_for_all(
    statement: &Statement,
    proof: &Proof,
    connection: &mut PgConnection,
    events: &[Event<'_>],
) -> Result<Effect, ApplyError> {
    let proven = match proof {
        Proof::Count => {
            let written = statement.rows.bind(&statement.sql, events).execute(connection).await;
            written.map(|written| statement.any_rows || written.rows_affected() == events.len() as u64)
        }
        Proof::Deleted { sql } => {
            statement.rows.bind(sql, events).fetch_all(connection).await.and_then(|rows| {
                let deleting: BTreeSet<i64> =
                    rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?;
                Ok(statement.any_rows || deleting.len() == events.len())
            })
        }
        Proof::Updated { sql, unique_indexes } => {
            statement.rows.bind(sql, events).fetch_all(connection).await.and_then(|rows| {
                let row = |row: &PgRow| Ok((row.try_get(0)?, row.try_get(1)?));
                let updating =
                    rows.iter().map(row).collect::<Result<BTreeSet<(i64, Option<String>)>, sqlx::Error>>()?;
                // Without a row it is not known whether an event found none, or the row of another one.
                Ok(rows.len() == events.len()
                    && updating.len() == events.len()
                    && updating.iter().all(|(_, indexes)| indexes.as_ref() == Some(unique_indexes)))
            })
        }
    };
    match proven {
        Ok(true) => Ok(Effect::OfEach),
        Ok(false) => Ok(Effect::Unproven),
        Err(error) if has_code(&error, CARDINALITY_VIOLATION) => Ok(Effect::Unproven),
        Err(source) => Err(error_at(statement, source, 0).into()),
    }
}

/// Runs a statement for one event. An error if it touches no row and that is not allowed.
pub(crate) async fn run_for_one(
    statement: &Statement,
    connection: &mut PgConnection,
    event: Event<'_>,
) -> Result<(), ApplyError> {
    let written = statement.rows.bind(&statement.sql, &[event]).execute(connection).await;
    let rows = written.map_err(|source| error_at(statement, source, 0))?.rows_affected();
    if rows == 0 && !statement.any_rows {
        return Err(ApplyError::NoRow { path: statement.path.clone() });
    }
    Ok(())
}
