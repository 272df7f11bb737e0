//! Queries that survive a change of the tables they read.

use futures::future::BoxFuture;
use sqlx::{Connection as _, PgConnection, PgPool};

use crate::postgres::error::is_stale_statement;

/// The statement can become stale again while it is being repeated, but each time a table must have changed.
const MAX_ATTEMPTS: usize = 5;

/// Runs a query on a connection of the pool, and again if its prepared statement became invalid because a table
/// was changed (SQLSTATE 0A000, "cached plan must not change result type"). Without this, each such query fails
/// until the sessions end.
///
/// The query must be a single statement outside of a transaction; Postgres rejects a stale statement before it
/// executes anything, so that nothing happens twice. Values that it binds are owned.
///
/// ```
/// # async fn example(pool: sqlx::PgPool) -> Result<(), sqlx::Error> {
/// let name: Option<String> = aqueduct_projection::run_query(&pool, |connection| {
///     Box::pin(sqlx::query_scalar("select name from users where id = $1").bind(7).fetch_optional(connection))
/// })
/// .await?;
/// # Ok(()) }
/// ```
///
/// # Errors
/// Those of the query.
pub async fn run_query<T>(
    pool: &PgPool,
    mut query: impl for<'c> FnMut(&'c mut PgConnection) -> BoxFuture<'c, Result<T, sqlx::Error>>,
) -> Result<T, sqlx::Error> {
    let mut connection = pool.acquire().await?;
    for _ in 1..MAX_ATTEMPTS {
        match query(&mut connection).await {
            Err(error) if is_stale_statement(&error) => connection.clear_cached_statements().await?,
            result => return result,
        }
    }
    query(&mut connection).await
}
