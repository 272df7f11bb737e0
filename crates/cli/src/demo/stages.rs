//! How far each stage is: for the progress bars, for knowing when all is done, and for the times.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use aqueduct_core::{EventStore, StoreError};
use serde::Serialize;
use sqlx::PgPool;
use tokio::time::Instant;

use super::progress::Bars;
use super::services;
use super::tail::{Registered, Seen, Tail};

/// Which projection takes which topic, and the categories of streams that the topic carries.
const READERS: [(&str, &str, &[&str]); 5] = [
    ("customers", "shop.users", &["user"]),
    ("orders", "shop.orders", &["order", "return"]),
    ("revenue", "shop.orders", &["order", "return"]),
    ("inventory", "shop.orders", &["order", "return"]),
    ("stock", "shop.inventory", &["inventory"]),
];
/// Pause between two looks at whether the store has been read to its end.
const LOOK: Duration = Duration::from_millis(20);
const RELAYED: &str = "aqueduct_relay_events_relayed_total";

/// What went through a stage in this run, and the seconds from the first to the last of it.
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

/// The stages can't be looked at.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StagesError {
    #[error("progress: the inbox of the projections can't be read")]
    Postgres(#[from] sqlx::Error),
    #[error("progress: the event store can't be read")]
    Store(#[from] StoreError),
    #[error("progress: the event store can't be followed")]
    Tail(#[source] Arc<StoreError>),
}

/// Looks at all stages, again and again.
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

/// A count over time: where it began, when it first and when it last moved.
#[derive(Default)]
struct Meter {
    began: Option<(u64, Instant)>,
    count: u64,
    moved: Option<(Instant, Instant)>,
}

impl Meter {
    fn read(&mut self, count: u64, now: Instant) {
        let (_, looked) = *self.began.get_or_insert((count, now));
        if count > self.count && count > self.start() {
            // It first moved some time after the look before the one that saw it.
            let first = self.moved.map_or(looked, |(first, _)| first);
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
    /// Begins to look, once all that is in the store already has been seen: a run that is resumed counts only
    /// what it adds. `relay` is the URL of the relay's process.
    pub(crate) async fn start(
        store: Arc<dyn EventStore>,
        postgres: PgPool,
        relay: String,
        bars: Bars,
    ) -> Result<Self, StagesError> {
        let tail = Tail::start(Arc::clone(&store));
        let end = store.last_position().await?;
        while tail.seen().position < end {
            if let Some(error) = tail.seen().failed {
                return Err(StagesError::Tail(error));
            }
            tokio::time::sleep(LOOK).await;
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

    /// Says something to the user, above the bars.
    pub(crate) fn say(&self, text: &str) {
        self.bars.say(text);
    }

    /// The counter of answered commands, to be raised by whoever feeds.
    pub(crate) fn fed(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.fed)
    }

    /// When each customer's registration was appended, as the store is followed.
    pub(crate) fn registered(&self) -> Registered {
        self.tail.seen().registered
    }

    /// Looks once; true when everything that is in the store has gone through all stages.
    ///
    /// The order of reading makes that safe: the inbox first, then the end of the store. The reactor appends
    /// before it writes its inbox, so what the inbox has seen can't lead to an event after that end.
    pub(crate) async fn look(&mut self) -> Result<bool, StagesError> {
        let taken = self.taken().await?;
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

    /// A number that changes whenever anything has moved.
    pub(crate) fn progress(&self) -> u64 {
        let Meters { fed, stored, relayed, applied } = &self.meters;
        [fed, stored, relayed, applied].map(|meter| meter.count).iter().sum()
    }

    /// What went through each stage since the first look.
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
            "SELECT projection, topic, sum(events)::bigint FROM (
                 SELECT projection, topic, revision + 1 AS events FROM aqueduct.inbox
                 UNION ALL SELECT projection, topic, 1 FROM aqueduct.parked
             ) AS taken GROUP BY projection, topic",
        )
        .fetch_all(&self.postgres)
        .await?;
        Ok(rows.into_iter().map(|(name, topic, events)| ((name, topic), events.max(0) as u64)).collect())
    }

    /// What the relay's process has relayed since it started. The bar may stand still for a while; whether
    /// all is done is judged by the inbox.
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
