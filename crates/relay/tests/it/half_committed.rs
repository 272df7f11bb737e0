//! Transactions that Kafka committed in some partitions only, because it lost the end marker of the others (see
//! `hanging_transactions`). Here the markers are cut off the logs of a broker that was killed.

use std::fs::{self, File};
use std::path::Path;
use std::time::Duration;

use aqueduct_devstack::DevStack;
use rdkafka::producer::{BaseRecord, Producer as _};

use crate::hanging_transactions::open_producer;
use crate::support::{World, own_stack};

/// Offsets of two fields of a batch of records, from the batch's first byte, and the length of what comes before the
/// bytes that the first one counts (<https://kafka.apache.org/documentation/#recordbatch>).
const LENGTH: usize = 8;
const BEFORE_COUNTED: usize = 12;
const ATTRIBUTES: usize = 21;
/// The attribute of a batch that is a marker.
const IS_CONTROL: u16 = 0x20;

/// Cuts a partition's log before its last marker.
fn cut_last_marker(data: &Path, topic: &str, partition: u32) {
    let path = data.join(format!("kafka/data/{topic}-{partition}/00000000000000000000.log"));
    let log = fs::read(&path).unwrap();
    let (mut start, mut marker) = (0, None);
    while start + BEFORE_COUNTED < log.len() {
        let length = u32::from_be_bytes(log[start + LENGTH..start + BEFORE_COUNTED].try_into().unwrap());
        let attributes = start + ATTRIBUTES;
        let attributes = u16::from_be_bytes(log[attributes..attributes + 2].try_into().unwrap());
        if attributes & IS_CONTROL != 0 {
            marker = Some(start);
        }
        start += BEFORE_COUNTED + length as usize;
    }
    let marker = marker.expect("a transaction ended in this partition");
    File::options().write(true).open(path).unwrap().set_len(marker as u64).unwrap();
}

/// Relays twenty events in one transaction, in all four partitions.
async fn relay_one_transaction(stack: &DevStack) -> World {
    let world = World::new(stack).await;
    let relay = world.start();
    world.append_notes(20, 100).await;
    world.assert_complete(100).await;
    relay.stop().await;

    let before = world.checkpoints(1).await.len();
    world.append_notes(20, 20).await;
    let mut options = world.options.clone();
    options.linger_ms = 1_000;
    let relay = world.start_with(options);
    world.assert_complete(120).await;
    relay.stop().await;
    let checkpoints = world.checkpoints(before + 1).await;
    let [.., earlier, last] = &checkpoints[..] else { panic!("{checkpoints:?}") };
    for partition in ["0", "1", "2", "3"] {
        assert_ne!(earlier["last"][partition], last["last"][partition], "partition {partition}");
    }
    world
}

/// Aborts what is open in partitions, as a lane does that ends before it has written it again.
fn abort(world: &World, partitions: &[u32]) {
    let id = world.options.routes[0].transactional_id(&world.cluster.prefix, 0);
    let producer = open_producer(world, &id);
    producer.begin_transaction().unwrap();
    for partition in partitions {
        let record = BaseRecord::to(world.topic()).partition(*partition as i32).key("aborted").payload("");
        producer.send(record).map_err(|(error, _)| error).unwrap();
    }
    producer.flush(Duration::from_secs(60)).unwrap();
    producer.abort_transaction(Duration::from_secs(60)).unwrap();
}

/// Promises: nothing is lost (1), nothing is doubled (2), whichever partitions of a committed transaction lost its marker.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_committed_in_part_is_committed() {
    complete(|_, _| {}).await;
}

/// The same where the lane was killed between its two transactions.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_committed_in_part_and_then_aborted_is_committed() {
    complete(abort).await;
}

/// `interrupted` is what happened before the lane starts.
async fn complete(interrupted: fn(&World, &[u32])) {
    let stack = own_stack().await;
    let mut worlds = Vec::new();
    for (checkpoint, partitions) in
        [(true, &[][..]), (true, &[1]), (true, &[0, 2, 3]), (false, &[1]), (false, &[0, 1, 2, 3])]
    {
        worlds.push((relay_one_transaction(&stack).await, checkpoint, partitions));
    }
    stack.kafka().unwrap().kill().await;
    for (world, checkpoint, partitions) in &worlds {
        if *checkpoint {
            let topic = world.options.routes[0].checkpoint_topic(&world.cluster.prefix);
            cut_last_marker(stack.data_dir(), &topic, 0);
        }
        for partition in *partitions {
            cut_last_marker(stack.data_dir(), world.topic(), *partition);
        }
    }
    stack.kafka().unwrap().start().await.unwrap();
    for (world, _, partitions) in &worlds {
        interrupted(world, partitions);
        world.append_notes(20, 20).await;
        let mut relay = world.start();
        world.assert_complete(140).await;
        relay.ready().await;
        relay.stop().await;
    }
    stack.shutdown().await;
}
