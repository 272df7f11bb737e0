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

pub(crate) fn open_producer(world: &World, transactional_id: &str) -> BaseProducer {
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", &world.cluster.brokers)
        .set("transactional.id", transactional_id)
        .set("linger.ms", "0")
        .create()
        .unwrap();
    producer.init_transactions(Duration::from_secs(60)).unwrap();
    producer
}

/// What is written in a transaction that stays open.
struct Open {
    /// Position of a record in each partition of the route's topic.
    position: u64,
    /// A checkpoint.
    checkpoint: Option<String>,
    /// Number of the batch of a tombstone in the topics of exceptions and parked events.
    batch: Option<u64>,
    /// A checkpoint that is committed after it.
    committed: Option<String>,
}

impl Open {
    fn at(position: u64) -> Self {
        Self { position, checkpoint: Some(GRAVE.to_owned()), batch: None, committed: None }
    }

    fn write(&self, world: &World, producer: &BaseProducer, source: &str) {
        producer.begin_transaction().unwrap();
        let position = self.position.to_string();
        for partition in 0..4 {
            let headers = OwnedHeaders::new()
                .insert(Header { key: header::POSITION, value: Some(position.as_str()) })
                .insert(Header { key: header::SOURCE, value: Some(source) });
            let record = BaseRecord::to(world.topic()).key("note-0").payload(GRAVE).headers(headers);
            producer.send(record.partition(partition)).map_err(|(error, _)| error).unwrap();
        }
        let (route, prefix) = (&world.options.routes[0], &world.cluster.prefix);
        let checkpoints = route.checkpoint_topic(prefix);
        if let Some(json) = &self.checkpoint {
            let record = BaseRecord::to(&checkpoints).partition(0).key("checkpoint").payload(json.as_str());
            producer.send(record).map_err(|(error, _)| error).unwrap();
        }
        if let Some(batch) = self.batch {
            let batch = batch.to_string();
            for topic in [route.exceptions_topic(prefix), route.parked_topic(prefix)] {
                let headers =
                    OwnedHeaders::new().insert(Header { key: "batch", value: Some(batch.as_str()) });
                let record: BaseRecord<'_, str, str> =
                    BaseRecord::to(&topic).partition(0).key("3@note-0").headers(headers);
                producer.send(record).map_err(|(error, _)| error).unwrap();
            }
        }
        producer.flush(Duration::from_secs(60)).unwrap();
        if let Some(json) = &self.committed {
            world.produce(&checkpoints, "checkpoint", Some(json));
        }
    }
}

/// Relays a hundred events; then the broker loses the end of a transaction of this lane that holds the event at
/// `position`.
async fn lose_an_end(stack: &DevStack, world: &World, position: u64) {
    lose_an_end_with(stack, world, |_| Open::at(position)).await;
}

/// The same, with a transaction that is made of the committed checkpoint.
async fn lose_an_end_with(stack: &DevStack, world: &World, open: impl Fn(serde_json::Value) -> Open) {
    let relay = world.start();
    world.append_notes(20, 100).await;
    world.assert_complete(100).await;
    relay.stop().await;

    let committed = world.checkpoints(1).await.pop().expect("a checkpoint");
    let id = world.options.routes[0].transactional_id(&world.cluster.prefix, 0);
    let producer = open_producer(world, &id);
    let before = coordinator_logs(stack.data_dir());
    open(committed).write(world, &producer, &world.cluster.source);
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

/// The next relay relays everything, and what was left open never becomes visible.
async fn assert_open_records_are_aborted(world: &World) {
    world.append_notes(20, 100).await;
    let relay = world.start();
    let records = world.assert_complete(200).await;
    assert!(records.iter().all(|it| it.value != GRAVE.as_bytes()));
    relay.stop().await;
}

/// Guarantee 2: what an earlier transaction left open is aborted, and not made visible by the next one's end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_broker_left_open_is_aborted() {
    let stack = own_stack().await;
    let world = World::new(&stack).await;
    lose_an_end(&stack, &world, 1_000_000).await;
    assert_open_records_are_aborted(&world).await;
    stack.shutdown().await;
}

