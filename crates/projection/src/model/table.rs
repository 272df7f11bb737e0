//! The table of a read model: its columns in Postgres, and the checks of definitions and rows against them.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use sqlx::PgConnection;
use sqlx::postgres::PgDatabaseError;

use crate::model::column_type::ColumnType;
use crate::model::error::{ApplyError, TableError};
use crate::model::key::Key;

/// SQLSTATE `not_null_violation`.
const NOT_NULL_VIOLATION: &str = "23502";

/// A projection's table.
#[derive(Debug, Clone)]
pub(crate) struct Table {
    projection: &'static str,
    pub(super) name: &'static str,
    pub(super) key: &'static [&'static str],
    /// Those that can be written.
    pub(super) columns: BTreeMap<String, Column>,
}

#[derive(Debug, Clone)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) is_numeric: bool,
    /// Type that text is cast to; text columns are not cast, since an explicit cast truncates what is too long.
    pub(super) cast: Option<String>,
    pub(super) column_type: ColumnType,
}

/// A column as Postgres describes it.
struct CatalogColumn {
    name: String,
    is_numeric: bool,
    format: String,
    category: String,
}
crate::from_row!(CatalogColumn { name, is_numeric, format, category });

impl From<CatalogColumn> for Column {
    fn from(CatalogColumn { name, is_numeric, format, category }: CatalogColumn) -> Self {
        let column_type = ColumnType::parse(&format, &category);
        Self { name, is_numeric, cast: (category != "S").then_some(format), column_type }
    }
}

impl Table {
    /// Reads the table's columns and checks the definition against them. All names are static text of the code
    /// and are checked before they are used in a statement; values are always bound.
    pub(crate) async fn load(
        connection: &mut PgConnection,
        projection: &'static str,
        name: &'static str,
        key: &'static [&'static str],
        other_columns: &'static [&'static str],
    ) -> Result<Self, TableError> {
        let (schema, table) = split(name);
        for name in [schema, table].into_iter().chain(key.iter().chain(other_columns).copied()) {
            if !is_plain_name(name) {
                return Err(TableError::Name { projection, name });
            }
        }
        let columns: Vec<CatalogColumn> = sqlx::query_as(
            // As in information_schema.columns, which took 10 ms to plan: what this role must not use is not seen.
            "select a.attname::text as name, \
                    coalesce(nullif(t.typbasetype, 0), t.oid) = 'numeric'::regtype as is_numeric, \
                    format_type(a.atttypid, a.atttypmod) as format, t.typcategory::text as category \
               from pg_namespace n \
               join pg_class r on r.relnamespace = n.oid and r.relkind in ('r', 'p', 'v', 'f') \
               join pg_attribute a on a.attrelid = r.oid and a.attnum > 0 and not a.attisdropped \
                    and a.attgenerated = '' \
               join pg_type t on t.oid = a.atttypid \
              where n.nspname = $1 and r.relname = $2 \
                and (pg_has_role(r.relowner, 'usage') \
                     or has_column_privilege(r.oid, a.attnum, 'select, insert, update, references'))",
        )
        .bind(schema)
        .bind(table)
        .fetch_all(connection)
        .await
        .map_err(|source| TableError::Postgres { projection, table: name, source })?;
        let columns: BTreeMap<_, _> =
            columns.into_iter().map(|column| (column.name.clone(), Column::from(column))).collect();
        if columns.is_empty() {
            return Err(TableError::Missing { projection, table: name });
        }
        let table = Self { projection, name, key, columns };
        for column in key.iter().chain(other_columns) {
            table.check_column(column)?;
        }
        Ok(table)
    }

    fn check_column(&self, column: &str) -> Result<(), TableError> {
        if self.columns.contains_key(column) { Ok(()) } else { Err(self.no_column(column)) }
    }

    fn no_column(&self, column: &str) -> TableError {
        let column = column.to_owned();
        TableError::NoColumn { projection: self.projection, table: self.name, column }
    }

    /// A row as JSON. An error if it has a field that is not a column: Postgres would drop it silently.
    pub(crate) fn row(&self, row: Value) -> Result<Map<String, Value>, TableError> {
        self.row_with_columns(row, |column| self.columns.contains_key(column))
    }

    /// A row as JSON. An error if it has a field that is not one of the columns to be written.
    pub(crate) fn row_with_columns(
        &self,
        row: Value,
        is_written: impl Fn(&str) -> bool,
    ) -> Result<Map<String, Value>, TableError> {
        let Value::Object(row) = row else {
            return Err(TableError::NoObject { projection: self.projection, table: self.name });
        };
        match row.keys().find(|column| !is_written(column)) {
            Some(column) => Err(self.no_column(column)),
            None => Ok(row),
        }
    }

    /// An error if a key has not as many values as there are key columns.
    pub(crate) fn check_key(&self, key: &Key) -> Result<(), TableError> {
        let (expected, actual) = (self.key.len(), key.values().len());
        if expected == actual {
            return Ok(());
        }
        let (projection, table) = (self.projection, self.name);
        Err(TableError::KeyLength { projection, table, expected, actual })
    }

    /// The key columns with these values.
    pub(crate) fn key_row(&self, key: &Key) -> Map<String, Value> {
        let columns = self.key.iter().map(|column| (*column).to_owned());
        columns.zip(key.values().iter().cloned()).collect()
    }

    /// The error of a write to the table. A column that is not written and must not be null fails for every row:
    /// that is a fault of the table, not of an event.
    pub(crate) fn write_error(&self, error: sqlx::Error, is_written: impl Fn(&str) -> bool) -> ApplyError {
        let violation =
            error.as_database_error().and_then(|error| error.try_downcast_ref::<PgDatabaseError>());
        let column = violation
            .filter(|violation| violation.code() == NOT_NULL_VIOLATION && self.is_own(violation))
            .and_then(PgDatabaseError::column)
            .filter(|column| !is_written(column));
        match column {
            Some(column) => {
                let column = column.to_owned();
                TableError::Required { projection: self.projection, table: self.name, column }.into()
            }
            None => error.into(),
        }
    }

    /// Whether the error concerns this table, not one that a trigger writes.
    fn is_own(&self, error: &PgDatabaseError) -> bool {
        let (schema, table) = split(self.name);
        error.schema() == Some(schema) && error.table() == Some(table)
    }
}

pub(super) fn split(name: &'static str) -> (&'static str, &'static str) {
    name.split_once('.').unwrap_or(("public", name))
}

/// Lower-case letters, digits and `_`, not a digit first, within Postgres' 63 bytes.
fn is_plain_name(name: &str) -> bool {
    let letter = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
    name.len() <= 63
        && name.as_bytes().first().is_some_and(|first| letter(*first))
        && name.bytes().all(|byte| letter(byte) || byte.is_ascii_digit())
}
