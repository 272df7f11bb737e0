//! From append to row, at a moderate rate.

use std::collections::HashSet;
use std::sync::PoisonError;
use std::time::Duration;

use aqueduct_core::StreamName;
use aqueduct_shop::input::{FeedError, Feeder, Step};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sqlx::{Connection as _, PgConnection};
use tokio::time::Instant;

use super::services::NO_ANSWER;
use super::stages::POSTGRES_ANSWER;
use super::tail::Registered;

/// Customers registered in this stage, at most.
pub(crate) const EVENTS: usize = 200;
/// Registrations a second.
pub(crate) const RATE: u32 = 50;
/// Time-out of a row.
const PATIENCE: Duration = Duration::from_secs(60);
/// Interval between two polls of the table.
const POLL: Duration = Duration::from_millis(1);

/// Milliseconds between the store's time of an append and the moment another connection to Postgres saw the row.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Latency {
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    pub(crate) max: f64,
    /// Number of measured events.
    pub(crate) events: u64,
    /// Appends per second.
    pub(crate) rate: u32,
}

/// The stage could not be measured.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LatencyError {
    #[error(transparent)]
    Feed(#[from] FeedError),
    #[error("latency: the table of customers cannot be read")]
    Postgres(#[from] sqlx::Error),
    #[error("latency: no row for {0} customers within {PATIENCE:?} of their registration")]
    Late(usize),
    #[error("latency: postgres {NO_ANSWER}")]
    NoAnswer,
}

/// Registers the customers of `steps` one by one and watches them appear.
pub(crate) async fn measure(
    feeder: &Feeder,
    steps: &[&Step],
    registered: &Registered,
    postgres: &str,
) -> Result<Option<Latency>, LatencyError> {
    let mut connection = within(PgConnection::connect(postgres)).await?;
    let mut waiting: HashSet<String> = steps.iter().flat_map(|step| only(step)).collect();
    for row in rows(&mut connection, &waiting).await? {
        waiting.remove(&row);
    }
    let Some((first, steps)) = steps.split_first() else { return Ok(None) };
    if waiting.is_empty() {
        return Ok(None);
    }
    // The first one waits until every service has joined its group, so it is not measured.
    feeder.step(first).await?;
    appear(&mut connection, &mut only(first)).await?;
    waiting.retain(|user| !only(first).contains(user));
    let feed = async {
        let mut ticks = tokio::time::interval(Duration::from_secs(1) / RATE);
        for step in steps {
            ticks.tick().await;
            feeder.step(step).await?;
        }
        Ok::<_, LatencyError>(())
    };
    let ((), seen) = tokio::try_join!(feed, appear(&mut connection, &mut waiting))?;
    Ok(Some(summarise(&seen, registered)))
}

/// Waits until all these customers have a row; returns when each was first seen.
async fn appear(
    connection: &mut PgConnection,
    waiting: &mut HashSet<String>,
) -> Result<Vec<(String, Timestamp)>, LatencyError> {
    let mut seen = Vec::with_capacity(waiting.len());
    let mut last = Instant::now();
    while !waiting.is_empty() {
        let polled = rows(connection, waiting).await;
        let late = last.elapsed() > PATIENCE;
        match polled {
            Ok(rows) if rows.is_empty() && late => return Err(LatencyError::Late(waiting.len())),
            Ok(rows) => {
                for row in rows {
                    waiting.remove(&row);
                    seen.push((row, Timestamp::now()));
                    last = Instant::now();
                }
            }
            Err(LatencyError::NoAnswer) if !late => {}
            Err(error) => return Err(error),
        }
        tokio::time::sleep(POLL).await;
    }
    Ok(seen)
}

/// The customer whom a step registers.
fn only(step: &Step) -> HashSet<String> {
    match step {
        Step::Register(user) => HashSet::from([user.user_id.clone()]),
        _ => HashSet::new(),
    }
}

async fn rows(connection: &mut PgConnection, waiting: &HashSet<String>) -> Result<Vec<String>, LatencyError> {
    let waiting: Vec<&str> = waiting.iter().map(String::as_str).collect();
    let query = sqlx::query_scalar("select user_id from shop.customers where user_id = any($1)");
    within(query.bind(waiting).fetch_all(connection)).await
}

async fn within<T>(query: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, LatencyError> {
    let answered = tokio::time::timeout(POSTGRES_ANSWER, query).await;
    Ok(answered.map_err(|_| LatencyError::NoAnswer)??)
}

fn summarise(seen: &[(String, Timestamp)], registered: &Registered) -> Latency {
    let registered = registered.read().unwrap_or_else(PoisonError::into_inner);
    let mut millis: Vec<f64> = seen
        .iter()
        .filter_map(|(user, row)| {
            let appended = registered.get(&StreamName::of("user", user))?;
            Some(row.duration_since(*appended).as_secs_f64() * 1000.0)
        })
        .collect();
    millis.sort_by(f64::total_cmp);
    // Nearest rank: the smallest value that is not exceeded by this share of the values.
    let quantile = |q: f64| {
        let rank = (q * millis.len() as f64).ceil() as usize;
        millis.get(rank.max(1) - 1).copied().unwrap_or_default()
    };
    Latency {
        p50: quantile(0.5),
        p99: quantile(0.99),
        max: quantile(1.0),
        events: millis.len() as u64,
        rate: RATE,
    }
}
