//! The contract for consumers in other languages: SQL functions in the schema `aqueduct_consumer`.

use std::time::Duration;

use sqlx::migrate::MigrateError;
use sqlx::{AssertSqlSafe, PgPool};

use crate::inbox::GENERATION;
use crate::postgres::migrate::{migrate, migration_pool, migrator};

/// Version, name and text of each migration.
const MIGRATIONS: [(i64, &str, &str); 7] = [
    (1, "tables", include_str!("../consumer/0001_tables.sql")),
    (2, "claim", include_str!("../consumer/0002_claim.sql")),
    (3, "receive", include_str!("../consumer/0003_receive.sql")),
    (4, "park", include_str!("../consumer/0004_park.sql")),
    (5, "held", include_str!("../consumer/0005_held.sql")),
    (6, "rights", include_str!("../consumer/0006_rights.sql")),
    (7, "parked conflicts", include_str!("../consumer/0007_parked_conflicts.sql")),
];

/// The code with which the runner in Rust halts a projection, which need not be registered.
const RUNNER_CODE: &str = "topic_recreated";

/// Creates the functions for consumers in other languages, or brings them up to date, with the tables that they need (see
/// [`migrate`]). Any number of processes can do it at the same time. The connection must be a direct one: it holds a
/// session lock.
///
/// The history is in `aqueduct_consumer.migrations`.
///
/// # Errors
/// Postgres cannot be reached, or rejects a migration.
pub async fn install(pool: &PgPool) -> Result<(), MigrateError> {
    migrate(pool).await?;
    let mut migrator = migrator(MIGRATIONS);
    migrator.dangerous_set_table_name("aqueduct_consumer.migrations");
    migrator.create_schema("aqueduct_consumer");
    let own = migration_pool(pool);
    let installed = migrator.run(&own).await;
    own.close().await;
    installed
}

/// A projection that consumers in another language keep.
#[derive(Debug, Clone, Copy)]
pub struct Registration<'a> {
    /// At most 40 lower-case letters, digits and `_`.
    pub projection: &'a str,
    /// Role whose members may act for the projection.
    pub owner: &'a str,
    /// Whether the first record of an unknown stream is taken for its beginning.
    pub starts_late: bool,
    /// Time-outs of the transactions in which consumers call the functions.
    pub timeouts: Timeouts,
}

/// Postgres's settings of the same names, which end what a consumer that is frozen or hangs would hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// `idle_in_transaction_session_timeout`: time between two statements of a transaction.
    pub idle: Duration,
    /// `lock_timeout`: time that a statement waits for a lock.
    pub lock: Duration,
    /// `statement_timeout`: time of a statement.
    pub statement: Duration,
}

impl Default for Timeouts {
    /// 60 s, 30 s and 60 s.
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self { idle: seconds(60), lock: seconds(30), statement: seconds(60) }
    }
}

/// Registers a projection, or changes its registration. Its owner may call the functions from then on.
///
/// # Errors
/// The functions are not installed, the name is not allowed, the role does not exist, or the caller must not grant.
pub async fn register(
    pool: &PgPool,
    Registration { projection, owner, starts_late, timeouts }: Registration<'_>,
) -> Result<(), sqlx::Error> {
    let Timeouts { idle, lock, statement } = timeouts;
    sqlx::query(
        "select aqueduct_consumer.register($1, $2, $3, $4, make_interval(secs => $5), make_interval(secs => $6),
                                           make_interval(secs => $7))",
    )
        .bind(projection)
        .bind(GENERATION)
        .bind(owner)
        .bind(starts_late)
        .bind(idle.as_secs_f64())
        .bind(lock.as_secs_f64())
        .bind(statement.as_secs_f64())
        .execute(pool)
        .await
        .map(drop)
}

/// Grants the tables of the schema `aqueduct` to a role with which the runner in Rust connects.
///
/// # Errors
/// The role does not exist, or the caller must not grant.
pub async fn grant_runner(pool: &PgPool, role: &str) -> Result<(), sqlx::Error> {
    let grants: String = sqlx::query_scalar(
        "select format('grant usage on schema aqueduct to %1$I; \
                        grant select, insert, update, delete on all tables in schema aqueduct to %1$I; \
                        grant execute on all functions in schema aqueduct to %1$I', $1)",
    )
    .bind(role)
    .fetch_one(pool)
    .await?;
    sqlx::raw_sql(AssertSqlSafe(grants)).execute(pool).await.map(drop)
}

/// Lets a projection continue that was halted with this code, in whatever language it is. Returns the problems that are
/// accepted with it; empty: it was not halted with this code.
///
/// # Errors
/// The caller does not act for the projection's owner, or has no right to the tables of one that is not registered.
pub async fn accept(pool: &PgPool, projection: &str, code: &str) -> Result<Vec<String>, sqlx::Error> {
    let accepted = sqlx::query_scalar("select aqueduct_consumer.accept($1, $2, $3)")
        .bind(projection)
        .bind(GENERATION)
        .bind(code)
        .fetch_all(pool)
        .await;
    match accepted {
        Err(error) if is_not_registered(&error) && code == RUNNER_CODE => {
            sqlx::query_scalar("select aqueduct.offsets_accept($1, $2)")
                .bind(projection)
                .bind(GENERATION)
                .fetch_all(pool)
                .await
        }
        accepted => accepted,
    }
}

/// Whether the projection is not registered, or the functions are not installed, or not for the caller.
fn is_not_registered(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    matches!(code.as_deref(), Some("AQ010" | "3F000" | "42501"))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use sqlx::migrate::{Migration, Migrator};

    use super::*;

    #[tokio::test]
    async fn every_file_of_the_folder_is_a_migration() {
        let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/consumer"));
        let described = |migrator: &Migrator| {
            let describe = |it: &Migration| (it.version, it.description.to_string(), it.checksum.to_vec());
            migrator.iter().map(describe).collect::<Vec<_>>()
        };
        let files = Migrator::new(folder).await.unwrap();
        assert_eq!(described(&migrator(MIGRATIONS)), described(&files));
    }
}