/// Guarantee 1: what is left open below the checkpoint belongs to a transaction that was committed elsewhere.
/// Aborting it would lose events. It is not the checkpoint's own transaction, so the lane halts and reports it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_torn_transaction_halts_the_lane() {
    let stack = own_stack().await;
    let world = World::new(&stack).await;
    lose_an_end_with(&stack, &world, |mut checkpoint| {
        checkpoint["last"] = serde_json::json!({"0": 60, "1": 60, "2": 60, "3": 60});
        Open { checkpoint: None, committed: Some(checkpoint.to_string()), ..Open::at(50) }
    })
    .await;
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
    lose_an_end_with(&stack, &world, |checkpoint| Open {
        checkpoint: Some(checkpoint.to_string()),
        ..Open::at(50)
    })
    .await;
    assert_open_records_are_aborted(&world).await;
    stack.shutdown().await;
}

/// The same where Kafka has written the end marker to the checkpoint's partition, and to no other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replay_whose_abort_was_lost_in_part_is_aborted() {
    let stack = own_stack().await;
    let world = World::new(&stack).await;
    lose_an_end_with(&stack, &world, |checkpoint| {
        let batch = checkpoint["batch"].as_u64().unwrap() + 1;
        Open { checkpoint: None, batch: Some(batch), ..Open::at(50) }
    })
    .await;
    assert_open_records_are_aborted(&world).await;
    stack.shutdown().await;
}

/// Exceptions of a batch whose checkpoint is committed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn torn_exceptions_halt_the_lane() {
    halts_at_exceptions_of_the_committed_batch(|_| None).await;
}

/// The same where the end of the batch after it was lost too, in the checkpoint's partition: that batch was aborted,
/// the exceptions were not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn torn_exceptions_halt_the_lane_although_a_later_checkpoint_is_open() {
    halts_at_exceptions_of_the_committed_batch(|checkpoint| Some(checkpoint.to_string())).await;
}

async fn halts_at_exceptions_of_the_committed_batch(open: fn(&serde_json::Value) -> Option<String>) {
    let stack = own_stack().await;
    let world = World::new(&stack).await;
    lose_an_end_with(&stack, &world, |checkpoint| Open {
        checkpoint: open(&checkpoint),
        batch: checkpoint["batch"].as_u64(),
        ..Open::at(1_000_000)
    })
    .await;
    let mut relay = world.start();
    let topic = world.options.routes[0].exceptions_topic(&world.cluster.prefix);
    halted(&mut relay, world.route(), &[&topic, "lost the transaction's end marker"]).await;
    relay.stop().await;
    stack.shutdown().await;
}

/// Guarantee 7: somebody else's open transaction on the topic halts the lane, visibly, until it is over.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_producers_open_transaction_halts_the_lane() {
    let world = World::new(shared_stack().await).await;
    let stranger = open_producer(&world, &format!("{}.stranger", world.topic()));
    Open::at(1_000_000).write(&world, &stranger, "elsewhere");
    world.append_notes(20, 100).await;
    let mut relay = world.start();
    halted(&mut relay, world.route(), &["has an open transaction", "another producer wrote it"]).await;

    stranger.abort_transaction(Duration::from_secs(60)).unwrap();
    world.assert_complete(100).await;
    relay.ready().await;
    relay.stop().await;
}

/// Guarantee 2: somebody else's open transaction hides what the lane committed behind it. That is not lost, and not written
/// again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_another_producers_open_transaction_hides_is_not_written_again() {
    let world = World::new(shared_stack().await).await;
    let relay = world.start();
    world.append_notes(20, 100).await;
    world.assert_complete(100).await;
    let checkpoints = world.checkpoints(1).await.len();
    let stranger = open_producer(&world, &format!("{}.stranger", world.topic()));
    Open { checkpoint: None, ..Open::at(1_000_000) }.write(&world, &stranger, "elsewhere");
    world.append_notes(20, 20).await;
    world.checkpoints(checkpoints + 1).await;
    relay.stop().await;

    let mut relay = world.start();
    halted(&mut relay, world.route(), &["has an open transaction", "another producer wrote it"]).await;
    stranger.abort_transaction(Duration::from_secs(60)).unwrap();
    relay.ready().await;
    world.assert_complete(120).await;
    relay.stop().await;
}
