//! Read models that are a fold of one stream's events.

use std::collections::{BTreeMap, HashMap};
use std::marker::PhantomData;
use std::sync::Arc;

use aqueduct_core::DomainEvent;
use async_trait::async_trait;
use foldhash::HashMapExt as _;
use parking_lot::Mutex;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use sqlx::types::Json;
use sqlx::{AssertSqlSafe, PgConnection};

use crate::model::cells::Cells;
use crate::model::error::{ApplyError, TableError};
use crate::model::handler::{Handler, Probe, Treatment, guarded};
use crate::model::key::Key;
use crate::model::row_cache::CachedRow;
use crate::model::serialize_cells::plain_cells;
use crate::model::table::Table;
use crate::model::table_change::{NoChange, TableChange, WrittenRows};
use crate::model::table_version::TableVersion;
use crate::model::view_rows::{KnownTable, ViewRows, WrittenRow, read_rows};
use crate::record::Record;
use crate::record::decode::{DecodeError, Payload};
use crate::record::envelope::Envelope;

/// A read model in which each row is determined by the events of one stream: `(row, event) → row`.
///
/// Both functions are pure: no I/O, no clock, no randomness. The runner reads all rows of a batch, folds in
/// memory and writes them back, in one transaction with the inbox and the offsets. So each event is applied once
/// and the events of a stream in order. Events of different streams are applied in any order, those of different
/// partitions at the same time: if several streams feed one row, use [`Deltas`](crate::Deltas), or updates are lost.
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
    /// The events it handles, see [`aqueduct_core::domain_event!`]. Fields of an event that its type leaves out are not decoded:
    /// a type with only what the rows need is faster than the one that the schema generates.
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
    select_versions: Arc<str>,
    /// For the single statement of a batch.
    rows: Mutex<ViewRows>,
    view: PhantomData<fn() -> V>,
}

impl<V: View> ViewHandler<V> {
    pub(crate) async fn new(connection: &mut PgConnection) -> Result<Self, TableError> {
        let table = Table::load(connection, V::NAME, V::TABLE, V::KEY, &[]).await?;
        let (select, delete, select_versions) = (table.select(), table.delete(), table.select_versions());
        let (upserts, rows) = (Mutex::default(), Mutex::default());
        Ok(Self { table, select, delete, upserts, select_versions, rows, view: PhantomData })
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
    /// JSON of the key's values.
    text: String,
    key: Key,
    row: Option<R>,
    existed: bool,
    /// The version that was read, if it was read outside of a transaction.
    xmin: Option<u32>,
}

impl<R: DeserializeOwned> BatchRow<R> {
    fn fill(&mut self, stored: &CachedRow) -> Result<(), NoChange> {
        let row = serde_json::from_str(&stored.json);
        // The transaction reports it, with the name of the table.
        self.row = Some(row.map_err(|_| NoChange::Unsupported("row"))?);
        (self.existed, self.xmin) = (true, Some(stored.xmin));
        Ok(())
    }
}

impl<R> BatchRows<R> {
    /// Applies the events to their rows.
    fn fold<V: View<Row = R>>(&mut self, events: &[(&V::Event, &Envelope)]) -> Result<(), ApplyError> {
        for ((event, envelope), index) in events.iter().zip(&self.row_index) {
            let BatchRow { row, .. } = &mut self.rows[*index];
            let before = row.take();
            *row = guarded(|| V::fold(before, event, envelope))?;
        }
        Ok(())
    }
}

#[async_trait]
impl<V: View> Handler for ViewHandler<V> {
    const REACTS: bool = false;
    type Event = V::Event;

    fn name(&self) -> &'static str {
        V::NAME
    }

    fn treats(&self, event_type: &str) -> Treatment {
        Treatment::of::<V::Event>(event_type, V::IGNORED_TYPES)
    }

    fn read(&self, _: &Record, event_type: &str, payload: &Payload<'_>) -> Result<V::Event, DecodeError> {
        payload.event(event_type)
    }

    async fn apply(
        &self,
        connection: &mut PgConnection,
        events: &[(&V::Event, &Envelope)],
    ) -> Result<(), ApplyError> {
        let mut batch = self.batch_rows(events)?;
        let keys: Vec<_> = batch.rows.iter().map(|row| self.table.key_row(&row.key)).collect();
        let stored: Vec<(i64, String)> = sqlx::query_as(AssertSqlSafe(Arc::clone(&self.select)))
            .bind(Json(keys))
            .fetch_all(&mut *connection)
            .await?;
        for (ordinal, json) in stored {
            let row = usize::try_from(ordinal - 1).ok().and_then(|index| batch.rows.get_mut(index));
            if let Some(row) = row {
                let value = serde_json::from_str(&json);
                row.row = Some(value.map_err(|source| ApplyError::Row { table: V::TABLE, source })?);
                row.existed = true;
            }
        }
        batch.fold::<V>(events)?;
        self.write(connection, batch.rows).await
    }

    async fn change(
        &self,
        connection: &mut PgConnection,
        events: &[(&V::Event, &Envelope)],
    ) -> Result<TableChange, NoChange> {
        let known = self.known_table(connection).await?;
        let mut batch = self.batch_rows(events)?;
        self.read_known(connection, &mut batch.rows).await?;
        batch.fold::<V>(events)?;
        let mut written = Vec::with_capacity(batch.rows.len());
        for BatchRow { text, key, row, existed, xmin } in batch.rows {
            match row {
                Some(row) => written.push(WrittenRow { key: text, xmin, cells: self.cells(row, &key)? }),
                None if existed => return Err(NoChange::Unsupported("delete")),
                None => {}
            }
        }
        self.rows.lock().change(&self.table, &known, written)
    }

