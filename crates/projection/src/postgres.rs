//! The connection to Postgres: pool, migrations, and what an error means.

use std::time::Duration;

use aqueduct_core::ErrorKind;
use futures::TryFutureExt as _;
use serde::Deserialize;
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Executor as _, PgPool};

/// Where Postgres is.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PostgresOptions {
    /// `postgres://user:password@host/database`.
    pub url: String,
    /// Connections that a projection keeps at most.
    #[serde(default = "default_connections")]
    pub connections: u32,
    /// Seconds after which a connection attempt or a batch's transaction counts as failed and is tried again.
    #[serde(default = "default_timeout_seconds")]
    pub timeout_seconds: u64,
}

/// All that a projection asks for it asks for by key, many keys at once. The planner, who does not know how
/// many, would rather scan a table while it is small and keep to that plan while it grows.
const KEY_LOOK_UPS: &str = "set enable_seqscan = off; set enable_hashjoin = off; set enable_mergejoin = off; \
                            set jit = off";

fn default_connections() -> u32 {
    4
}

fn default_timeout_seconds() -> u64 {
    30
}

// By hand: the URL holds a password.
impl std::fmt::Debug for PostgresOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PostgresOptions")
            .field("connections", &self.connections)
            .field("timeout_seconds", &self.timeout_seconds)
            .finish_non_exhaustive()
    }
}

impl PostgresOptions {
    /// The options for a URL, with the defaults.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            connections: default_connections(),
            timeout_seconds: default_timeout_seconds(),
        }
    }

    pub(crate) fn timeout(&self) -> Duration {
        Duration::from_secs(self.timeout_seconds)
    }

    /// A pool that connects when it is first used. Its sessions are called `aqueduct.<projection>` in
    /// `pg_stat_activity`.
    pub(crate) fn pool(&self, projection: &str) -> Result<PgPool, sqlx::Error> {
        let connection: PgConnectOptions = self.url.parse()?;
        let pool = PgPoolOptions::new()
            .max_connections(self.connections)
            .acquire_timeout(self.timeout())
            .after_connect(|connection, _| Box::pin(connection.execute(KEY_LOOK_UPS).map_ok(drop)));
        Ok(pool.connect_lazy_with(connection.application_name(&format!("aqueduct.{projection}"))))
    }
}

/// Makes the tables and functions of the inbox in the schema `aqueduct`, or brings them up to date. Any
/// number of processes may do it at once. Done by [`Projection::run`](crate::Projection::run) too; call it
/// to have them before, for example with rights that the projection itself does not have.
pub async fn migrate(pool: &PgPool) -> Result<(), MigrateError> {
    let mut migrator: Migrator = sqlx::migrate!();
    // The application's own migrations are in the same database, under sqlx's default name.
    migrator.dangerous_set_table_name("aqueduct.projection_migrations");
    migrator.create_schema("aqueduct");
    migrator.run(pool).await
}

/// What to do about an error from Postgres. [`Park`](ErrorKind::Park) means that a value does not fit: it is
/// the fault of one record of the batch.
pub(crate) fn error_kind(error: &sqlx::Error) -> ErrorKind {
    match error {
        sqlx::Error::Io(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed
        | sqlx::Error::Protocol(_) => ErrorKind::Retry,
        sqlx::Error::Database(error) => error.code().map_or(ErrorKind::Stop, |code| state_kind(&code)),
        _ => ErrorKind::Stop,
    }
}

/// By SQLSTATE (PostgreSQL's appendix A).
fn state_kind(code: &str) -> ErrorKind {
    match code.get(..2) {
        // Cardinality, data, integrity constraint, check option, limit (a key too long for its index), raised by
        // a trigger.
        Some("21" | "22" | "23" | "44" | "54" | "P0") => ErrorKind::Park,
        // Connection, transaction state (a standby is read only until it is promoted), rollback (deadlock,
        // serialisation), resources, object in use (lock time-out), operator intervention, system, internal.
        Some("08" | "25" | "40" | "53" | "55" | "57" | "58" | "XX") => ErrorKind::Retry,
        // Missing tables, refused logins and rights: waiting does not cure them.
        _ => ErrorKind::Stop,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_decides_what_to_do() {
        for (code, kind) in [
            ("22003", ErrorKind::Park),
            ("23514", ErrorKind::Park),
            ("57P01", ErrorKind::Retry),
            ("40P01", ErrorKind::Retry),
            ("42P01", ErrorKind::Stop),
            ("28P01", ErrorKind::Stop),
        ] {
            assert_eq!(state_kind(code), kind, "{code}");
        }
    }

    #[test]
    fn a_password_is_not_shown() {
        let options = PostgresOptions::new("postgres://me:secret@db/shop");
        assert!(!format!("{options:?}").contains("secret"));
    }
}
