//! Applies events by the statements of their types.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use sqlx::PgConnection;

use crate::model::error::{ApplyError, TableError};
use crate::model::handler::{Handler, Probe, Treatment};
use crate::model::table_change::{NoChange, TableChange};
use crate::record::Record;
use crate::record::decode::{DecodeError, Payload};
use crate::record::envelope::Envelope;
use crate::sql::definition::{OnFailure, SqlProjection};
use crate::sql::effects::{Effect, run_for_all, run_for_one};
use crate::sql::events::{Event, SqlEvent};
use crate::sql::fields::Fields;
use crate::sql::part::StatementsPart;
use crate::sql::pins::{PinnedVersion, Pins};
use crate::sql::proof::Checked;
use crate::sql::steps::steps;

/// Runs the statements of a projection.
pub(crate) struct SqlHandler {
    projection: Arc<SqlProjection>,
    types: BTreeMap<String, TypeStatements>,
}

/// The statements of an event type.
struct TypeStatements {
    /// The version that the statements are written for, if one is named.
    pinned: Option<PinnedVersion>,
    /// In the order in which they run.
    statements: Vec<Checked>,
    /// What they read of the events' data.
    fields: Fields,
    /// Whether each runs once for several events: each proves its effects, and none depends on the others.
    run_at_once: bool,
}

impl SqlHandler {
    /// Has Postgres plan each statement: a table or a column that does not exist, or a missing right, is found before an event
    /// is read.
    pub(crate) async fn new(
        connection: &mut PgConnection,
        projection: Arc<SqlProjection>,
        Pins { mut versions, .. }: Pins,
    ) -> Result<Self, TableError> {
        let mut types = BTreeMap::new();
        for (event_type, files) in &projection.types {
            let mut statements = Vec::with_capacity(files.statements.len());
            for statement in &files.statements {
                statements.push(Checked::new(statement.clone(), connection).await?);
            }
            let run_at_once =
                statements.iter().all(|checked| checked.proof.is_some()) && !Checked::interfere(&statements);
            let fields = Fields::union(statements.iter().map(|checked| &checked.fields));
            let pinned = versions.remove(event_type);
            types.insert(event_type.clone(), TypeStatements { pinned, statements, fields, run_at_once });
        }
        Ok(Self { projection, types })
    }

    /// The version that the files of an event type are written for, if one is named.
    pub(crate) fn pinned(&self, event_type: &str) -> Option<&PinnedVersion> {
        self.types.get(event_type).and_then(|of_type| of_type.pinned.as_ref())
    }

    /// What the statements of an event type read of the data.
    pub(crate) fn fields(&self, event_type: &str) -> &Fields {
        self.types.get(event_type).map_or(&Fields::All, |of_type| &of_type.fields)
    }

    /// Applies events of one type and of different streams.
    async fn apply_step(
        &self,
        part: &mut StatementsPart<'_>,
        event_type: &str,
        events: &[Event<'_>],
    ) -> Result<(), ApplyError> {
        let Some(TypeStatements { statements, run_at_once, .. }) = self.types.get(event_type) else {
            return Ok(());
        };
        if *run_at_once && events.len() > 1 {
            part.set_savepoint();
            if run_all(statements, part.connection().await?, events).await? == Effect::OfEach {
                return Ok(());
            }
            part.roll_back();
        }
        for event in events {
            for Checked { statement, .. } in statements {
                run_for_one(statement, part.connection().await?, *event).await?;
            }
        }
        Ok(())
    }
}

/// Runs statements, one after the other, each for all events.
async fn run_all(
    statements: &[Checked],
    connection: &mut PgConnection,
    events: &[Event<'_>],
) -> Result<Effect, ApplyError> {
    for Checked { statement, proof, .. } in statements {
        let Some(proof) = proof else { return Ok(Effect::Unproven) };
        if run_for_all(statement, proof, &mut *connection, events).await? == Effect::Unproven {
            return Ok(Effect::Unproven);
        }
    }
    Ok(Effect::OfEach)
}

#[async_trait]
impl Handler for SqlHandler {
    const REACTS: bool = false;
    const APPLIES_AFTER_STATEMENT: bool = true;
    type Event = SqlEvent;

    fn name(&self) -> &'static str {
        self.projection.name
    }

    fn treats(&self, event_type: &str) -> Treatment {
        if self.types.contains_key(event_type) {
            Treatment::Applies
        } else if self.projection.ignored.iter().any(|ignored| ignored == event_type) {
            Treatment::Ignores
        } else {
            Treatment::Unknown
        }
    }

    fn halts_on_failure(&self) -> bool {
        self.projection.on_failure == OnFailure::Halt
    }

    fn reader(&self, event_type: &str) -> String {
        match self.pinned(event_type) {
            Some(pinned) => pinned.to_string(),
            None => format!("event type {event_type} of {}", self.projection.file().display()),
        }
    }

    fn read(
        &self,
        record: &Record,
        event_type: &str,
        payload: &Payload<'_>,
    ) -> Result<SqlEvent, DecodeError> {
        let fields = self.fields(event_type);
        let (version, data) = match (self.pinned(event_type), payload) {
            (Some(pinned), Payload::Avro(value)) => (Some(pinned.version), pinned.read(value, fields)?),
            _ => (None, payload.to_json(event_type, fields)?),
        };
        Ok(SqlEvent { topic: Arc::clone(&record.topic), version, data })
    }

    async fn apply(
        &self,
        connection: &mut PgConnection,
        events: &[(&SqlEvent, &Envelope)],
    ) -> Result<(), ApplyError> {
        let mut part = StatementsPart::begin(connection);
        for step in steps(events) {
            for (event_type, of_type) in step {
                self.apply_step(&mut part, event_type, &of_type).await?;
            }
        }
        Ok(part.end().await?)
    }

    /// Which rows a statement would write is not known without an event.
    async fn probe(&self, _: &mut PgConnection) -> Result<Probe, ApplyError> {
        Ok(Probe::Impossible)
    }

    async fn change(
        &self,
        _: &mut PgConnection,
        _: &[(&SqlEvent, &Envelope)],
    ) -> Result<TableChange, NoChange> {
        Ok(TableChange::none())
    }
}
