//! The table of a read model: what Postgres says of it, and the statements that follow from it.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value};
use sqlx::PgPool;

/// A table that can't be kept by its projection.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// A name in the projection's definition is none that can stand in a statement as it is.
    #[error("projection {projection}: {name:?} is no lower-case SQL name; use letters, digits and _")]
    Name {
        /// Name of the projection.
        projection: &'static str,
        /// The name.
        name: &'static str,
    },
    /// The table is not there.
    #[error("projection {projection}: there is no table {table}; run the migrations that make it")]
    Missing {
        /// Name of the projection.
        projection: &'static str,
        /// The table.
        table: &'static str,
    },
    /// The definition, or a row, names a column that the table does not have, or that is generated, or for
    /// deltas is neither key nor sum.
    #[error(
        "projection {projection}: table {table} has no column {column:?} that the projection could write"
    )]
    NoColumn {
        /// Name of the projection.
        projection: &'static str,
        /// The table.
        table: &'static str,
        /// The column.
        column: String,
    },
    /// A row is no JSON object.
    #[error("projection {projection}: a row of {table} must serialise to a JSON object")]
    NoObject {
        /// Name of the projection.
        projection: &'static str,
        /// The table.
        table: &'static str,
    },
    /// A key with too few or too many values.
    #[error("projection {projection}: a key of {table} needs {expected} values, there are {actual}")]
    KeyLength {
        /// Name of the projection.
        projection: &'static str,
        /// The table.
        table: &'static str,
        /// Number of key columns.
        expected: usize,
        /// Number of values.
        actual: usize,
    },
    /// Postgres could not be asked.
    #[error("projection {projection}: table {table} could not be looked at")]
    Postgres {
        /// Name of the projection.
        projection: &'static str,
        /// The table.
        table: &'static str,
        /// The cause.
        source: sqlx::Error,
    },
}

/// A projection's table.
#[derive(Debug, Clone)]
pub(crate) struct Table {
    projection: &'static str,
    name: &'static str,
    key: &'static [&'static str],
    /// Those that can be written.
    columns: BTreeMap<String, Column>,
}

#[derive(Debug, Clone, sqlx::FromRow)]
struct Column {
    name: String,
    is_numeric: bool,
    /// What text is cast to; text itself is not cast, since an explicit cast cuts what is too long.
    cast: Option<String>,
}

