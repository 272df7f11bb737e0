//! The statements that read and write a read model's table.

use std::sync::Arc;

use crate::model::table::{Column, Table, split};

impl Table {
    /// Reads the rows of the keys in `$1` (a JSON array of key columns): the ordinal of the key, from 1, and the
    /// row as JSON text. Numerics are strings: a JSON number would lose digits.
    pub(crate) fn select(&self) -> Arc<str> {
        format!(
            "select k.ordinality, (select row_to_json(r)::text from (select {columns}) r) \
             from jsonb_populate_recordset(null::{table}, $1) with ordinality as k \
             join {table} t on {on}",
            columns = self.json_columns(),
            table = self.quoted(),
            on = self.same_key("t", "k"),
        )
        .into()
    }

    /// Reads any row, in the form of [`select`](Self::select).
    pub(crate) fn select_any(&self) -> Arc<str> {
        format!(
            "select (select row_to_json(r)::text from (select {columns}) r) from {table} t limit 1",
            columns = self.json_columns(),
            table = self.quoted(),
        )
        .into()
    }

    /// Inserts a row that exists again, which checks it and then changes nothing.
    pub(crate) fn insert_existing(&self, sums: &[&str]) -> Arc<str> {
        let columns = list(self.key.iter().chain(sums), |name| name);
        format!(
            "insert into {table} ({columns}) select {columns} from {table} limit 1 on conflict ({key}) do nothing",
            table = self.quoted(),
            key = list(self.key, |name| name),
        )
        .into()
    }

    /// Whether there is a row.
    pub(crate) fn has_rows(&self) -> Arc<str> {
        format!("select exists (select from {table})", table = self.quoted()).into()
    }

    pub(super) fn json_columns(&self) -> String {
        let columns = self.columns.values().map(|Column { name, is_numeric, .. }| {
            if *is_numeric { format!("t.\"{name}\"::text as \"{name}\"") } else { format!("t.\"{name}\"") }
        });
        columns.collect::<Vec<_>>().join(", ")
    }

    /// Inserts the rows in `$1` (a JSON array), all with these columns, or updates the rows of the same key. Other
    /// columns get their default in a new row and keep their value in an existing one.
    pub(crate) fn upsert(&self, columns: &[String]) -> Arc<str> {
        let not_key: Vec<_> = columns.iter().filter(|name| !self.key.contains(&name.as_str())).collect();
        let action = if not_key.is_empty() {
            "nothing".to_owned()
        } else {
            format!("update set {}", list(not_key, |name| format!("{name} = excluded.{name}")))
        };
        format!(
            "insert into {table} ({columns}) select {columns} \
             from jsonb_populate_recordset(null::{table}, $1) order by {key} on conflict ({key}) do {action}",
            table = self.quoted(),
            columns = list(columns, |name| name),
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

    /// Adds rows to those of the same key. Each column of the key and each sum is an array of texts, `$1` and so
    /// on: a batch has one row per event, and Postgres takes three times as long to parse them from JSON. In the
    /// order of the key, so that instances that write the same rows wait for each other in one direction.
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

    pub(super) fn quoted(&self) -> String {
        let (schema, table) = split(self.name);
        format!("\"{schema}\".\"{table}\"")
    }
}

/// Quoted names (a column may be called `order`), each formatted, separated by commas.
pub(super) fn list<N: AsRef<str>>(
    names: impl IntoIterator<Item = N>,
    format: impl Fn(String) -> String,
) -> String {
    let quoted = names.into_iter().map(|name| format(format!("\"{}\"", name.as_ref())));
    quoted.collect::<Vec<_>>().join(", ")
}
