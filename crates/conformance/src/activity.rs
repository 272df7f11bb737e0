//! Catching the consumer at work: what its connections do in Postgres.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use sqlx::AssertSqlSafe;

use crate::error::Error;
use crate::trial::Trial;

pub(crate) const POLL: Duration = Duration::from_millis(1);
/// How long a moment is waited for.
pub(crate) const PATIENCE: Duration = Duration::from_secs(15);
/// How long a COMMIT takes where it must be caught.
const PAUSE: &str = "0.05";

/// What a transaction of the consumer is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moment {
    /// It has received records, and is open.
    Open,
    /// It is being committed.
    Commit,
}

/// Makes each COMMIT that moves an offset take long enough to be seen: a deferred trigger waits.
pub(crate) async fn slow_commits(trial: &Trial<'_>) -> Result<(), Error> {
    let trigger = format!(
        "create schema conformance;
         create function conformance.pause() returns trigger language plpgsql as $$
             begin perform pg_catalog.pg_sleep({PAUSE}); return null; end $$;
         create constraint trigger pause after update on aqueduct.offsets deferrable initially deferred
             for each row when (old.next_offset is distinct from new.next_offset)
             execute function conformance.pause()"
    );
    let created = sqlx::raw_sql(AssertSqlSafe(trigger)).execute(&trial.database).await;
    created.map(drop).map_err(Error::postgres("slow down the commits"))
}

/// Freezes the only instance at the moment. False: the moment did not come, and the instance runs.
pub(crate) async fn freeze_at(trial: &Trial<'_>, moment: Moment) -> Result<bool, Error> {
    let Some(instance) = trial.instances.first() else { return Ok(false) };
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        if is_at(trial, moment).await? {
            instance.signal(Signal::SIGSTOP);
            // It may have gone on in the meantime.
            if is_at(trial, moment).await? {
                return Ok(true);
            }
            instance.signal(Signal::SIGCONT);
        }
        tokio::time::sleep(POLL).await;
    }
    Ok(false)
}

/// Ends the consumer's transactions, as Postgres does after its time-outs: the trial does not wait for those.
pub(crate) async fn end_transactions(trial: &Trial<'_>) -> Result<(), Error> {
    let end = "select pg_terminate_backend(a.pid) from pg_stat_activity a
                where a.datname = current_database() and a.usename = $1 and a.xact_start is not null";
    let ended = sqlx::query(end).bind(trial.role()).execute(&trial.database).await;
    ended.map(drop).map_err(Error::postgres("end the consumer's transactions"))
}

/// Ends the transactions that are being committed; they are rolled back. False: there was none.
pub(crate) async fn end_commits(trial: &Trial<'_>) -> Result<bool, Error> {
    sqlx::query_scalar(
        "select coalesce(bool_or(pg_terminate_backend(a.pid)), false) from pg_stat_activity a
          where a.datname = current_database() and a.usename = $1 and a.wait_event = 'PgSleep'",
    )
    .bind(trial.role())
    .fetch_one(&trial.database)
    .await
    .map_err(Error::postgres("end the consumer's transactions"))
}

pub(crate) async fn is_at(trial: &Trial<'_>, moment: Moment) -> Result<bool, Error> {
    sqlx::query_scalar(
        "select exists (
             select from pg_stat_activity a
              where a.datname = current_database() and a.usename = $1 and a.backend_xid is not null
                -- The kit's trigger waits. A statement outside of a transaction block is committed without COMMIT.
                and case when $2 then a.wait_event = 'PgSleep'
                         else (a.state = 'idle in transaction'
                               or a.state = 'active' and a.wait_event is distinct from 'PgSleep'
                                  and a.query !~* '^\\s*(commit|end)\\y')
                              -- Without records these are all that a transaction calls.
                              and a.query !~ 'aqueduct_consumer\\.(claim|next_held|advance)'
                              and a.query !~ 'aqueduct\\.(offsets_claim|projection_status)' end)",
    )
    .bind(trial.role())
    .bind(moment == Moment::Commit)
    .fetch_one(&trial.database)
    .await
    .map_err(Error::postgres("read pg_stat_activity"))
}
