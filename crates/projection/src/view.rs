//! Read models that are a fold of one stream's events.

use std::collections::HashMap;
use std::marker::PhantomData;
use std::sync::Arc;

use aqueduct_core::DomainEvent;
use async_trait::async_trait;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use sqlx::types::Json;
use sqlx::{AssertSqlSafe, PgConnection, PgPool};

use crate::handler::{ApplyError, Handler, guarded};
use crate::table::{Table, TableError};
use crate::{Envelope, Key};

/// A read model whose every row is determined by the events of one stream: `(row, event) → row`.
///
/// Both functions are pure: no I/O, no clock, no randomness. The runner reads the rows of a batch at once,
/// folds in memory and writes them back at once, in one transaction with the inbox and the offsets; so each
/// event counts once, and the events of a stream in their order. Events of different streams come in any
/// order: where several streams meet in one row, use [`Deltas`](crate::Deltas), or updates are lost between
/// instances.
///
/// A panic, or a row that the table refuses (a constraint, a number out of range), parks the event with its
/// followers of the same stream; the others go on.
pub trait View: Send + Sync + 'static {
    /// Name of the projection: the inbox, the consumer group and the metrics carry it. What was once used is
    /// not to be changed, or the projection starts over.
    const NAME: &'static str;
    /// Topics it reads, at least one.
    const TOPICS: &'static [&'static str];
    /// Table it keeps, `schema.table` in lower case; made by the application's migrations.
    const TABLE: &'static str;
    /// Columns of the table's primary key (or of another unique index).
    const KEY: &'static [&'static str];
    /// Event types on the topics that it knows and passes over. A type that is neither here nor in
    /// [`Event`](Self::Event) is parked.
    const IGNORES: &'static [&'static str] = &[];
    /// The events it handles, see [`aqueduct_core::domain_event!`].
    type Event: DomainEvent;
    /// A row: serialises to a JSON object whose fields are columns of the table. Columns that it leaves out
    /// become NULL; the key's columns may be left out, they are set from [`key`](Self::key). `numeric`
    /// columns are read back as strings (exact decimals), dates and times in ISO form.
    type Row: Serialize + DeserializeOwned + Send + Sync;

    /// The row that an event concerns: values of the columns in [`KEY`](Self::KEY), in that order.
    fn key(event: &Self::Event, envelope: &Envelope) -> Key;

    /// The row after the event; `None` where there is no row (any more).
    fn fold(row: Option<Self::Row>, event: &Self::Event, envelope: &Envelope) -> Option<Self::Row>;
}

/// A view on its table.
pub(crate) struct ViewHandler<V> {
    table: Table,
    select: Arc<str>,
    upsert: Arc<str>,
    delete: Arc<str>,
    view: PhantomData<fn() -> V>,
}

impl<V: View> ViewHandler<V> {
    pub(crate) async fn new(pool: &PgPool) -> Result<Self, TableError> {
        let table = Table::look_up(pool, V::NAME, V::TABLE, V::KEY, &[]).await?;
        let (select, upsert, delete) = (table.select(), table.upsert(), table.delete());
        Ok(Self { table, select, upsert, delete, view: PhantomData })
    }
}

/// The rows that a batch concerns, and which of them each event does.
struct Slots<R> {
    slots: Vec<Slot<R>>,
    slot_of: Vec<usize>,
}

/// A row of the batch at hand.
struct Slot<R> {
    key: Map<String, Value>,
    row: Option<R>,
    existed: bool,
}

#[async_trait]
impl<V: View> Handler for ViewHandler<V> {
    const NAME: &'static str = V::NAME;
    const IGNORES: &'static [&'static str] = V::IGNORES;
    const REACTS: bool = false;
    type Event = V::Event;

    async fn apply(
        &self,
        connection: &mut PgConnection,
        events: &[(&V::Event, &Envelope)],
    ) -> Result<(), ApplyError> {
        let Slots { mut slots, slot_of } = self.slots(events)?;
        let keys: Vec<_> = slots.iter().map(|slot| &slot.key).collect();
        let rows: Vec<(i64, String)> = sqlx::query_as(AssertSqlSafe(Arc::clone(&self.select)))
            .bind(Json(keys))
            .fetch_all(&mut *connection)
            .await?;
        for (ordinal, row) in rows {
            let slot = usize::try_from(ordinal - 1).ok().and_then(|index| slots.get_mut(index));
            if let Some(slot) = slot {
                let row = serde_json::from_str(&row);
                slot.row = Some(row.map_err(|source| ApplyError::Row { table: V::TABLE, source })?);
                slot.existed = true;
            }
        }
        for ((event, envelope), slot) in events.iter().zip(slot_of) {
            let row = slots[slot].row.take();
            slots[slot].row = guarded(|| V::fold(row, event, envelope))?;
        }
        self.write(connection, slots).await
    }
}

impl<V: View> ViewHandler<V> {
    fn slots(&self, events: &[(&V::Event, &Envelope)]) -> Result<Slots<V::Row>, ApplyError> {
        let mut slots = Vec::new();
        let mut by_key = HashMap::new();
        let mut slot_of = Vec::with_capacity(events.len());
        for (event, envelope) in events {
            let key = guarded(|| V::key(event, envelope))?;
            let text = serde_json::to_string(key.values())
                .map_err(|source| ApplyError::Row { table: V::TABLE, source })?;
            let slot = *by_key.entry(text).or_insert(slots.len());
            if slot == slots.len() {
                slots.push(Slot { key: self.table.key_row(&key)?, row: None, existed: false });
            }
            slot_of.push(slot);
        }
        Ok(Slots { slots, slot_of })
    }

    async fn write(&self, connection: &mut PgConnection, slots: Vec<Slot<V::Row>>) -> Result<(), ApplyError> {
        let (mut written, mut deleted) = (Vec::new(), Vec::new());
        for Slot { key, row, existed } in slots {
            match row {
                Some(row) => {
                    let row = serde_json::to_value(row);
                    let row = row.map_err(|source| ApplyError::Row { table: V::TABLE, source })?;
                    let mut row = self.table.row(row)?;
                    row.extend(key);
                    written.push(row);
                }
                None if existed => deleted.push(key),
                None => {}
            }
        }
        for (statement, rows) in [(&self.upsert, written), (&self.delete, deleted)] {
            if !rows.is_empty() {
                let statement = sqlx::query(AssertSqlSafe(Arc::clone(statement)));
                statement.bind(Json(rows)).execute(&mut *connection).await?;
            }
        }
        Ok(())
    }
}