impl Table {
    /// Looks the table up and checks the definition against it. All names are static text of the code, and
    /// are checked before any of them stands in a statement; values are always bound.
    pub(crate) async fn look_up(
        pool: &PgPool,
        projection: &'static str,
        name: &'static str,
        key: &'static [&'static str],
        others: &'static [&'static str],
    ) -> Result<Self, TableError> {
        let (schema, table) = split(name);
        for name in [schema, table].into_iter().chain(key.iter().chain(others).copied()) {
            if !is_plain_name(name) {
                return Err(TableError::Name { projection, name });
            }
        }
        let columns: Vec<Column> = sqlx::query_as(
            "select c.column_name::text as name, c.data_type = 'numeric' as is_numeric, \
                    case when t.typcategory <> 'S' then format_type(a.atttypid, a.atttypmod) end as cast \
               from information_schema.columns c \
               join pg_namespace n on n.nspname = c.table_schema \
               join pg_class r on r.relnamespace = n.oid and r.relname = c.table_name \
               join pg_attribute a on a.attrelid = r.oid and a.attname = c.column_name \
               join pg_type t on t.oid = a.atttypid \
              where c.table_schema = $1 and c.table_name = $2 and c.is_generated = 'NEVER'",
        )
        .bind(schema)
        .bind(table)
        .fetch_all(pool)
        .await
        .map_err(|source| TableError::Postgres { projection, table: name, source })?;
        let columns: BTreeMap<_, _> =
            columns.into_iter().map(|column| (column.name.clone(), column)).collect();
        if columns.is_empty() {
            return Err(TableError::Missing { projection, table: name });
        }
        let table = Self { projection, name, key, columns };
        for column in key.iter().chain(others) {
            table.check_column(column)?;
        }
        Ok(table)
    }

    fn check_column(&self, column: &str) -> Result<(), TableError> {
        match self.columns.contains_key(column) {
            true => Ok(()),
            false => Err(self.no_column(column)),
        }
    }

    fn no_column(&self, column: &str) -> TableError {
        let column = column.to_owned();
        TableError::NoColumn { projection: self.projection, table: self.name, column }
    }

    /// A row as JSON; refused where it has a field that is no column: Postgres would drop it silently.
    pub(crate) fn row(&self, row: Value) -> Result<Map<String, Value>, TableError> {
        self.row_of(row, |column| self.columns.contains_key(column))
    }

    /// A row as JSON; refused where it has a field that is none of the columns that will be written.
    pub(crate) fn row_of(
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

    /// The key columns with these values.
    pub(crate) fn key_row(&self, key: &crate::Key) -> Result<Map<String, Value>, TableError> {
        let (expected, actual) = (self.key.len(), key.values().len());
        if expected != actual {
            let (projection, table) = (self.projection, self.name);
            return Err(TableError::KeyLength { projection, table, expected, actual });
        }
        let columns = self.key.iter().map(|column| (*column).to_owned());
        Ok(columns.zip(key.values().iter().cloned()).collect())
    }

    /// Reads the rows of the keys in `$1` (a JSON array of key columns): the ordinal of the key, from 1, and
    /// the row as JSON text. Numerics come as strings: a JSON number would lose their digits on the way.
    pub(crate) fn select(&self) -> Arc<str> {
        let columns = self.columns.values().map(|Column { name, is_numeric, .. }| match is_numeric {
            true => format!("t.\"{name}\"::text as \"{name}\""),
            false => format!("t.\"{name}\""),
        });
        format!(
            "select k.ordinality, (select row_to_json(r)::text from (select {columns}) r) \
             from jsonb_populate_recordset(null::{table}, $1) with ordinality as k \
             join {table} t on {on}",
            columns = columns.collect::<Vec<_>>().join(", "),
            table = self.quoted(),
            on = self.same_key("t", "k"),
        )
        .into()
    }

    /// Inserts the rows in `$1` (a JSON array), or replaces the ones of the same key.
    pub(crate) fn upsert(&self) -> Arc<str> {
        let not_key: Vec<_> =
            self.columns.keys().map(String::as_str).filter(|name| !self.key.contains(name)).collect();
        let action = match not_key.is_empty() {
            true => "nothing".to_owned(),
            false => format!("update set {}", list(&not_key, |name| format!("{name} = excluded.{name}"))),
        };
        format!(
            "insert into {table} ({columns}) select {columns} \
             from jsonb_populate_recordset(null::{table}, $1) order by {key} on conflict ({key}) do {action}",
            table = self.quoted(),
            columns = list(self.columns.keys(), |name| name),
            key = list(self.key, |name| name),
        )
        .into()
    }

    /// Deletes the rows of the keys in `$1`.
    pub(crate) fn delete(&self) -> Arc<str> {
        format!(
            "delete from {table} t using jsonb_populate_recordset(null::{table}, $1) k where {on}",
            table = self.quoted(),
            on = self.same_key("t", "k"),
        )
        .into()
    }

    /// Adds rows to those of the same key. Each column of the key and each sum is an array of texts, `$1` and
    /// so on: a batch has a row an event, and JSON costs Postgres three times as much to take apart. In the
    /// key's order: instances that meet in the same rows wait for each other in one direction.
    pub(crate) fn add(&self, sums: &[&str]) -> Arc<str> {
        let columns = || self.key.iter().chain(sums).copied();
        let arrays: Vec<_> = (1..=columns().count()).map(|n| format!("${n}::text[]")).collect();
        let cast = |name: &str| match self.columns.get(name).and_then(|column| column.cast.as_deref()) {
            Some(cast) => format!("\"{name}\"::{cast}"),
            None => format!("\"{name}\""),
        };
        let typed: Vec<_> = columns().map(cast).collect();
        format!(
            "insert into {table} as t ({columns}) select {key}, {added} \
             from (select {typed} from unnest({arrays}) as r ({columns})) as r ({columns}) \
             group by {key} order by {key} on conflict ({key}) do update set {set}",
            table = self.quoted(),
            columns = list(columns(), |name| name),
            key = list(self.key, |name| name),
            added = list(sums, |name| format!("coalesce(sum({name}), 0)")),
            typed = typed.join(", "),
            arrays = arrays.join(", "),
            set = list(sums, |name| format!("{name} = t.{name} + excluded.{name}")),
        )
        .into()
    }

    fn same_key(&self, left: &str, right: &str) -> String {
        let equal = self.key.iter().map(|column| format!("{left}.\"{column}\" = {right}.\"{column}\""));
        equal.collect::<Vec<_>>().join(" and ")
    }

    fn quoted(&self) -> String {
        let (schema, table) = split(self.name);
        format!("\"{schema}\".\"{table}\"")
    }
}

fn split(name: &'static str) -> (&'static str, &'static str) {
    name.split_once('.').unwrap_or(("public", name))
}

/// Quoted names (a column may be called `order`), each put into a form, with commas between them.
fn list<N: AsRef<str>>(names: impl IntoIterator<Item = N>, form: impl Fn(String) -> String) -> String {
    let quoted = names.into_iter().map(|name| form(format!("\"{}\"", name.as_ref())));
    quoted.collect::<Vec<_>>().join(", ")
}

/// Lower-case letters, digits and `_`, not a digit first, within Postgres' 63 bytes.
fn is_plain_name(name: &str) -> bool {
    let letter = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
    name.len() <= 63
        && name.as_bytes().first().is_some_and(|first| letter(*first))
        && name.bytes().all(|byte| letter(byte) || byte.is_ascii_digit())
}
