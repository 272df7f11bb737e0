//! Applies events by the statements of their types.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use sqlx::{Connection as _, PgConnection};

use crate::model::error::{ApplyError, TableError};
use crate::model::handler::{Handler, Probe, Treatment};
use crate::model::table_change::{NoChange, TableChange};
use crate::record::Record;
use crate::record::decode::Payload;
use crate::record::envelope::Envelope;
use crate::sql::definition::SqlProjection;
use crate::sql::effects::{Effect, Proof, run_for_all, run_for_one};
use crate::sql::events::SqlEvent;
use crate::sql::statement::Statement;
use crate::sql::steps::{Event, steps};

/// Runs the statements of a projection.
pub(crate) struct SqlHandler {
    projection: Arc<SqlProjection>,
    /// The statements of each event type, in the order in which they run.
    statements: BTreeMap<String, Vec<(Statement, Proof)>>,
}

impl SqlHandler {
    /// Has Postgres plan each statement: a table or a column that does not exist, or a missing right, is found before an event
    /// is read.
    pub(crate) async fn new(
        connection: &mut PgConnection,
        projection: Arc<SqlProjection>,
    ) -> Result<Self, TableError> {
        let mut statements = BTreeMap::new();
        for (event_type, of_type) in &projection.types {
            let mut checked = Vec::with_capacity(of_type.len());
            for statement in of_type {
                checked.push((statement.clone(), Proof::of(statement, connection).await?));
            }
            statements.insert(event_type.clone(), checked);
        }
        Ok(Self { projection, statements })
    }

    /// Applies events of one type and of different streams.
    async fn apply_step(
        &self,
        connection: &mut PgConnection,
        event_type: &str,
        events: &[Event<'_>],
    ) -> Result<(), ApplyError> {
        let statements = self.statements.get(event_type).map(Vec::as_slice).unwrap_or_default();
        if events.len() > 1 && statements.iter().all(|(_, proof)| *proof != Proof::None) {
            let mut savepoint = connection.begin().await?;
            if run_all(statements, &mut savepoint, events).await? == Effect::OfEach {
                return Ok(savepoint.commit().await?);
            }
            savepoint.rollback().await?;
        }
        for event in events {
            for (statement, _) in statements {
                run_for_one(statement, &mut *connection, *event).await?;
            }
        }
        Ok(())
    }
}

/// Runs statements, one after the other, each for all events.
async fn run_all(
    statements: &[(Statement, Proof)],
    connection: &mut PgConnection,
    events: &[Event<'_>],
) -> Result<Effect, ApplyError> {
    for (statement, proof) in statements {
        if run_for_all(statement, *proof, &mut *connection, events).await? == Effect::Unproven {
            return Ok(Effect::Unproven);
        }
    }
    Ok(Effect::OfEach)
}

#[async_trait]
impl Handler for SqlHandler {
    const REACTS: bool = false;
    type Event = SqlEvent;

    fn name(&self) -> &'static str {
        self.projection.name
    }

    fn treats(&self, event_type: &str) -> Treatment {
        if self.statements.contains_key(event_type) {
            Treatment::Applies
        } else if self.projection.ignored.iter().any(|ignored| ignored == event_type) {
            Treatment::Ignores
        } else {
            Treatment::Unknown
        }
    }

    fn read(&self, record: &Record, _: &str, payload: &Payload<'_>) -> Result<SqlEvent, String> {
        Ok(SqlEvent { topic: Arc::clone(&record.topic), data: payload.to_json()? })
    }

    async fn apply(
        &self,
        connection: &mut PgConnection,
        events: &[(&SqlEvent, &Envelope)],
    ) -> Result<(), ApplyError> {
        for step in steps(events) {
            for (event_type, of_type) in step {
                self.apply_step(&mut *connection, event_type, &of_type).await?;
            }
        }
        Ok(())
    }

    /// Which rows a statement would write is not known without an event.
    async fn probe(&self, _: &mut PgConnection) -> Result<Probe, ApplyError> {
        Ok(Probe::Impossible)
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
