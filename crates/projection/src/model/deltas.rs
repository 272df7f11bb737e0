//! Read models that are sums over many streams.

use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::sync::Arc;

use aqueduct_core::DomainEvent;
use async_trait::async_trait;
use serde::Serialize;
use sqlx::query::Query;
use sqlx::{AssertSqlSafe, PgConnection};

use crate::model::cells::{Cell, Cells};
use crate::model::error::{ApplyError, TableError};
use crate::model::exact_sum::ExactSum;
use crate::model::handler::{Handler, Probe, Treatment, guarded};
use crate::model::serialize_cells::plain_cells;
use crate::model::table::Table;
use crate::model::table_change::{NoChange, TableChange, WrittenRows};
use crate::postgres::text_array::TextArray;
use crate::record::Record;
use crate::record::decode::{DecodeError, Payload};
use crate::record::envelope::Envelope;

/// A read model whose rows are fed by many streams: each event adds to some rows, `x = x + delta`.
///
/// The deltas of a batch are summed by key and written with one statement, in key order and in one transaction
/// with the inbox and the offsets. Addition commutes, so any number of instances can write the same rows without
/// losing an update. What is not a sum belongs in a [`View`](crate::View).
pub trait Deltas: Send + Sync + 'static {
    /// Name of the projection, see [`View::NAME`](crate::View::NAME).
    const NAME: &'static str;
    /// Topics to read, at least one.
    const TOPICS: &'static [&'static str];
    /// Table to keep, `schema.table` in lower case; the application's migrations create it.
    const TABLE: &'static str;
    /// Columns of the table's primary key (or of another unique index).
    const KEY: &'static [&'static str];
    /// Numeric columns that are added to. A row is created by its first delta; a sum that the delta leaves out
    /// counts as zero.
    const SUMS: &'static [&'static str];
    /// Event types on the topics that are ignored.
    const IGNORED_TYPES: &'static [&'static str] = &[];
    /// The events it handles, see [`aqueduct_core::domain_event!`]. Fields of an event that its type leaves out are not decoded:
    /// a type with only what the rows need is faster than the one that the schema generates.
    type Event: DomainEvent;
    /// A delta: serialises to a JSON object with the columns of [`KEY`](Self::KEY) and [`SUMS`](Self::SUMS).
    /// Decimals as strings are exact.
    type Row: Serialize + Send + Sync;

    /// What an event adds; empty if it adds nothing. Pure like [`View::fold`](crate::View::fold).
    fn deltas(event: &Self::Event, envelope: &Envelope) -> Vec<Self::Row>;
}

/// Writes deltas to their table.
pub(crate) struct DeltasHandler<D> {
    table: Table,
    add: Arc<str>,
    add_sums: Arc<str>,
    deltas: PhantomData<fn() -> D>,
}

impl<D: Deltas> DeltasHandler<D> {
    pub(crate) async fn new(connection: &mut PgConnection) -> Result<Self, TableError> {
        let table = Table::load(connection, D::NAME, D::TABLE, D::KEY, D::SUMS).await?;
        let (add, add_sums) = (table.add(D::SUMS), table.add_sums(D::SUMS));
        Ok(Self { table, add, add_sums, deltas: PhantomData })
    }

    /// What an event adds, as rows of columns.
    fn rows(&self, event: &D::Event, envelope: &Envelope) -> Result<Vec<Cells>, ApplyError> {
        guarded(|| D::deltas(event, envelope))?.into_iter().map(|delta| self.row(delta)).collect()
    }

    fn row(&self, delta: D::Row) -> Result<Cells, ApplyError> {
        let is_written = |column: &str| columns::<D>().any(|name| name == column);
        if let Some(cells) = plain_cells(&delta).filter(|cells| cells.names().all(is_written)) {
            return Ok(cells);
        }
        let row = serde_json::to_value(delta);
        let row = row.map_err(|source| ApplyError::Row { table: D::TABLE, source })?;
        Ok((&self.table.row_with_columns(row, is_written)?).into())
    }
}

/// What a batch adds to one row.
struct SummedRow {
    key: Cells,
    sums: Vec<ExactSum>,
}

fn columns<D: Deltas>() -> impl Iterator<Item = &'static str> {
    D::KEY.iter().chain(D::SUMS).copied()
}

