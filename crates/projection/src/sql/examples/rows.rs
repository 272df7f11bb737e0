//! Rows that are there, compared with those that should be.

use serde_json::{Map, Value};
use sqlx::{AssertSqlSafe, PgConnection};

/// The differences between a table and the rows that it should have, one a line: `-` is missing, `+` is too much. An error says
/// what is wrong with the rows.
pub(crate) async fn differences(
    connection: &mut PgConnection,
    table: &str,
    expected: &[Map<String, Value>],
) -> Result<Result<Vec<String>, String>, sqlx::Error> {
    let named: Option<String> =
        sqlx::query_scalar("select to_regclass($1)::text").bind(table).fetch_one(&mut *connection).await?;
    let Some(named) = named else { return Ok(Err(format!("table {table} does not exist"))) };
    let existing: Vec<String> = sqlx::query_scalar(
        "select attname::text from pg_attribute where attrelid = $1::regclass and attnum > 0 and not attisdropped",
    )
    .bind(table)
    .fetch_all(&mut *connection)
    .await?;
    let columns: Vec<String> = match expected.first() {
        Some(row) => row.keys().cloned().collect(),
        None => existing.clone(),
    };
    if let Some(column) = columns.iter().find(|column| !existing.contains(column)) {
        return Ok(Err(format!("table {table} has no column {column}")));
    }
    if expected.iter().any(|row| !row.keys().eq(columns.iter())) && !expected.is_empty() {
        return Ok(Err(format!("the rows of {table} must name the same columns: {}", columns.join(", "))));
    }
    // Postgres reads the values as those of the columns: `1.50` is a numeric of 1.5.
    let sql = format!(
        "with expected as (
            select (select jsonb_object_agg(c, to_jsonb(r) -> c) from unnest($2::text[]) as c) as row
              from unnest($1::text[]) as given cross join lateral jsonb_populate_record(null::{named}, given::jsonb) as r),
         actual as (
            select (select jsonb_object_agg(c, to_jsonb(r) -> c) from unnest($2::text[]) as c) as row from {named} as r),
         missing as (select row from expected except all select row from actual),
         surplus as (select row from actual except all select row from expected)
         select line from (select '- ' || row::text from missing union all select '+ ' || row::text from surplus) as lines (line)
          order by substr(line, 3), line desc"
    );
    let expected: Vec<String> = expected.iter().map(|row| Value::Object(row.clone()).to_string()).collect();
    let lines =
        sqlx::query_scalar(AssertSqlSafe(sql)).bind(expected).bind(columns).fetch_all(connection).await;
    match lines {
        Ok(lines) => Ok(Ok(lines)),
        // A value is not one of its column's type.
        Err(sqlx::Error::Database(error)) => Ok(Err(format!("the rows of {table}: {error}"))),
        Err(error) => Err(error),
    }
}
