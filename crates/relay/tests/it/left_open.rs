//! Transactions that nobody ends. Kafka 4.3 makes them itself: a coordinator that finds a partition without a
//! leader while it ends a transaction takes the partition for deleted and skips it. That needs a broker that was
//! killed at the right moment and came back late; here the same is made for certain, by cutting the coordinator's
//! log back to where it knew nothing of the transaction.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

use aqueduct_devstack::DevStack;
use aqueduct_relay::header;
use rdkafka::config::ClientConfig;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};

use crate::faults::halted;
use crate::support::{World, own_stack, shared_stack};

const GRAVE: &str = "from the grave";

fn open_producer(world: &World, transactional_id: &str) -> BaseProducer {
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", &world.cluster.brokers)
        .set("transactional.id", transactional_id)
        .set("linger.ms", "0")
        .create()
        .unwrap();
    producer.init_transactions(Duration::from_secs(60)).unwrap();
    producer
}

/// Writes a record to each partition of the route and to its checkpoint topic, in a transaction that stays open.
fn write_open(world: &World, producer: &BaseProducer, source: &str, position: u64) {
    write_open_with(world, producer, source, position, GRAVE);
}

fn write_open_with(world: &World, producer: &BaseProducer, source: &str, position: u64, checkpoint: &str) {
    producer.begin_transaction().unwrap();
    let checkpoints = world.options.routes[0].checkpoint_topic(&world.cluster.prefix);
    let partitions = (0..4).map(|partition| (world.topic(), partition));
    for (topic, partition) in partitions.chain([(&*checkpoints, 0)]) {
        let (key, payload) =
            if topic == checkpoints { ("checkpoint", checkpoint) } else { ("note-0", GRAVE) };
        let position = position.to_string();
        let headers = OwnedHeaders::new()
            .insert(Header { key: header::POSITION, value: Some(position.as_str()) })
            .insert(Header { key: header::SOURCE, value: Some(source) });
        let record = BaseRecord::to(topic).partition(partition).key(key).payload(payload).headers(headers);
        producer.send(record).map_err(|(error, _)| error).unwrap();
    }
    producer.flush(Duration::from_secs(60)).unwrap();
}

/// Relays a hundred events; then the broker loses the end of a transaction of this lane that holds the event at
/// `position`.
async fn lose_an_end(stack: &DevStack, world: &World, position: u64) {
    lose_an_end_with(stack, world, position, |_| GRAVE.to_owned()).await;
}

/// The same, with a checkpoint in the transaction that is made of the committed one.
async fn lose_an_end_with(
    stack: &DevStack,
    world: &World,
    position: u64,
    checkpoint: impl Fn(&serde_json::Value) -> String,
) {
    let relay = world.start();
    world.append_notes(20, 100).await;
    world.assert_complete(100).await;
    relay.stop().await;

    let committed = world.checkpoints(1).await.pop().expect("a checkpoint");
    let id = world.options.routes[0].transactional_id(&world.cluster.prefix, 0);
    let producer = open_producer(world, &id);
    let before = coordinator_logs(stack.data_dir());
    write_open_with(world, &producer, &world.cluster.source, position, &checkpoint(&committed));
    stack.kafka().unwrap().kill().await;
    drop(producer);
    for (path, length) in before {
        File::options().write(true).open(path).unwrap().set_len(length).unwrap();
    }
    stack.kafka().unwrap().start().await.unwrap();
}

/// The segments of the transactions' topic, with their lengths.
fn coordinator_logs(data: &Path) -> Vec<(PathBuf, u64)> {
    let partitions = fs::read_dir(data.join("kafka/data")).unwrap().map(|it| it.unwrap().path());
    let partitions =
        partitions.filter(|it| it.file_name().unwrap().to_str().unwrap().starts_with("__transaction_state-"));
    let logs = partitions.map(|it| it.join("00000000000000000000.log"));
    let logs: Vec<_> = logs.map(|it| (it.clone(), fs::metadata(it).unwrap().len())).collect();
    assert!(logs.iter().any(|(_, length)| *length > 0), "the producer is in none of {logs:?}");
    logs
}

/// Guarantee 2: what an earlier transaction left open is aborted, and not made visible by the next one's end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_broker_left_open_is_aborted() {
    let stack = own_stack().await;
    let world = World::new(&stack).await;
    lose_an_end(&stack, &world, 1_000_000).await;
    world.append_notes(20, 100).await;
    let relay = world.start();
    let records = world.assert_complete(200).await;
    assert!(records.iter().all(|it| it.value != GRAVE.as_bytes()));
    relay.stop().await;
    stack.shutdown().await;
}

/// Guarantee 1: what is left open below the checkpoint belongs to a transaction that was committed elsewhere.
/// Aborting it would lose events, so the lane halts and reports it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_torn_transaction_halts_the_lane() {
    let stack = own_stack().await;
    let world = World::new(&stack).await;
    lose_an_end(&stack, &world, 50).await;
    let mut relay = world.start();
    halted(&mut relay, world.route(), &["lost its end marker", "the event at position 50"]).await;
    relay.stop().await;
    stack.shutdown().await;
}

/// A replay writes events from before the checkpoint. Nothing of its transaction was committed if its checkpoint was
/// not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replay_that_the_broker_left_open_is_aborted() {
    let stack = own_stack().await;
    let world = World::new(&stack).await;
    lose_an_end_with(&stack, &world, 50, ToString::to_string).await;
    world.append_notes(20, 100).await;
    let relay = world.start();
    let records = world.assert_complete(200).await;
    assert!(records.iter().all(|it| it.value != GRAVE.as_bytes()));
    relay.stop().await;
    stack.shutdown().await;
}

/// Guarantee 7: somebody else's open transaction on the topic halts the lane, visibly, until it is over.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_producers_open_transaction_halts_the_lane() {
    let world = World::new(shared_stack().await).await;
    let stranger = open_producer(&world, &format!("{}.stranger", world.topic()));
    write_open(&world, &stranger, "elsewhere", 1_000_000);
    world.append_notes(20, 100).await;
    let mut relay = world.start();
    halted(&mut relay, world.route(), &["has an open transaction", "another producer wrote it"]).await;

    stranger.abort_transaction(Duration::from_secs(60)).unwrap();
    world.assert_complete(100).await;
    relay.ready().await;
    relay.stop().await;
}