    fn remember(&self, rows: WrittenRows, xmin: u32) {
        self.rows.lock().remember(rows, xmin);
    }

    fn forget(&self) {
        self.rows.lock().forget();
    }

    async fn probe(&self, connection: &mut PgConnection) -> Result<Probe, ApplyError> {
        let stored: Option<String> = sqlx::query_scalar(AssertSqlSafe(self.table.select_any()))
            .fetch_optional(&mut *connection)
            .await?;
        let Some(json) = stored else { return Ok(Probe::NoRow) };
        let error = |source| ApplyError::Row { table: V::TABLE, source };
        let columns: Map<String, Value> = serde_json::from_str(&json).map_err(error)?;
        let values = V::KEY.iter().map(|column| columns.get(*column).cloned().unwrap_or_default());
        let key = Key::new(values.collect());
        let row = Some(serde_json::from_str(&json).map_err(error)?);
        self.write(connection, vec![BatchRow { text: String::new(), key, row, existed: true, xmin: None }])
            .await?;
        Ok(Probe::Accepted)
    }
}

impl<V: View> ViewHandler<V> {
    fn batch_rows(&self, events: &[(&V::Event, &Envelope)]) -> Result<BatchRows<V::Row>, ApplyError> {
        let mut rows = Vec::new();
        let mut by_key = foldhash::HashMap::new();
        let mut row_index = Vec::with_capacity(events.len());
        for (event, envelope) in events {
            let key = guarded(|| V::key(event, envelope))?;
            let text = serde_json::to_string(key.values())
                .map_err(|source| ApplyError::Row { table: V::TABLE, source })?;
            let index = match by_key.get(&text) {
                Some(index) => *index,
                None => {
                    by_key.insert(text.clone(), rows.len());
                    self.table.check_key(&key)?;
                    rows.push(BatchRow { text, key, row: None, existed: false, xmin: None });
                    rows.len() - 1
                }
            };
            row_index.push(index);
        }
        Ok(BatchRows { rows, row_index })
    }

    /// Reads the table's version, if it was not read since the rows were forgotten. An error if rows of this table must be
    /// written by a transaction.
    async fn known_table(&self, connection: &mut PgConnection) -> Result<KnownTable, NoChange> {
        let known = self.rows.lock().table();
        let known = match known {
            Some(known) => known,
            None => {
                let version = TableVersion::read(connection, V::TABLE).await?;
                self.rows.lock().set_version(version.ok_or(NoChange::Unsupported("table"))?)
            }
        };
        if known.version.is_plain { Ok(known) } else { Err(NoChange::Unsupported("table")) }
    }

    /// Fills in the rows that exist: those that are known, and then those that must be read.
    async fn read_known(
        &self,
        connection: &mut PgConnection,
        rows: &mut [BatchRow<V::Row>],
    ) -> Result<(), NoChange> {
        let mut unknown = Vec::new();
        {
            let mut known = self.rows.lock();
            for (index, row) in rows.iter_mut().enumerate() {
                match known.get(&row.text) {
                    Some(cached) => row.fill(cached)?,
                    None => unknown.push(index),
                }
            }
        }
        if unknown.is_empty() {
            return Ok(());
        }
        let keys: Vec<_> = unknown.iter().map(|index| &rows[*index].key).collect();
        for (index, stored) in read_rows(connection, &self.table, &self.select_versions, &keys).await? {
            if let Some(row) = unknown.get(index).and_then(|index| rows.get_mut(*index)) {
                row.fill(&stored)?;
            }
        }
        Ok(())
    }

    /// The cells of a row, with those of its key.
    fn cells(&self, row: V::Row, key: &Key) -> Result<Cells, ApplyError> {
        if let Some(cells) = plain_cells(&row) {
            let mut keys = V::KEY.iter().zip(key.values());
            if keys.all(|(column, value)| cells.get(column) == Some(value.into())) {
                return Ok(cells);
            }
        }
        Ok(Cells::from(&self.columns(row, key)?))
    }

    /// The columns of a row, with those of its key.
    fn columns(&self, row: V::Row, key: &Key) -> Result<Map<String, Value>, ApplyError> {
        let row = serde_json::to_value(row);
        let mut columns =
            self.table.row(row.map_err(|source| ApplyError::Row { table: V::TABLE, source })?)?;
        for (column, value) in V::KEY.iter().zip(key.values()) {
            if columns.get(*column) != Some(value) {
                columns.insert((*column).to_owned(), value.clone());
            }
        }
        Ok(columns)
    }

    async fn write(
        &self,
        connection: &mut PgConnection,
        rows: Vec<BatchRow<V::Row>>,
    ) -> Result<(), ApplyError> {
        // Rows with different columns need different statements.
        let mut written: BTreeMap<Vec<String>, Vec<Map<String, Value>>> = BTreeMap::new();
        let mut deleted = Vec::new();
        for BatchRow { key, row, existed, .. } in rows {
            match row {
                Some(row) => {
                    let row = self.columns(row, &key)?;
                    let mut columns: Vec<_> = row.keys().cloned().collect();
                    columns.sort_unstable();
                    written.entry(columns).or_default().push(row);
                }
                None if existed => deleted.push(self.table.key_row(&key)),
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
