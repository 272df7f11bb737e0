//! Checks at intervals whether Postgres answers, and counts the parked events.

use std::time::Duration;

use aqueduct_core::with_causes;
use sqlx::PgPool;
use tokio::sync::Notify;
use tokio::time::{Instant, MissedTickBehavior};

use crate::inbox::GENERATION;
use crate::metrics;
use crate::status::{Component, StatusReporter};

/// Interval of the checks, and their timeout.
const PING_INTERVAL: Duration = Duration::from_secs(3);
/// Delay of the first ping: the start of a projection shows whether Postgres answers. Not when the first report and the first
/// step come: each of them would need a connection of its own.
const FIRST_PING: Duration = Duration::from_secs(2);
/// The parked events are counted with every n-th ping.
const PINGS_PER_COUNT: u64 = 4;

/// Reports whether Postgres answers.
pub(crate) struct PostgresMonitor {
    pub(crate) projection: &'static str,
    pub(crate) pool: PgPool,
    pub(crate) status: StatusReporter,
    /// Notified when events were parked.
    pub(crate) parked: Notify,
}

impl PostgresMonitor {
    /// Checks Postgres at intervals. Never completes.
    pub(crate) async fn run(&self) {
        let mut ticks = tokio::time::interval_at(Instant::now() + FIRST_PING, PING_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut pings: u64 = 0;
        loop {
            tokio::select! {
                () = self.parked.notified() => self.count_parked().await,
                _ = ticks.tick() => {
                    if pings.is_multiple_of(PINGS_PER_COUNT) {
                        self.count_parked().await;
                    }
                    pings += 1;
                    self.ping().await;
                }
            }
        }
    }

    async fn ping(&self) {
        let ping = sqlx::query("select 1").execute(&self.pool);
        let problem = match tokio::time::timeout(PING_INTERVAL, ping).await {
            Ok(Ok(_)) => return self.status.clear(Component::Postgres),
            Ok(Err(error)) => format!("postgres: {}", with_causes(&error)),
            Err(_) => format!("postgres does not answer within {PING_INTERVAL:?}"),
        };
        self.status.report(Component::Postgres, problem);
    }

    /// Sets the gauge of parked events. After a failure it keeps its value: the next ping reports what is wrong.
    async fn count_parked(&self) {
        let count = sqlx::query_scalar(
            "select count(*) from aqueduct.parked where projection = $1 and generation = $2 and state = 'parked'",
        );
        let count = count.bind(self.projection).bind(GENERATION).fetch_one(&self.pool);
        if let Ok(Ok(events)) = tokio::time::timeout(PING_INTERVAL, count).await {
            metrics::parked_now(self.projection, events);
        }
    }
}
