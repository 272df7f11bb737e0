//! Events of the store to records: all that a lane does for an event before its batch is sent.
//!
//!     cargo bench -p aqueduct-relay

#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on should say where")]

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;

use aqueduct_core::{MemoryStore, Position, RecordedEvent};
use aqueduct_devstack::{DevStack, Options as StackOptions, Part};
use aqueduct_kafka::Cluster;
use aqueduct_relay::{Options, RecordBench, RecordLane, Route};
use aqueduct_schema::{Registry, RegistryOptions, SchemaSet, TopicEvents, publish};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use serde_json::json;
use tokio::runtime::Runtime;

const EVENTS: u64 = 1_000;
const STREAMS: u64 = 100;
const DATA: &[u8] = br#"{"sku":"85123A","orderId":"536365","quantity":6}"#;
const TOPIC: &str = "shop.inventory";

/// As the sample shop writes them.
fn event(n: u64) -> RecordedEvent {
    let stream = format!("inventory-{}", 20_000 + n % STREAMS);
    let metadata = json!({
        "schemaVersion": 1, "aggregateType": "inventory", "aggregateId": &stream[10..],
        "timestamp": "2010-12-01T08:26:00.123456789Z",
        "$correlationId": "c70b8a1e-1d9c-4f5a-9a4e-3f1f5b6f7a01",
        "$causationId": "c70b8a1e-1d9c-4f5a-9a4e-3f1f5b6f7a02",
        "commandId": "c70b8a1e-1d9c-4f5a-9a4e-3f1f5b6f7a03",
        "traceparent": format!("00-4bf92f3577b34da6a3ce929d0e0e4736-{:016x}-01", n + 1),
    });
    RecordedEvent {
        stream: stream.into(),
        revision: n / STREAMS,
        position: Position::at(n + 1),
        id: uuid::Uuid::from_u128(u128::from(n)),
        event_type: "StockReserved".to_owned(),
        content_type: Default::default(),
        data: DATA.to_vec().into(),
        metadata: metadata.to_string().into(),
        created: Default::default(),
    }
}

fn record(criterion: &mut Criterion) {
    let runtime = Runtime::new().unwrap();
    let stack = StackOptions { registry: Part::start(), ..StackOptions::none() };
    let stack = runtime.block_on(DevStack::start(stack)).unwrap();
    let registry = Registry::new(&RegistryOptions::new(stack.registry_url().unwrap())).unwrap();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schemas");
    let schemas = Arc::new(SchemaSet::load(folder).unwrap());
    let event_types = schemas.events().filter(|event| event.context() == "inventory");
    let event_types = event_types.map(|event| event.event_type().to_owned()).collect();
    let topics = [TopicEvents { topic: TOPIC.to_owned(), event_types }];
    runtime.block_on(publish(&schemas, &registry, &topics)).unwrap();

    let route = Route::of_categories("stock", TOPIC, ["inventory"]);
    let options = Options { routes: vec![route], ..Options::default() };
    let store = Arc::new(MemoryStore::default());
    let bench = RecordBench::new(Cluster::default(), options, store, schemas, registry).unwrap();
    let events: Vec<_> = (0..EVENTS).map(event).collect();
    let records = runtime.block_on(bench.lane().records(&events)).unwrap();
    assert_eq!(records.len() as u64, EVENTS);

    let mut group = criterion.benchmark_group("records");
    group.throughput(Throughput::Elements(EVENTS));
    group.bench_function("made of 1,000 events", |bencher| {
        // A new lane each time: these are the first records of their streams.
        let make = |mut lane: RecordLane<'_>| runtime.block_on(lane.records(black_box(&events))).unwrap();
        bencher.iter_batched(|| bench.lane(), make, BatchSize::LargeInput);
    });
    group.finish();
    runtime.block_on(stack.shutdown());
}

criterion_group!(benches, record);
criterion_main!(benches);
