//! Applies events by the statements of their types.

use std::sync::Arc;

use async_trait::async_trait;
use sqlx::postgres::PgDatabaseError;
use sqlx::{Connection as _, PgConnection};

use crate::model::error::{ApplyError, StatementError, TableError};
use crate::model::handler::{Handler, Treatment};
use crate::model::table_change::{NoChange, TableChange};
use crate::record::Record;
use crate::record::decode::Payload;
use crate::record::envelope::Envelope;
use crate::sql::definition::SqlProjection;
use crate::sql::events::{Columns, SqlEvent};
use crate::sql::statement::Statement;

/// Runs the statements of a projection.
pub(crate) struct SqlHandler(Arc<SqlProjection>);

impl SqlHandler {
    /// Runs each statement without events in a transaction that is rolled back: a table or a column that does not exist, or a
    /// missing right, is found before an event is.
    pub(crate) async fn new(
        connection: &mut PgConnection,
        projection: Arc<SqlProjection>,
    ) -> Result<Self, TableError> {
        for statement in projection.types.values().flatten() {
            let mut transaction = connection.begin().await.map_err(|source| failed(statement, source))?;
            Columns::default()
                .bind(&statement.sql)
                .execute(&mut *transaction)
                .await
                .map_err(|source| failed(statement, source))?;
            transaction.rollback().await.map_err(|source| failed(statement, source))?;
        }
        Ok(Self(projection))
    }
}

fn failed(statement: &Statement, source: sqlx::Error) -> StatementError {
    let error = source.as_database_error().and_then(|error| error.try_downcast_ref::<PgDatabaseError>());
    let position = error.and_then(|error| match error.position() {
        Some(sqlx::postgres::PgErrorPosition::Original(position)) => Some(position),
        _ => None,
    });
    let line = position.map(|position| statement.line_of(position));
    StatementError { path: statement.path.clone(), line, source }
}

#[async_trait]
impl Handler for SqlHandler {
    const REACTS: bool = false;
    type Event = SqlEvent;

    fn name(&self) -> &'static str {
        self.0.name
    }

    fn treats(&self, event_type: &str) -> Treatment {
        if self.0.types.contains_key(event_type) {
            Treatment::Applies
        } else if self.0.ignored.iter().any(|ignored| ignored == event_type) {
            Treatment::Ignores
        } else {
            Treatment::Unknown
        }
    }

    fn read(&self, record: &Record, _: &str, payload: &Payload<'_>) -> Result<SqlEvent, String> {
        Ok(SqlEvent { topic: Arc::clone(&record.topic), data: payload.to_json()? })
    }

    /// Event by event, so that each can be seen to have had an effect.
    async fn apply(
        &self,
        connection: &mut PgConnection,
        events: &[(&SqlEvent, &Envelope)],
    ) -> Result<(), ApplyError> {
        for (event, envelope) in events {
            for statement in self.0.types.get(envelope.event_type()).into_iter().flatten() {
                let mut columns = Columns::default();
                columns.push(event, envelope);
                let written = columns.bind(&statement.sql).execute(&mut *connection).await;
                let rows = written.map_err(|source| failed(statement, source))?.rows_affected();
                if rows == 0 && !statement.any_rows {
                    return Err(ApplyError::NoRow { path: statement.path.clone() });
                }
            }
        }
        Ok(())
    }

    /// Statements of any kind cannot be part of the one that writes a batch.
    async fn change(
        &self,
        _: &mut PgConnection,
        _: &[(&SqlEvent, &Envelope)],
    ) -> Result<TableChange, NoChange> {
        Err(NoChange::Unsupported("sql"))
    }
}
