//! The tables of a consumer.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::value::RawValue;
use sqlx::{AssertSqlSafe, PgPool};

use crate::definition::Definition;
use crate::error::Error;
use crate::report::RowDifference;

/// Most rows of a table that are compared.
const MAX_ROWS: usize = 100_000;

/// The rows of each table as JSON, sorted. Columns that are not compared are left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tables(BTreeMap<String, Vec<String>>);

impl Tables {
    pub(crate) async fn read(database: &PgPool, definition: &Definition) -> Result<Self, Error> {
        let mut tables = BTreeMap::new();
        for table in &definition.tables {
            let excluded: Vec<&str> = definition.excluded(table).collect();
            let query = format!(
                "select (to_jsonb(t) - $1::text[])::text from {} t limit {}",
                table.quoted(),
                MAX_ROWS + 1
            );
            let mut rows: Vec<String> = sqlx::query_scalar(AssertSqlSafe(query))
                .bind(excluded)
                .fetch_all(database)
                .await
                .map_err(Error::postgres("read the tables"))?;
            if rows.len() > MAX_ROWS {
                return Err(Error::NoOracle(format!("{table} has more than {MAX_ROWS} rows")));
            }
            rows.sort_unstable();
            tables.insert(table.to_string(), rows);
        }
        Ok(Self(tables))
    }

    /// Rows that are only in one of both, at most so many.
    pub(crate) fn differences(&self, found: &Self, at_most: usize) -> Vec<RowDifference> {
        let mut differences = Vec::new();
        for (table, expected) in &self.0 {
            let found = found.0.get(table).map(Vec::as_slice).unwrap_or_default();
            let difference = |is_expected| {
                move |row: String| {
                    let row = RawValue::from_string(row).ok()?;
                    Some(RowDifference { table: table.clone(), is_expected, row })
                }
            };
            let mut of_table: Vec<_> =
                without(expected, found).into_iter().filter_map(difference(true)).collect();
            of_table.extend(without(found, expected).into_iter().filter_map(difference(false)));
            // What one row should be and what it is are often next to each other.
            of_table.sort_by(|one, other| one.row.get().cmp(other.row.get()));
            differences.extend(of_table);
        }
        differences.truncate(at_most);
        differences
    }

    /// The columns, `schema.table.column`, whose values differ; the tables where only their combination does.
    pub(crate) fn differing_columns(&self, other: &Self) -> Vec<String> {
        let mut differing = Vec::new();
        for (table, rows) in &self.0 {
            let others = other.0.get(table).map(Vec::as_slice).unwrap_or_default();
            if rows == others {
                continue;
            }
            let (columns, other_columns) = (columns(rows), columns(others));
            let names: BTreeSet<_> = columns.keys().chain(other_columns.keys()).collect();
            let before = differing.len();
            for name in names {
                if columns.get(name) != other_columns.get(name) {
                    differing.push(format!("{table}.{name}"));
                }
            }
            if differing.len() == before {
                differing.push(table.clone());
            }
        }
        differing
    }
}

/// The rows without as many equal ones as `others` has. Both are sorted.
fn without(rows: &[String], others: &[String]) -> Vec<String> {
    let mut others = others.iter().peekable();
    let mut left = Vec::new();
    for row in rows {
        while others.next_if(|other| *other < row).is_some() {}
        if others.next_if_eq(&row).is_none() {
            left.push(row.clone());
        }
    }
    left
}

/// The values of each column, sorted.
fn columns(rows: &[String]) -> BTreeMap<String, Vec<String>> {
    let mut columns: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for row in rows {
        // Postgres has written it.
        let row: BTreeMap<String, &RawValue> = serde_json::from_str(row).unwrap_or_default();
        for (name, value) in row {
            columns.entry(name).or_default().push(value.get().to_owned());
        }
    }
    columns.values_mut().for_each(|values| values.sort_unstable());
    columns
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tables(rows: &[&str]) -> Tables {
        let mut rows: Vec<_> = rows.iter().map(|row| (*row).to_owned()).collect();
        rows.sort_unstable();
        Tables([("s.t".to_owned(), rows)].into())
    }

    #[test]
    fn rows_are_compared_as_often_as_they_occur() {
        let expected = tables(&[r#"{"a": 1}"#, r#"{"a": 1}"#, r#"{"a": 2}"#]);
        let found = tables(&[r#"{"a": 1}"#, r#"{"a": 2}"#, r#"{"a": 3}"#]);
        let differences = expected.differences(&found, 10);
        let seen: Vec<_> = differences.iter().map(|it| (it.is_expected, it.row.get())).collect();
        assert_eq!(seen, [(true, r#"{"a": 1}"#), (false, r#"{"a": 3}"#)]);
        assert_eq!(expected.differences(&expected.clone(), 10).len(), 0);
    }

    #[test]
    fn a_column_that_differs_is_named() {
        let one = tables(&[r#"{"a": 1, "at": "10:00"}"#, r#"{"a": 2, "at": "10:01"}"#]);
        let other = tables(&[r#"{"a": 1, "at": "11:00"}"#, r#"{"a": 2, "at": "11:01"}"#]);
        assert_eq!(one.differing_columns(&other), ["s.t.at"]);
        let exchanged = tables(&[r#"{"a": 2, "at": "10:00"}"#, r#"{"a": 1, "at": "10:01"}"#]);
        assert_eq!(one.differing_columns(&exchanged), ["s.t"]);
        assert_eq!(one.differing_columns(&one), [""; 0]);
    }
}
