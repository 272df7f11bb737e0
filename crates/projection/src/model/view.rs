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

use crate::model::error::{ApplyError, TableError};
use crate::model::handler::{Handler, Probe, guarded};
use crate::model::key::Key;
use crate::model::table::Table;
use crate::record::envelope::Envelope;

/// A read model in which each row is determined by the events of one stream: `(row, event) → row`.
///
/// Both functions are pure: no I/O, no clock, no randomness. The runner reads all rows of a batch, folds in
/// memory and writes them back, in one transaction with the inbox and the offsets. So each event is applied once
/// and the events of a stream in order. Events of different streams are applied in any order: if several streams
/// feed one row, use [`Deltas`](crate::Deltas), or instances lose updates.
///
/// A panic, or a row that the table rejects (a constraint, a number out of range), parks the event with the
/// later events of its stream; other streams continue. What fails for every row, such as a required column that
/// the rows do not have, halts the projection.
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
    const IGNORED_TYPES: &'static [&'static str] = &[];
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
        let table = Table::load(pool, V::NAME, V::TABLE, V::KEY, &[]).await?;
        let (select, delete) = (table.select(), table.delete());
        Ok(Self { table, select, delete, upserts: Mutex::default(), view: PhantomData })
    }
}

/// The rows that a batch reads and writes.
struct BatchRows<R> {
    rows: Vec<BatchRow<R>>,
    /// Index of the row of each event.
    row_index: Vec<usize>,
}

/// A row before and after the batch's events.
struct BatchRow<R> {
    key: Map<String, Value>,
    row: Option<R>,
    existed: bool,
}

#[async_trait]
impl<V: View> Handler for ViewHandler<V> {
    const NAME: &'static str = V::NAME;
    const IGNORED_TYPES: &'static [&'static str] = V::IGNORED_TYPES;
    const REACTS: bool = false;
    type Event = V::Event;

    async fn apply(
        &self,
        connection: &mut PgConnection,
        events: &[(&V::Event, &Envelope)],
    ) -> Result<(), ApplyError> {
        let BatchRows { mut rows, row_index } = self.batch_rows(events)?;
        let keys: Vec<_> = rows.iter().map(|row| &row.key).collect();
        let stored: Vec<(i64, String)> = sqlx::query_as(AssertSqlSafe(Arc::clone(&self.select)))
            .bind(Json(keys))
            .fetch_all(&mut *connection)
            .await?;
        for (ordinal, json) in stored {
            let row = usize::try_from(ordinal - 1).ok().and_then(|index| rows.get_mut(index));
            if let Some(row) = row {
                let value = serde_json::from_str(&json);
                row.row = Some(value.map_err(|source| ApplyError::Row { table: V::TABLE, source })?);
                row.existed = true;
            }
        }
        for ((event, envelope), index) in events.iter().zip(row_index) {
            let row = rows[index].row.take();
            rows[index].row = guarded(|| V::fold(row, event, envelope))?;
        }
        self.write(connection, rows).await
    }

    async fn probe(&self, connection: &mut PgConnection) -> Result<Probe, ApplyError> {
        let stored: Option<String> = sqlx::query_scalar(AssertSqlSafe(self.table.select_any()))
            .fetch_optional(&mut *connection)
            .await?;
        let Some(json) = stored else { return Ok(Probe::NoRow) };
        let error = |source| ApplyError::Row { table: V::TABLE, source };
        let mut key: Map<String, Value> = serde_json::from_str(&json).map_err(error)?;
        key.retain(|column, _| V::KEY.contains(&column.as_str()));
        let row = Some(serde_json::from_str(&json).map_err(error)?);
        self.write(connection, vec![BatchRow { key, row, existed: true }]).await?;
        Ok(Probe::Accepted)
    }
}

impl<V: View> ViewHandler<V> {
    fn batch_rows(&self, events: &[(&V::Event, &Envelope)]) -> Result<BatchRows<V::Row>, ApplyError> {
        let mut rows = Vec::new();
        let mut by_key = HashMap::new();
        let mut row_index = Vec::with_capacity(events.len());
        for (event, envelope) in events {
            let key = guarded(|| V::key(event, envelope))?;
            let text = serde_json::to_string(key.values())
                .map_err(|source| ApplyError::Row { table: V::TABLE, source })?;
            let index = *by_key.entry(text).or_insert(rows.len());
            if index == rows.len() {
                rows.push(BatchRow { key: self.table.key_row(&key)?, row: None, existed: false });
            }
            row_index.push(index);
        }
        Ok(BatchRows { rows, row_index })
    }

    async fn write(
        &self,
        connection: &mut PgConnection,
        rows: Vec<BatchRow<V::Row>>,
    ) -> Result<(), ApplyError> {
        // Rows with different columns need different statements.
        let mut written: BTreeMap<Vec<String>, Vec<Map<String, Value>>> = BTreeMap::new();
        let mut deleted = Vec::new();
        for BatchRow { key, row, existed } in rows {
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
            upsert
                .execute(&mut *connection)
                .await
                .map_err(|error| self.table.write_error(error, is_written))?;
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
