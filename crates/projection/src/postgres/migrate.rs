//! The migrations of the schema `aqueduct`.

use std::borrow::Cow;

use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{AssertSqlSafe, PgConnection, PgPool, SqlSafeStr as _};

use crate::postgres::error::has_code;

/// Version, name and text of each migration.
const MIGRATIONS: [(i64, &str, &str); 13] = [
    (1, "inbox", include_str!("../../migrations/0001_inbox.sql")),
    (2, "offsets", include_str!("../../migrations/0002_offsets.sql")),
    (3, "parked", include_str!("../../migrations/0003_parked.sql")),
    (4, "revisions", include_str!("../../migrations/0004_revisions.sql")),
    (5, "parked requests", include_str!("../../migrations/0005_parked_requests.sql")),
    (6, "status", include_str!("../../migrations/0006_status.sql")),
    (7, "parked steps", include_str!("../../migrations/0007_parked_steps.sql")),
    (8, "step bytes", include_str!("../../migrations/0008_step_bytes.sql")),
    (9, "single statement", include_str!("../../migrations/0009_single_statement.sql")),
    (10, "consumers", include_str!("../../migrations/0010_consumers.sql")),
    (11, "topic ids", include_str!("../../migrations/0011_topic_ids.sql")),
    (12, "event ids", include_str!("../../migrations/0012_event_ids.sql")),
    (13, "parked conflicts", include_str!("../../migrations/0013_parked_conflicts.sql")),
];

/// SQLSTATE `insufficient_privilege`.
const INSUFFICIENT_PRIVILEGE: &str = "42501";

/// A migration may rewrite a large table, and instances wait for each other's, so statements have no timeout. A session
/// that idles between two statements is ended, because a frozen process would keep the lock of all migrations.
const TIMEOUTS: [(&str, &str); 4] = [
    ("statement_timeout", "0"),
    ("lock_timeout", "0"),
    ("idle_in_transaction_session_timeout", "60s"),
    ("idle_session_timeout", "60s"),
];

/// Creates the tables and functions of the schema `aqueduct`, or brings them up to date, on a connection of its
/// own whose statements have no timeout. Any number of processes can do it at the same time.
/// [`Projection::run`](crate::Projection::run) does it too; call it before that if the projection's own role must
/// not create tables.
///
/// The history is in `aqueduct.projection_migrations`, apart from the application's own migrations.
///
/// # Errors
/// Postgres cannot be reached, or rejects a migration.
pub async fn migrate(pool: &PgPool) -> Result<(), MigrateError> {
    let mut migrator = migrator(MIGRATIONS);
    migrator.dangerous_set_table_name("aqueduct.projection_migrations");
    migrator.create_schema("aqueduct");
    let own = migration_pool(pool);
    let migrated = migrator.run(&own).await;
    own.close().await;
    migrated
}

/// Whether exactly the migrations of this version have run, so that [`migrate`] would do nothing.
pub(crate) async fn is_migrated(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    if !has_history(connection).await? {
        return Ok(false);
    }
    let applied: Vec<(i64, Vec<u8>, bool)> = sqlx::query_as(
        "select version, checksum, success from aqueduct.projection_migrations order by version",
    )
    .fetch_all(connection)
    .await?;
    let migrator = migrator(MIGRATIONS);
    let expected = migrator.iter().map(|migration| (migration.version, &*migration.checksum, true));
    Ok(applied.iter().map(|(version, checksum, success)| (*version, &**checksum, *success)).eq(expected))
}

/// Whether the role lacks a right.
pub(crate) fn is_denied(error: &MigrateError) -> bool {
    let (MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _)) = error else {
        return false;
    };
    has_code(error, INSUFFICIENT_PRIVILEGE)
}

async fn has_history(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar("select to_regclass('aqueduct.projection_migrations') is not null")
        .fetch_one(connection)
        .await
}

/// Which migrations of the schema `aqueduct` have run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MigrationState {
    /// How many have run.
    pub applied: usize,
    /// Those of this version that have not, by number and name.
    pub missing: Vec<String>,
}

/// Compares the history in the database with the migrations of this version. Changes nothing.
///
/// # Errors
/// Postgres cannot be reached, or the user must not read the history.
pub async fn migration_state(pool: &PgPool) -> Result<MigrationState, sqlx::Error> {
    let mut connection = pool.acquire().await?;
    let applied: Vec<i64> = if has_history(&mut connection).await? {
        sqlx::query_scalar("select version from aqueduct.projection_migrations where success")
            .fetch_all(&mut *connection)
            .await?
    } else {
        Vec::new()
    };
    let missing = MIGRATIONS.iter().filter(|(version, ..)| !applied.contains(version));
    let missing = missing.map(|(version, name, _)| format!("{version} {name}")).collect();
    Ok(MigrationState { applied: applied.len(), missing })
}

/// The migrations with these versions, names and texts.
pub fn migrator<const N: usize>(migrations: [(i64, &'static str, &'static str); N]) -> Migrator {
    let migration = |(version, name, sql): (i64, &'static str, &'static str)| {
        let (name, sql) = (Cow::Borrowed(name), AssertSqlSafe(sql).into_sql_str());
        Migration::new(version, name, MigrationType::Simple, sql, false)
    };
    Migrator::with_migrations(migrations.into_iter().map(migration).collect())
}

/// A pool of one connection to the same database, whose statements have no timeout: for migrations, which may rewrite a
/// large table. The server ends a session that idles for a minute. The pool connects when it is first used.
pub fn migration_pool(pool: &PgPool) -> PgPool {
    let session = PgConnectOptions::clone(&pool.connect_options()).options(TIMEOUTS);
    let own = PgPoolOptions::new().max_connections(1).acquire_timeout(pool.options().get_acquire_timeout());
    own.connect_lazy_with(session)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[tokio::test]
    async fn every_file_of_the_folder_is_a_migration() {
        let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/migrations"));
        let described = |migrator: &Migrator| {
            let describe = |it: &Migration| (it.version, it.description.to_string(), it.checksum.to_vec());
            migrator.iter().map(describe).collect::<Vec<_>>()
        };
        let files = Migrator::new(folder).await.unwrap();
        assert_eq!(described(&migrator(MIGRATIONS)), described(&files));
    }
}
