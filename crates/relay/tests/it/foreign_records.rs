//! What others wrote, in the route's topic or in its streams.

use std::time::Duration;

use aqueduct_relay::header;
use rdkafka::config::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};

use crate::support::{FOREIGN, World, shared_stack};

/// The relay resumes after records of another producer, however many there are.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_of_another_producer_are_skipped_at_the_start() {
    let world = World::new(shared_stack().await).await;
    world.append_notes(20, 100).await;
    let relay = world.start();
    world.assert_complete(100).await;
    relay.stop().await;

    let producer: BaseProducer =
        ClientConfig::new().set("bootstrap.servers", &world.cluster.brokers).create().unwrap();
    // One in the first partition, more than a window of the search in the others.
    for (partition, count) in [(0, 1), (1, 100), (2, 1_500), (3, 70)] {
        for _ in 0..count {
            let record = BaseRecord::to(world.topic()).partition(partition).key(FOREIGN).payload("{}");
            producer.send(record).map_err(|(error, _)| error).unwrap();
        }
    }
    producer.flush(Duration::from_secs(60)).unwrap();

    for round in 2..=3 {
        world.append_notes(20, 100).await;
        let mut relay = world.start();
        world.assert_complete(100 * round).await;
        relay.ready().await;
        relay.stop().await;
    }
}

/// A link event is not relayed, so it is not the previous record either, whether or not the lane
/// remembers the stream.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_is_not_the_previous_record() {
    let world = World::new(shared_stack().await).await;
    let mut relay = world.start();
    let note = r#"{"text":"x","colour":"red"}"#;
    for event_type in ["$>", "Noted", "$>", "$>", "Noted"] {
        world.append("note-1", event_type, 2, note).await;
    }
    world.records(2).await;
    relay.stop().await;
    world.append("note-1", "$>", 2, note).await;
    relay = world.start();
    world.append("note-1", "Noted", 2, note).await;

    let records = world.records(3).await;
    let previous = records.iter().map(|it| (it.revision(), &*it.headers[header::PREVIOUS_REVISION]));
    assert_eq!(previous.collect::<Vec<_>>(), [(1, "-1"), (4, "1"), (6, "4")]);
    relay.stop().await;
}