#[async_trait]
impl<D: Deltas> Handler for DeltasHandler<D> {
    const REACTS: bool = false;
    type Event = D::Event;

    fn name(&self) -> &'static str {
        D::NAME
    }

    fn treats(&self, event_type: &str) -> Treatment {
        Treatment::of::<D::Event>(event_type, D::IGNORED_TYPES)
    }

    fn read(&self, _: &Record, event_type: &str, payload: &Payload<'_>) -> Result<D::Event, DecodeError> {
        payload.event(event_type)
    }

    async fn apply(
        &self,
        connection: &mut PgConnection,
        events: &[(&D::Event, &Envelope)],
    ) -> Result<(), ApplyError> {
        let mut arrays: Vec<Vec<Option<String>>> = columns::<D>().map(|_| Vec::new()).collect();
        for (event, envelope) in events {
            for row in self.rows(event, envelope)? {
                for (column, array) in columns::<D>().zip(&mut arrays) {
                    array.push(row.get(column).and_then(text));
                }
            }
        }
        if arrays.iter().all(Vec::is_empty) {
            return Ok(());
        }
        let statement = sqlx::query(AssertSqlSafe(Arc::clone(&self.add)));
        let added = arrays.into_iter().fold(statement, Query::bind).execute(connection).await;
        added.map_err(|error| {
            self.table.write_error(error, |column| columns::<D>().any(|name| name == column))
        })?;
        Ok(())
    }

    async fn change(
        &self,
        _connection: &mut PgConnection,
        events: &[(&D::Event, &Envelope)],
    ) -> Result<TableChange, NoChange> {
        let types: Vec<_> = D::SUMS.iter().map(|column| self.table.column_type(column)).collect();
        // By the JSON of their keys, in its order.
        let mut summed: BTreeMap<Vec<u8>, SummedRow> = BTreeMap::new();
        let mut json = Vec::new();
        for (event, envelope) in events {
            for row in self.rows(event, envelope)? {
                json.clear();
                for column in D::KEY {
                    serde_json::to_writer(&mut json, &row.get(column))
                        .map_err(|source| ApplyError::Row { table: D::TABLE, source })?;
                    json.push(b',');
                }
                let SummedRow { sums, .. } = match summed.get_mut(&json) {
                    Some(known) => known,
                    None => {
                        let sums = vec![ExactSum::default(); D::SUMS.len()];
                        summed.entry(json.clone()).or_insert(SummedRow { key: row.clone(), sums })
                    }
                };
                for ((column, column_type), sum) in D::SUMS.iter().zip(&types).zip(sums) {
                    let added = sum.add(*column_type, row.get(column).unwrap_or(Cell::Null));
                    *sum = added.ok_or(NoChange::Unsupported("sum"))?;
                }
            }
        }
        let mut arrays = vec![TextArray::default(); D::KEY.len() + D::SUMS.len()];
        for SummedRow { key, sums } in summed.into_values() {
            self.table.push_key(D::KEY.iter().map(|column| key.get(column)), &mut arrays)?;
            for (sum, array) in sums.iter().zip(&mut arrays[D::KEY.len()..]) {
                array.push(Some(&sum.to_string()));
            }
        }
        Ok(TableChange {
            statement: Arc::clone(&self.add_sums),
            arrays: arrays.into_iter().map(Into::into).collect(),
            rows: WrittenRows::default(),
        })
    }

    async fn probe(&self, connection: &mut PgConnection) -> Result<Probe, ApplyError> {
        let has_rows: bool =
            sqlx::query_scalar(AssertSqlSafe(self.table.has_rows())).fetch_one(&mut *connection).await?;
        if !has_rows {
            return Ok(Probe::NoRow);
        }
        // A delta would change the row, which may then violate a constraint that the table is right to have.
        sqlx::query(AssertSqlSafe(self.table.insert_existing(D::SUMS))).execute(connection).await?;
        Ok(Probe::Accepted)
    }
}

/// A value as Postgres reads it from text.
fn text(cell: Cell<'_>) -> Option<String> {
    match cell {
        Cell::Null => None,
        Cell::Text(text) => Some(text.to_owned()),
        Cell::Bool(flag) => Some(flag.to_string()),
        Cell::Integer(number) => Some(number.to_string()),
        Cell::Json(json) => Some(json.to_string()),
    }
}
