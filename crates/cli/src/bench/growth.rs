//! A long history against a short one.

use std::num::NonZeroU32;
use std::sync::Arc;

use aqueduct_core::{CommandId, EventStore as _, ExpectedRevision, MemoryStore, NewEvent, RecordedEvent};

use super::comparison::{Comparison, Side};
use super::measured::Measured;
use super::relayed::Surroundings;
use super::rounds::{Contest, interleaved};
use super::stopwatch::Stopwatch;
use crate::Failure;

/// How many events a history has, and in how many streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum History {
    Short,
    Long,
}

impl History {
    pub(super) fn events(self) -> usize {
        match self {
            Self::Short => 10_000,
            Self::Long => 1_000_000,
        }
    }

    pub(super) fn streams(self) -> usize {
        match self {
            Self::Short => 10,
            Self::Long => 100_000,
        }
    }

    pub(super) fn describe(self) -> String {
        format!("{} events of {} streams", self.events(), self.streams())
    }

    /// Made of inventory's events of the shop, again and again, in a store in memory.
    async fn make(self, shop: &[RecordedEvent]) -> Result<Stopwatch, Failure> {
        let store = MemoryStore::default();
        let events = shop.iter().filter(|it| it.stream.category() == "inventory").cycle();
        for (n, event) in events.take(self.events()).enumerate() {
            let RecordedEvent { event_type, data, metadata, .. } = event.clone();
            let new = NewEvent { id: CommandId::random().as_uuid(), event_type, data, metadata };
            let stream = format!("inventory-{}", n % self.streams()).as_str().into();
            store.append(&stream, ExpectedRevision::Any, &[new]).await?;
        }
        Ok(Stopwatch::new(Arc::new(store)))
    }
}

/// Measures a route with one lane, and one with four. `shop` are events of the shop.
pub(super) async fn measure(
    rounds: usize,
    surroundings: &Surroundings,
    shop: &[RecordedEvent],
) -> Result<[Comparison; 2], Failure> {
    eprintln!("growth: making the histories");
    let [long, short] = [History::Long.make(shop).await?, History::Short.make(shop).await?];
    let mut growth = Growth { surroundings, long, short, lanes: NonZeroU32::MIN };
    let one = growth.compare("growth, one lane", rounds).await?;
    growth.lanes = NonZeroU32::MIN.saturating_add(3);
    Ok([one, growth.compare("growth, four lanes", rounds).await?])
}

struct Growth<'a> {
    surroundings: &'a Surroundings,
    long: Stopwatch,
    short: Stopwatch,
    lanes: NonZeroU32,
}

impl Growth<'_> {
    async fn compare(&mut self, name: &'static str, rounds: usize) -> Result<Comparison, Failure> {
        let shown = interleaved(name, rounds, self).await?;
        let side = |name, history: History| Side { name, includes: history.describe() };
        Ok(Comparison {
            name,
            work: format!(
                "From a store in memory to a topic of four partitions, lanes: {}. From the first subscription to $all until a \
                 read_committed reader in this process has seen all.",
                self.lanes
            ),
            product: side("long history", History::Long),
            baselines: vec![side("short history", History::Short)],
            rounds: shown,
        })
    }
}

impl Contest for Growth<'_> {
    type Side = History;
    const SIDES: &'static [History] = &[History::Long, History::Short];

    async fn run(&mut self, history: History, round: usize, _: usize) -> Result<Measured, Failure> {
        let Self { surroundings, long, short, lanes } = self;
        let name = format!("bench-growth-{}-{lanes}-{round}", history.events());
        let (cluster, options, _) = surroundings.new_route(&name, *lanes).await?;
        let store = match history {
            History::Short => short,
            History::Long => long,
        };
        surroundings.relay(cluster, options, store, history.events()).await
    }
}
