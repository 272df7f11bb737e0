//! The rows of a view that need not be read again, and the statements that write them.

use std::collections::HashMap;
use std::sync::Arc;

use sqlx::{AssertSqlSafe, PgConnection};

use crate::model::cells::Cells;
use crate::model::column_array::ColumnArray;
use crate::model::key::Key;
use crate::model::row_cache::{CachedRow, RowCache};
use crate::model::table::Table;
use crate::model::table_change::{NoChange, TableChange, WrittenRows};
use crate::model::table_version::TableVersion;
use crate::postgres::text_array::TextArray;

/// The rows that a view has read or written, and the statements that write them.
#[derive(Debug, Default)]
pub(crate) struct ViewRows {
    cache: RowCache,
    /// The table for which the statements are made.
    version: Option<Arc<TableVersion>>,
    /// By the columns that they write: nearly always one.
    statements: HashMap<Vec<String>, Arc<str>>,
    /// How often rows were forgotten.
    forgotten: u64,
}

/// The table as a batch sees it. Other batches may forget it meanwhile.
#[derive(Debug, Clone)]
pub(crate) struct KnownTable {
    pub(crate) version: Arc<TableVersion>,
    /// How often rows had been forgotten.
    forgotten: u64,
}

/// A row that a batch writes.
pub(crate) struct WrittenRow {
    /// JSON of the key's values, by which the cache knows the row.
    pub(crate) key: String,
    /// The version that it replaces; `None`: it is new.
    pub(crate) xmin: Option<u32>,
    /// With those of the key.
    pub(crate) cells: Cells,
}

impl ViewRows {
    /// `None` if the table's version was not read since the rows were forgotten.
    pub(crate) fn table(&self) -> Option<KnownTable> {
        let version = self.version.clone()?;
        Some(KnownTable { version, forgotten: self.forgotten })
    }

    pub(crate) fn set_version(&mut self, version: TableVersion) -> KnownTable {
        let version = Arc::new(version);
        self.version = Some(Arc::clone(&version));
        KnownTable { version, forgotten: self.forgotten }
    }

    pub(crate) fn get(&mut self, key: &str) -> Option<&CachedRow> {
        self.cache.get(key)
    }

    /// Remembers rows that the transaction has written, unless all rows were forgotten meanwhile: the table may be another.
    pub(crate) fn remember(&mut self, written: WrittenRows, xmin: u32) {
        if written.forgotten != self.forgotten {
            return;
        }
        for (key, json) in written.rows {
            match json {
                Some(json) => self.cache.put(&key, CachedRow { json, xmin }),
                None => self.cache.remove(&key),
            }
        }
    }

    /// Forgets everything, the table included.
    pub(crate) fn forget(&mut self) {
        *self = Self { forgotten: self.forgotten + 1, ..Self::default() };
    }

    /// The change that writes these rows.
    pub(crate) fn change(
        &mut self,
        table: &Table,
        known: &KnownTable,
        mut rows: Vec<WrittenRow>,
    ) -> Result<TableChange, NoChange> {
        // In one order, so that batches that write the same rows wait for each other in one direction.
        rows.sort_unstable_by(|one, other| one.key.cmp(&other.key));
        let columns: Vec<String> =
            rows.first().map(|row| row.cells.names().map(str::to_owned).collect()).unwrap_or_default();
        if !columns.iter().all(|column| table.columns.contains_key(column)) {
            return Err(NoChange::Unsupported("columns"));
        }
        let types: Vec<_> = columns.iter().map(|column| table.column_type(column)).collect();
        let arrays = || types.iter().copied().map(ColumnArray::new).collect();
        let (mut changed, mut versions, mut added): (Vec<_>, _, Vec<_>) =
            (arrays(), TextArray::default(), arrays());
        let mut written = Vec::with_capacity(rows.len());
        for WrittenRow { key, xmin, cells } in rows {
            if !cells.names().eq(&columns) {
                return Err(NoChange::Unsupported("columns"));
            }
            let arrays = if xmin.is_some() { &mut changed } else { &mut added };
            for ((cell, column_type), array) in cells.cells().zip(&types).zip(arrays) {
                array.push(*column_type, cell).ok_or(NoChange::Unsupported("type"))?;
            }
            if let Some(xmin) = xmin {
                versions.push(Some(itoa::Buffer::new().format(xmin)));
            }
            written.push((key, table.stored_json(&cells, &types)));
        }
        let arrays = changed.into_iter().chain([versions.into()]).chain(added).collect();
        let rows = WrittenRows { forgotten: known.forgotten, rows: written };
        Ok(TableChange { statement: self.statement(table, known, columns), arrays, rows })
    }

    /// Statements are kept for the version that is known now.
    fn statement(&mut self, table: &Table, known: &KnownTable, columns: Vec<String>) -> Arc<str> {
        if known.forgotten != self.forgotten {
            return table.change(&columns, &known.version);
        }
        let statement = self.statements.entry(columns);
        Arc::clone(statement.or_insert_with_key(|columns| table.change(columns, &known.version)))
    }
}

/// Reads the rows of keys that are not known: by the index of the key, those that exist.
pub(crate) async fn read_rows(
    connection: &mut PgConnection,
    table: &Table,
    select: &Arc<str>,
    keys: &[&Key],
) -> Result<Vec<(usize, CachedRow)>, NoChange> {
    let mut arrays = vec![TextArray::default(); table.key.len()];
    for key in keys {
        table.push_key(key.values().iter().map(|value| Some(value.into())), &mut arrays)?;
    }
    let select = sqlx::query_as(AssertSqlSafe(Arc::clone(select)));
    let rows: Vec<(i64, String, String)> =
        arrays.into_iter().fold(select, |select, array| select.bind(array)).fetch_all(connection).await?;
    let row = |(ordinal, json, xmin): (i64, String, String)| {
        let xmin = xmin.parse().map_err(|_| NoChange::Unsupported("table"))?;
        Ok((usize::try_from(ordinal - 1).unwrap_or(usize::MAX), CachedRow { json: json.into(), xmin }))
    };
    rows.into_iter().map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(forgotten: u64) -> WrittenRows {
        WrittenRows { forgotten, rows: vec![("[1]".to_owned(), Some("{}".into()))] }
    }

    #[test]
    fn rows_that_were_forgotten_meanwhile_are_not_remembered() {
        let mut rows = ViewRows::default();
        rows.forget();
        rows.remember(written(0), 7);
        assert_eq!(rows.get("[1]"), None);
        rows.remember(written(1), 7);
        assert_eq!(rows.get("[1]"), Some(&CachedRow { json: "{}".into(), xmin: 7 }));
    }
}
