//! Options of the connection to Postgres, and the sessions and pools that they make.

use std::sync::LazyLock;
use std::time::Duration;

use futures::TryFutureExt as _;
use serde::Deserialize;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Connection as _, Executor as _, PgConnection, PgPool};

/// Address of Postgres and limits of its connections.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PostgresOptions {
    /// `postgres://user:password@host/database`.
    pub url: String,
    /// Maximum number of connections per projection.
    #[serde(default = "default_connections")]
    pub connections: u32,
    /// Seconds after which a connection attempt or a batch's transaction has failed and is retried.
    #[serde(default = "default_timeout_seconds")]
    pub timeout_seconds: u64,
}

/// A projection reads and writes by key only, many keys at a time. The planner, which does not know how many,
/// would scan a table while it is small and keep that plan while it grows. A plan for the values of one batch is the same as
/// one for all, and would be made five times on each connection. The statements of SQL files run without these settings.
pub(crate) const PLANNER_SETTINGS: [(&str, &str); 5] = [
    ("enable_seqscan", "off"),
    ("enable_hashjoin", "off"),
    ("enable_mergejoin", "off"),
    ("plan_cache_mode", "force_generic_plan"),
    ("jit", "off"),
];

/// The single statement of a batch compares rows as they are when it has locked them, not as they were when it began.
const ISOLATION: &str = "set default_transaction_isolation = 'read committed'";

/// The settings of a projection's session.
static SETTINGS: LazyLock<String> = LazyLock::new(|| {
    let planner = PLANNER_SETTINGS.iter().map(|(name, value)| format!("set {name} = {value}; "));
    planner.chain([ISOLATION.to_owned()]).collect()
});

/// TCP keepalive probes until the server considers the client gone.
const KEEPALIVE_PROBES: u32 = 3;

/// A connection that was used within this time is used again without a test; if it is lost, the batch is retried.
const UNTESTED: Duration = Duration::from_secs(1);

fn default_connections() -> u32 {
    4
}

fn default_timeout_seconds() -> u64 {
    30
}

// By hand: the URL may contain a password.
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

    /// Connection options with which the server ends a session within `limit` after its client froze or became
    /// unreachable, so that it does not hold locks longer than that: a session that idles in a transaction, a
    /// statement that takes longer, a wait for a lock that takes half as long (SQLSTATE 25P03, 57014, 55P03), and a peer that
    /// does not acknowledge. `name` is the session's `application_name`.
    ///
    /// # Errors
    /// The URL is not valid.
    pub fn session(&self, name: &str, limit: Duration) -> Result<PgConnectOptions, sqlx::Error> {
        let options: PgConnectOptions = self.url.parse()?;
        let limit_ms = limit.as_millis().clamp(1000, i32::MAX as u128);
        let limit_seconds = limit_ms.div_ceil(1000);
        let probe_seconds = (limit_seconds / u128::from(KEEPALIVE_PROBES + 1)).max(1);
        let ms = format!("{limit_ms}ms");
        Ok(options.application_name(name).options([
            ("idle_in_transaction_session_timeout", ms.clone()),
            ("statement_timeout", ms.clone()),
            // Shorter, so that a statement that waits for a lock is told from one that takes long.
            ("lock_timeout", format!("{}ms", limit_ms / 2)),
            ("tcp_user_timeout", ms),
            ("tcp_keepalives_idle", probe_seconds.to_string()),
            ("tcp_keepalives_interval", probe_seconds.to_string()),
            ("tcp_keepalives_count", KEEPALIVE_PROBES.to_string()),
        ]))
    }

    /// A pool for a service that queries read models, with sessions as in [`session`](Self::session). It connects
    /// when it is first used. Run queries with [`run_query`](crate::run_query).
    ///
    /// # Errors
    /// The URL is not valid.
    pub fn query_pool(&self, name: &str, limit: Duration) -> Result<PgPool, sqlx::Error> {
        Ok(self.pool_options().connect_lazy_with(self.session(name, limit)?))
    }

    /// A projection's pool, which connects when it is first used. Its sessions are named
    /// `aqueduct.<projection>`.
    pub(crate) fn projection_pool(&self, projection: &str, limit: Duration) -> Result<PgPool, sqlx::Error> {
        let session = self.session(&format!("aqueduct.{projection}"), limit)?;
        let pool = self
            .pool_options()
            .after_connect(|connection, _| Box::pin(connection.execute(SETTINGS.as_str()).map_ok(drop)))
            .test_before_acquire(false)
            .before_acquire(|connection, state| Box::pin(test_if_idle(connection, state.idle_for)));
        Ok(pool.connect_lazy_with(session))
    }

    fn pool_options(&self) -> PgPoolOptions {
        PgPoolOptions::new().max_connections(self.connections).acquire_timeout(self.timeout())
    }
}

/// The pool would ask Postgres before each batch whether the connection of the batch before is usable.
async fn test_if_idle(connection: &mut PgConnection, idle_for: Duration) -> Result<bool, sqlx::Error> {
    if idle_for > UNTESTED {
        connection.ping().await?;
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_not_shown() {
        let options = PostgresOptions::new("postgres://me:secret@db/shop");
        assert!(!format!("{options:?}").contains("secret"));
    }

    #[test]
    fn a_session_ends_within_the_limit() {
        let session = PostgresOptions::new("postgres://db/shop").session("test", Duration::from_secs(10));
        let options = session.unwrap().get_options().unwrap_or_default().to_owned();
        for expected in [
            "idle_in_transaction_session_timeout=10000ms",
            "statement_timeout=10000ms",
            "lock_timeout=5000ms",
            "tcp_user_timeout=10000ms",
            "tcp_keepalives_idle=2",
        ] {
            assert!(options.contains(expected), "{options}");
        }
    }
}
