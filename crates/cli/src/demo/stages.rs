//! The progress of each stage: for the progress bars, the end of the run, and its times.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use aqueduct_core::{EventStore, StoreError};
use serde::Serialize;
use sqlx::PgPool;
use tokio::time::Instant;

use super::progress::Bars;
use super::services::{self, NO_ANSWER};
use super::tail::{Registered, Seen, Tail};

/// The projections with their topics, and the categories of streams that the topic carries.
const READERS: [(&str, &str, &[&str]); 5] = [
    ("customers", "shop.users", &["user"]),
    ("orders", "shop.orders", &["order", "return"]),
    ("revenue", "shop.orders", &["order", "return"]),
    ("inventory", "shop.orders", &["order", "return"]),
    ("stock", "shop.inventory", &["inventory"]),
];
/// Interval between two checks whether the store has been read to its end.
const POLL: Duration = Duration::from_millis(20);
/// The store must deliver an event within this time while it is read to its end.
const STORE_ANSWER: Duration = Duration::from_secs(60);
/// Time-out of a query.
pub(crate) const POSTGRES_ANSWER: Duration = Duration::from_secs(10);
const RELAYED: &str = "aqueduct_relay_events_relayed_total";

/// The events that passed a stage in this run, and the seconds from the first to the last.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub(crate) struct Stage {
    pub(crate) events: u64,
    pub(crate) seconds: f64,
}

/// The times of a run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StageTimes {
    /// From the first append to the last row.
    pub(crate) seconds: f64,
    pub(crate) stages: AllStages,
}

/// All stages, in the order of the pipeline.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct AllStages {
    /// Commands answered by the services.
    pub(crate) fed: Stage,
    /// Events appended to the store.
    pub(crate) stored: Stage,
    /// Records written to Kafka.
    pub(crate) relayed: Stage,
    /// Events taken by the projections and the reactor, each counted by every one that takes it.
    pub(crate) applied: Stage,
}

/// A process that the stages poll.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Polled {
    EventStore,
    Postgres,
}

/// All of them.
pub(crate) const POLLED: [Polled; 2] = [Polled::EventStore, Polled::Postgres];

impl Polled {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::EventStore => "event store",
            Self::Postgres => "postgres",
        }
    }
}

