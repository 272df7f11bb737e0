//! The relay at work in this process, and what it wrote.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use aqueduct::Configuration;
use aqueduct_core::Position;
use aqueduct_devstack::DevStack;
use aqueduct_kafka::Cluster;
use aqueduct_relay::{Checkpoint, HeaderBlock, Options, Relay, Route, create_topics, header};
use aqueduct_schema::{Registry, RegistryOptions, SchemaSet, TopicEvents, publish};
use bytes::Bytes;
use rdkafka::message::{BorrowedMessage, Headers as _, Message as _};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::cpu;
use super::measured::{Measured, Moment};
use super::observer::{Observer, Stalled};
use super::stopwatch::Stopwatch;
use super::thread;
use crate::Failure;
use crate::configuration::Addresses;

const PARTITIONS: NonZeroU32 = NonZeroU32::MIN.saturating_add(3);

/// Servers and configuration that all comparisons share.
pub(super) struct Surroundings {
    pub(super) addresses: Addresses,
    pub(super) schemas: Arc<SchemaSet>,
    pub(super) registry: RegistryOptions,
    cluster: Cluster,
    /// As configured, without a route.
    relay: Options,
    /// Kafka's process.
    kafka: Option<u32>,
}

impl Surroundings {
    pub(super) async fn new(stack: &DevStack, configuration: &Configuration) -> Result<Self, Failure> {
        let addresses = Addresses {
            eventstore: stack.event_store_url()?.to_owned(),
            brokers: stack.kafka_bootstrap()?.to_owned(),
            registry: stack.registry_url()?.to_owned(),
            postgres: stack.postgres_url()?.to_owned(),
        };
        Ok(Self {
            schemas: Arc::new(SchemaSet::load(&configuration.schemas.directory)?),
            registry: RegistryOptions::new(&addresses.registry),
            cluster: addresses.configure(configuration).cluster()?,
            relay: configuration.relay_options(),
            kafka: stack.kafka()?.pid().await,
            addresses,
        })
    }

    /// A route of this name to a new topic of this name. It carries orders and stock.
    pub(super) async fn new_route(
        &self,
        name: &str,
        lanes: NonZeroU32,
    ) -> Result<(Cluster, Options, Route), Failure> {
        let route =
            Route { partitions: PARTITIONS, ..Route::of_categories(name, name, ["order", "inventory"]) };
        let cluster = Cluster { prefix: name.to_owned(), ..self.cluster.clone() };
        let options = Options { routes: vec![route.clone()], lanes, ..self.relay.clone() };
        create_topics(&cluster, &options).await?;
        let carried =
            self.schemas.events().filter(|event| ["orders", "inventory"].contains(&event.context()));
        let event_types = carried.map(|event| event.event_type().to_owned()).collect();
        let events = TopicEvents { topic: name.to_owned(), event_types };
        publish(&self.schemas, &Registry::new(&self.registry)?, &[events]).await?;
        Ok((cluster, options, route))
    }

    /// Begins to watch a route's topic, which is still empty, for so many records.
    pub(super) async fn watch(&self, route: &Route, records: usize) -> Result<Watch, Failure> {
        let observer = Observer::new(&self.addresses.brokers, &route.topic, route.partitions.get())?;
        let standing_by = thread::spawn("observer", move || observer.stand_by().map(|()| observer))?;
        let observer = standing_by.await??;
        Ok(Watch(thread::spawn("observer", move || observer.count(records))?))
    }

    /// Runs a relay on an empty route until a read_committed observer has seen a record of each of the store's
    /// `events`. Returns what that took from the moment the relay subscribed to the store for the first time.
    pub(super) async fn relay(
        &self,
        cluster: Cluster,
        options: Options,
        store: &Stopwatch,
        events: usize,
    ) -> Result<Measured, Failure> {
        let watch = self.watch(&options.routes[0], events).await?;
        let registry = Registry::new(&self.registry)?;
        store.reset();
        let kafka = self.kafka_cpu();
        let relay = Relay::new(cluster, options, store.store(), Arc::clone(&self.schemas), registry)?;
        let shutdown = CancellationToken::new();
        let running = tokio::spawn(relay.run(shutdown.clone()));
        let seen = watch.all_seen().await;
        let measured = store.until(seen?, events)?.with_server(kafka, self.kafka_cpu());
        shutdown.cancel();
        running.await??;
        Ok(measured)
    }

    /// CPU time of Kafka.
    pub(super) fn kafka_cpu(&self) -> Option<Duration> {
        self.kafka.and_then(cpu::of_server)
    }

    /// The records of a topic that a relay has filled, in the order of `$all`.
    pub(super) async fn written(&self, route: &Route, records: usize) -> Result<Vec<Written>, Failure> {
        let observer = Observer::new(&self.addresses.brokers, &route.topic, route.partitions.get())?;
        let reading = thread::spawn("reader", move || {
            let mut written = Vec::with_capacity(records);
            observer.read(|message| {
                written.extend(Written::read(message));
                written.len() == records
            })?;
            written.sort_by_key(|record| record.position);
            Ok::<_, Stalled>(written)
        })?;
        Ok(reading.await??)
    }

    /// The checkpoints of a route up to the one of the store's last event: one a transaction.
    pub(super) async fn checkpoints(
        &self,
        prefix: &str,
        route: &Route,
        last: Position,
    ) -> Result<Vec<(Position, Bytes)>, Failure> {
        let observer = Observer::new(&self.addresses.brokers, &route.checkpoint_topic(prefix), 1)?;
        let reading = thread::spawn("reader", move || {
            let mut checkpoints: Vec<(Position, Bytes)> = Vec::new();
            observer.read(|message| {
                let value = message.payload().unwrap_or_default();
                if let Ok(Checkpoint { position, .. }) = serde_json::from_slice(value) {
                    checkpoints.push((position, Bytes::copy_from_slice(value)));
                }
                checkpoints.last().is_some_and(|(position, _)| *position >= last)
            })?;
            Ok::<_, Stalled>(checkpoints)
        })?;
        Ok(reading.await??)
    }
}

/// A record as the relay wrote it.
#[derive(Debug, Clone)]
pub(super) struct Written {
    /// Commit position of its event in `$all`.
    pub(super) position: u64,
    pub(super) partition: i32,
    pub(super) key: Bytes,
    pub(super) value: Bytes,
    pub(super) headers: HeaderBlock,
}

impl Written {
    fn read(message: &BorrowedMessage<'_>) -> Option<Self> {
        let headers = message.headers()?;
        let position = headers.iter().find(|it| it.key == header::POSITION)?.value?;
        Some(Self {
            position: std::str::from_utf8(position).ok()?.parse().ok()?,
            partition: message.partition(),
            key: Bytes::copy_from_slice(message.key()?),
            value: Bytes::copy_from_slice(message.payload()?),
            headers: HeaderBlock::of(headers.iter().map(|it| (it.key, it.value.unwrap_or_default()))),
        })
    }
}

/// An observer at work.
pub(super) struct Watch(oneshot::Receiver<Result<Moment, Stalled>>);

impl Watch {
    /// When the last record was seen.
    pub(super) async fn all_seen(self) -> Result<Moment, Failure> {
        Ok(self.0.await??)
    }
}
