//! Read models that are a fold of one stream's events.

use std::collections::{BTreeMap, HashMap};
use std::marker::PhantomData;
use std::sync::Arc;

use aqueduct_core::DomainEvent;
use async_trait::async_trait;
use parking_lot::Mutex;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use sqlx::types::Json;
use sqlx::{AssertSqlSafe, PgConnection, PgPool};

use crate::model::handler::{ApplyError, Handler, guarded};
use crate::model::key::Key;
use crate::model::table::{Table, TableError};
use crate::record::envelope::Envelope;

/// A read model in which each row is determined by the events of one stream: `(row, event) → row`.
///
/// Both functions are pure: no I/O, no clock, no randomness. The runner reads all rows of a batch, folds in
/// memory and writes them back, in one transaction with the inbox and the offsets. So each event is applied once
/// and the events of a stream in order. Events of different streams are applied in any order: if several streams
/// feed one row, use [`Deltas`](crate::Deltas), or instances lose updates.
///
/// A panic, or a row that the table refuses (a constraint, a number out of range), parks the event with its
/// followers of the same stream; other streams continue. What fails for every row, such as a required column that
/// the rows do not have, stops the projection with an error.
pub trait View: Send + Sync + 'static {
    /// Name of the projection, used by the inbox, the consumer group and the metrics. A projection with another
    /// name starts from the first event.
    const NAME: &'static str;
    /// Topics to read, at least one.
    const TOPICS: &'static [&'static str];
    /// Table to keep, `schema.table` in lower case; the application's migrations create it.
    const TABLE: &'static str;
    /// Columns of the table's primary key (or of another unique index).
    const KEY: &'static [&'static str];
    /// Event types on the topics that are ignored. A type that is neither here nor in [`Event`](Self::Event) is
    /// parked.
    const IGNORES: &'static [&'static str] = &[];
    /// The events it handles, see [`aqueduct_core::domain_event!`].
    type Event: DomainEvent;
    /// A row: serialises to a JSON object whose fields are columns of the table. Columns that it leaves out keep
    /// their value, in a new row they get their default; the columns of the key can be left out, they are set from
    /// [`key`](Self::key). `numeric` columns are read back as strings (exact decimals), dates and times in ISO
    /// form.
    type Row: Serialize + DeserializeOwned + Send + Sync;

    /// The row that an event concerns: values of the columns in [`KEY`](Self::KEY), in that order.
    fn key(event: &Self::Event, envelope: &Envelope) -> Key;

    /// The row after the event; `None` if the row does not exist then.
    fn fold(row: Option<Self::Row>, event: &Self::Event, envelope: &Envelope) -> Option<Self::Row>;
}

/// Writes a view to its table.
pub(crate) struct ViewHandler<V> {
    table: Table,
    select: Arc<str>,
    delete: Arc<str>,
    /// By the columns that they write: nearly always one.
    upserts: Mutex<HashMap<Vec<String>, Arc<str>>>,
    view: PhantomData<fn() -> V>,
}

impl<V: View> ViewHandler<V> {
    pub(crate) async fn new(pool: &PgPool) -> Result<Self, TableError> {
        let table = Table::look_up(pool, V::NAME, V::TABLE, V::KEY, &[]).await?;
        let (select, delete) = (table.select(), table.delete());
        Ok(Self { table, select, delete, upserts: Mutex::default(), view: PhantomData })
    }
}

/// The rows that a batch concerns, and for each event the index of its row.
struct Slots<R> {
    slots: Vec<Slot<R>>,
    slot_of: Vec<usize>,
}

/// A row of the current batch.
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
        // Rows with different columns need different statements.
        let mut written: BTreeMap<Vec<String>, Vec<Map<String, Value>>> = BTreeMap::new();
        let mut deleted = Vec::new();
        for Slot { key, row, existed } in slots {
            match row {
                Some(row) => {
                    let row = serde_json::to_value(row);
                    let row = row.map_err(|source| ApplyError::Row { table: V::TABLE, source })?;
                    let mut row = self.table.row(row)?;
                    row.extend(key);
                    let mut columns: Vec<_> = row.keys().cloned().collect();
                    columns.sort_unstable();
                    written.entry(columns).or_default().push(row);
                }
                None if existed => deleted.push(key),
                None => {}
            }
        }
        for (columns, rows) in written {
            let upsert = sqlx::query(AssertSqlSafe(self.upsert(&columns))).bind(Json(rows));
            let is_written = |name: &str| columns.iter().any(|column| column == name);
            upsert.execute(&mut *connection).await.map_err(|error| self.table.refused(error, is_written))?;
        }
        if !deleted.is_empty() {
            let delete = sqlx::query(AssertSqlSafe(Arc::clone(&self.delete)));
            delete.bind(Json(deleted)).execute(&mut *connection).await?;
        }
        Ok(())
    }

    fn upsert(&self, columns: &[String]) -> Arc<str> {
        let mut upserts = self.upserts.lock();
        if let Some(upsert) = upserts.get(columns) {
            return Arc::clone(upsert);
        }
        let upsert = self.table.upsert(columns);
        upserts.insert(columns.to_vec(), Arc::clone(&upsert));
        upsert
    }
}
