//! A route in four lanes against the same route in one.

use std::num::NonZeroU32;
use std::sync::Arc;

use super::comparison::{Comparison, Side};
use super::measured::Measured;
use super::relay::event_store;
use super::relayed::Surroundings;
use super::rounds::{Contest, interleaved};
use super::stopwatch::Stopwatch;
use crate::Failure;

/// Lanes of the route that is measured.
const LANES: NonZeroU32 = NonZeroU32::MIN.saturating_add(3);

/// `events` is how many there are in the event store.
pub(super) async fn measure(
    rounds: usize,
    surroundings: &Surroundings,
    events: usize,
) -> Result<Comparison, Failure> {
    let store = Stopwatch::new(Arc::new(event_store(surroundings)?));
    let mut contest = AgainstOneLane { surroundings, store, events };
    let shown = interleaved("lanes", rounds, &mut contest).await?;
    Ok(Comparison {
        name: "lanes",
        work: format!(
            "{events} events of the sample shop from the event store, which is in this process and on disk, to a topic of four partitions. From the first subscription to $all until a read_committed reader \
             in this process has seen all. The CPU time of this process includes the event store and the reader."
        ),
        product: Side {
            name: "four lanes",
            includes: "a route with four lanes, all in one relay".to_owned(),
        },
        baselines: vec![Side { name: "one lane", includes: "the same route with one lane".to_owned() }],
        rounds: shown,
    })
}

struct AgainstOneLane<'a> {
    surroundings: &'a Surroundings,
    store: Stopwatch,
    events: usize,
}

impl Contest for AgainstOneLane<'_> {
    type Side = NonZeroU32;
    const SIDES: &'static [NonZeroU32] = &[LANES, NonZeroU32::MIN];

    async fn run(&mut self, lanes: NonZeroU32, round: usize, _: usize) -> Result<Measured, Failure> {
        let name = format!("bench-lanes-{lanes}-{round}");
        let (cluster, options, _) = self.surroundings.new_route(&name, lanes).await?;
        self.surroundings.relay(cluster, options, &self.store, self.events).await
    }
}