/// The stages cannot be polled.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StagesError {
    #[error("progress: the inbox of the projections cannot be read")]
    Postgres(#[from] sqlx::Error),
    #[error("progress: the event store cannot be read")]
    Store(#[from] StoreError),
    #[error("progress: the event store cannot be followed")]
    Tail(#[source] Arc<StoreError>),
    #[error("progress: {} {NO_ANSWER}", .0.name())]
    NoAnswer(Polled),
}

/// Polls all stages.
pub(crate) struct Stages {
    tail: Tail,
    store: Arc<dyn EventStore>,
    postgres: PgPool,
    relay: String,
    http: reqwest::Client,
    fed: Arc<AtomicU64>,
    meters: Meters,
    bars: Bars,
}

#[derive(Default)]
struct Meters {
    fed: Meter,
    stored: Meter,
    relayed: Meter,
    applied: Meter,
}

/// A count over time: its start, its first and its last change.
#[derive(Default)]
struct Meter {
    began: Option<(u64, Instant)>,
    count: u64,
    moved: Option<(Instant, Instant)>,
}

impl Meter {
    fn read(&mut self, count: u64, now: Instant) {
        let (_, polled) = *self.began.get_or_insert((count, now));
        if count > self.count && count > self.start() {
            // It first changed after the poll before this one.
            let first = self.moved.map_or(polled, |(first, _)| first);
            self.moved = Some((first, now));
        } else if self.moved.is_none() {
            self.began = Some((self.start(), now));
        }
        self.count = count;
    }

    fn start(&self) -> u64 {
        self.began.map_or(0, |(count, _)| count)
    }

    fn stage(&self) -> Stage {
        let seconds = self.moved.map_or(0.0, |(first, last)| (last - first).as_secs_f64());
        Stage { events: self.count.saturating_sub(self.start()), seconds }
    }
}

impl Stages {
    /// Starts polling after the store has been read to its end: a resumed run counts only the events it adds. `relay`
    /// is the URL of the relay's process.
    pub(crate) async fn start(
        store: Arc<dyn EventStore>,
        postgres: PgPool,
        relay: String,
        bars: Bars,
    ) -> Result<Self, StagesError> {
        let tail = Tail::start(Arc::clone(&store));
        let end = store.last_position().await?;
        let mut last = (tail.seen().position, Instant::now());
        while tail.seen().position < end {
            let seen = tail.seen();
            if let Some(error) = seen.failed {
                return Err(StagesError::Tail(error));
            }
            if seen.position != last.0 {
                last = (seen.position, Instant::now());
            } else if last.1.elapsed() > STORE_ANSWER {
                return Err(StagesError::NoAnswer(Polled::EventStore));
            }
            tokio::time::sleep(POLL).await;
        }
        Ok(Self {
            tail,
            store,
            postgres,
            relay,
            http: services::client(),
            fed: Arc::default(),
            meters: Meters::default(),
            bars,
        })
    }

    /// Prints a message above the bars.
    pub(crate) fn say(&self, text: &str) {
        self.bars.say(text);
    }

    /// The counter of answered commands, for the feed.
    pub(crate) fn fed(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.fed)
    }

    /// When each customer's registration was appended.
    pub(crate) fn registered(&self) -> Registered {
        self.tail.seen().registered
    }

    /// Polls once; true when all events in the store have passed all stages.
    ///
    /// The order of reading makes that safe: the inbox first, then the end of the store. The reactor appends before it
    /// writes its inbox, so an event in the inbox cannot cause one after that end.
    pub(crate) async fn poll(&mut self) -> Result<bool, StagesError> {
        let taken = tokio::time::timeout(POSTGRES_ANSWER, self.taken()).await;
        let taken = taken.map_err(|_| StagesError::NoAnswer(Polled::Postgres))??;
        let relayed = self.relayed().await;
        let end = self.store.last_position().await?;
        let seen = self.tail.seen();
        if let Some(error) = &seen.failed {
            return Err(StagesError::Tail(Arc::clone(error)));
        }
        let now = Instant::now();
        self.meters.fed.read(self.fed.load(Ordering::Relaxed), now);
        self.meters.stored.read(seen.total(), now);
        if let Some(relayed) = relayed {
            self.meters.relayed.read(relayed, now);
        }
        self.meters.applied.read(taken.values().sum(), now);
        let Meters { fed, stored, relayed, applied } = &self.meters;
        self.bars.show(fed.count, stored.count, relayed.count, applied.count);
        Ok(seen.position >= end && all_taken(&seen, &taken))
    }

    /// A number that changes with every progress.
    pub(crate) fn progress(&self) -> u64 {
        let Meters { fed, stored, relayed, applied } = &self.meters;
        [fed, stored, relayed, applied].map(|meter| meter.count).iter().sum()
    }

    /// What passed each stage since the first poll.
    pub(crate) fn times(&self) -> StageTimes {
        let Meters { fed, stored, relayed, applied } = &self.meters;
        let seconds = match (stored.moved, applied.moved) {
            (Some((first, _)), Some((_, last))) => last.saturating_duration_since(first).as_secs_f64(),
            _ => 0.0,
        };
        let stages = AllStages {
            fed: fed.stage(),
            stored: stored.stage(),
            relayed: relayed.stage(),
            applied: applied.stage(),
        };
        StageTimes { seconds, stages }
    }

    /// Per projection and topic, how many events it has applied or parked. Revisions count from 0.
    async fn taken(&self) -> Result<HashMap<(String, String), u64>, sqlx::Error> {
        let rows: Vec<(String, String, i64)> = sqlx::query_as(
            "select projection, topic, sum(events)::bigint from (
                 select projection, topic, revision + 1 as events from aqueduct.inbox
                 union all select projection, topic, 1 from aqueduct.parked
             ) as taken group by projection, topic",
        )
        .fetch_all(&self.postgres)
        .await?;
        Ok(rows.into_iter().map(|(name, topic, events)| ((name, topic), events.max(0) as u64)).collect())
    }

    /// The records of the relay's process since it started. `None` if it does not answer in time: whether all is done
    /// is decided by the inbox, and an unready relay is reported with the other services.
    async fn relayed(&self) -> Option<u64> {
        let answer = self.http.get(format!("{}/metrics", self.relay)).send().await.ok()?;
        let metrics = answer.text().await.ok()?;
        let samples = metrics.lines().filter(|line| line.starts_with(RELAYED));
        Some(samples.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum::<f64>() as u64)
    }
}

fn all_taken(seen: &Seen, taken: &HashMap<(String, String), u64>) -> bool {
    READERS.iter().all(|(projection, topic, categories)| {
        let taken = taken.get(&((*projection).to_owned(), (*topic).to_owned()));
        taken.copied().unwrap_or_default() >= seen.of(categories)
    })
}
