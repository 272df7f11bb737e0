//! From the event store to Kafka: the relay against a bare pump.

use std::num::NonZeroU32;
use std::sync::Arc;

use aqueduct::Configuration;
use aqueduct_core::{EventStore as _, Position, RecordedEvent};
use aqueduct_eventstore::EventStoreDb;
use bytes::Bytes;

use super::comparison::{Comparison, Side};
use super::measured::Measured;
use super::relayed::{Surroundings, Written};
use super::rounds::{Contest, interleaved};
use super::stopwatch::Stopwatch;
use super::{bare_pump, history};
use crate::Failure;
use crate::configuration::Demo;

/// Orders of the history: about 25,000 events, most of them inventory's answers.
const ORDERS: usize = 800;
/// How often the history is in the event store: with less than 100,000 events the first batches of a relay, which are not yet
/// full, and what Kafka does for a new topic would count.
const COPIES: usize = 5;

/// Appends the history that the relay reads. Returns its events.
pub(super) async fn append_history(
    surroundings: &Surroundings,
    configuration: &Configuration,
) -> Result<Vec<RecordedEvent>, Failure> {
    eprintln!("appending the history of {ORDERS} orders, {COPIES} times");
    let history = history::of_shop(&Demo::input(configuration)?, ORDERS, &surroundings.schemas).await?;
    history::repeat(&history, COPIES, |stream, copy| format!("{stream}.{copy}").as_str().into()).await?;
    let events = history::events(&history).await?;
    history::copy(&events, &event_store(surroundings)?).await?;
    Ok(events)
}

pub(super) fn event_store(surroundings: &Surroundings) -> Result<EventStoreDb, Failure> {
    Ok(EventStoreDb::new(aqueduct_eventstore::Options::new(&surroundings.addresses.eventstore))?)
}

/// `events` are those of the history in the event store.
pub(super) async fn measure(
    rounds: usize,
    surroundings: &Surroundings,
    events: &[RecordedEvent],
) -> Result<Comparison, Failure> {
    let store = event_store(surroundings)?;
    let last = store.last_position().await?.ok_or("the history is empty")?;

    let stored = events.iter().map(|event| event.data.len()).sum::<usize>();
    let mut old = 0;
    for event in events {
        let latest = surroundings.schemas.event(&event.event_type).map(|schemas| schemas.latest());
        old += usize::from(Some(event.parse_metadata()?.schema_version) != latest);
    }
    let events = events.len();
    let store = Stopwatch::new(Arc::new(store));
    let mut relay =
        AgainstPump { surroundings, store, events, last, written: Vec::new(), checkpoints: Vec::new() };
    let shown = interleaved("relay", rounds, &mut relay).await?;
    let bytes = relay.written.iter().map(|record| record.value.len()).sum::<usize>();
    Ok(Comparison {
        name: "relay",
        work: format!(
            "{events} events of the sample shop, {old} of them in an old version, on average {} bytes of JSON \
             and {} of Avro, from the event store, which is in this process and on disk, to Kafka: one lane, \
             four partitions, {} transactions in the last round. From the subscription to $all until a \
             read_committed reader in this process has seen all. Not charged: opening producer and topics. The \
             CPU time of this process includes the event store and the reader, which both sides share.",
            stored / events.max(1),
            bytes / events.max(1),
            relay.checkpoints.len()
        ),
        product: Side {
            name: "relay",
            includes:
                "reads, parses metadata, upcasts, encodes, makes headers, finds the previous revision, \
                       writes records and checkpoint"
                    .to_owned(),
        },
        baselines: vec![Side {
            name: "bare pump",
            includes:
                "the same subscription, an event read for each record; writes the same bytes, headers and \
                       checkpoints, which are encoded beforehand, in the same transactions"
                    .to_owned(),
        }],
        rounds: shown,
    })
}

struct AgainstPump<'a> {
    surroundings: &'a Surroundings,
    store: Stopwatch,
    events: usize,
    last: Position,
    /// What a relay makes of the history.
    written: Vec<Written>,
    /// How the last relay cut it into transactions.
    checkpoints: Vec<(Position, Bytes)>,
}

#[derive(Debug, Clone, Copy)]
enum Runner {
    Relay,
    Pump,
}

impl Contest for AgainstPump<'_> {
    type Side = Runner;
    const SIDES: &'static [Runner] = &[Runner::Relay, Runner::Pump];

    async fn run(&mut self, side: Runner, round: usize, _: usize) -> Result<Measured, Failure> {
        match side {
            Runner::Relay => self.relay(round).await,
            Runner::Pump => self.pump(round).await,
        }
    }
}

impl AgainstPump<'_> {
    async fn relay(&mut self, round: usize) -> Result<Measured, Failure> {
        let Self { surroundings, store, events, last, .. } = self;
        let (cluster, options, route) =
            surroundings.new_route(&format!("bench-relay-{round}"), NonZeroU32::MIN).await?;
        let prefix = cluster.prefix.clone();
        let measured = surroundings.relay(cluster, options, store, *events).await?;
        self.checkpoints = surroundings.checkpoints(&prefix, &route, *last).await?;
        if self.written.is_empty() {
            self.written = surroundings.written(&route, *events).await?;
        }
        Ok(measured)
    }

    async fn pump(&self, round: usize) -> Result<Measured, Failure> {
        let Self { surroundings, store, written, checkpoints, .. } = self;
        let (cluster, options, route) =
            surroundings.new_route(&format!("bench-pump-{round}"), NonZeroU32::MIN).await?;
        let transactions = bare_pump::transactions(&cluster.prefix, &route, written, checkpoints);
        bare_pump::run(surroundings, cluster, options, store, transactions).await
    }
}
