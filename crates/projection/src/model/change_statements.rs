//! The parts that a read model adds to the single statement of a batch, and the reading of rows before it. Whole numbers are
//! sent as such, all other values as texts, which Postgres casts to the types of the columns.

use std::sync::Arc;

use crate::inbox::statement::{FIRST_PARAMETER, statement};
use crate::model::column_array::ColumnArray;
use crate::model::statements::list;
use crate::model::table::Table;
use crate::model::table_version::TableVersion;

impl Table {
    /// Reads the rows of keys, an array for each key column: the ordinal of the key, from 1, the row as in
    /// [`select`](Self::select), and its version.
    pub(crate) fn select_versions(&self) -> Arc<str> {
        let names = list(self.key, |name| name);
        format!(
            "select k.ordinality, (select row_to_json(r)::text from (select {columns}) r), t.xmin::text \
             from unnest({arrays}) with ordinality as k ({names}, ordinality) join {table} t on {on}",
            columns = self.json_columns(),
            arrays = texts(1, self.key.len()),
            table = self.quoted(),
            on = self.key_equals("k"),
        )
        .into()
    }

    /// Writes rows with these columns. The parameters are an array for each column and one of the versions that the rows
    /// replace, and then an array for each column of the rows that are new.
    pub(crate) fn change(&self, columns: &[String], version: &TableVersion) -> Arc<str> {
        let names = list(columns, |name| name);
        let types = || columns.iter().map(|column| ColumnArray::sql_type(self.column_type(column)));
        let changed_at = FIRST_PARAMETER;
        let added_at = changed_at + columns.len() + 1;
        let not_key: Vec<_> = columns.iter().filter(|name| !self.key.contains(&name.as_str())).collect();
        let set = if not_key.is_empty() {
            list(self.key, |name| format!("{name} = t.{name}"))
        } else {
            not_key
                .iter()
                .map(|name| format!("\"{name}\" = {}", self.value("r", name)))
                .collect::<Vec<_>>()
                .join(", ")
        };
        let parts = format!(
            ", changed as ( \
                 update {table} t set {set} \
                   from fence, unnest({changed}) as r ({names}, \"#version\") \
                  where fence.is_held and {on} and t.xmin = r.\"#version\"::xid \
                 returning 1 \
             ), added as ( \
                 insert into {table} ({names}) select {values} from fence, unnest({added}) as r ({names}) \
                  where fence.is_held on conflict ({key}) do nothing \
                 returning 1 \
             )",
            table = self.quoted(),
            changed = arrays(changed_at, types().chain(["text[]"])),
            on = self.key_equals("r"),
            values = columns.iter().map(|name| self.value("r", name)).collect::<Vec<_>>().join(", "),
            added = arrays(added_at, types()),
            key = list(self.key, |name| name),
        );
        let TableVersion { oid, version, .. } = version;
        let is_complete = format!(
            "(select count(*) from changed) = cardinality(${changed_at}::{first}) \
             and (select count(*) from added) = cardinality(${added_at}::{first}) \
             and aqueduct.table_version({oid}::oid) = '{version}'",
            first = types().next().unwrap_or("text[]"),
        );
        statement(&parts, &is_complete)
    }

    /// Adds to sums. The parameters are an array for each column of the key and for each sum, with one element for each row.
    /// In the order of the key, so that instances that write the same rows wait for each other in one direction.
    pub(crate) fn add_sums(&self, sums: &[&str]) -> Arc<str> {
        let columns: Vec<_> = self.key.iter().chain(sums).copied().collect();
        let names = list(&columns, |name| name);
        let parts = format!(
            ", added as ( \
                 insert into {table} as t ({names}) \
                 select {names} from (select {values} from fence, unnest({arrays}) as r ({names}) \
                                       where fence.is_held) as r ({names}) \
                  order by {key} on conflict ({key}) do update set {set} \
                 returning 1 \
             )",
            table = self.quoted(),
            values = columns.iter().map(|name| self.value("r", name)).collect::<Vec<_>>().join(", "),
            arrays = texts(FIRST_PARAMETER, columns.len()),
            key = list(self.key, |name| name),
            set = list(sums, |name| format!("{name} = t.{name} + excluded.{name}")),
        );
        statement(&parts, &format!("(select count(*) from added) = cardinality(${FIRST_PARAMETER}::text[])"))
    }

    /// A column's value in a row of texts. Those of text columns are not cast, because an explicit cast truncates what is too
    /// long.
    fn value(&self, row: &str, column: &str) -> String {
        match self.columns.get(column).and_then(|column| column.cast.as_deref()) {
            Some(cast) => format!("{row}.\"{column}\"::{cast}"),
            None => format!("{row}.\"{column}\""),
        }
    }

    fn key_equals(&self, row: &str) -> String {
        let equal = self.key.iter().map(|column| format!("t.\"{column}\" = {}", self.value(row, column)));
        equal.collect::<Vec<_>>().join(" and ")
    }
}

/// `count` arrays of texts, the parameters from `$first` on.
fn texts(first: usize, count: usize) -> String {
    arrays(first, std::iter::repeat_n("text[]", count))
}

/// Arrays of these types, the parameters from `$first` on.
fn arrays(first: usize, types: impl Iterator<Item = &'static str>) -> String {
    let arrays = types.enumerate().map(|(index, sql_type)| format!("${}::{sql_type}", first + index));
    arrays.collect::<Vec<_>>().join(", ")
}
