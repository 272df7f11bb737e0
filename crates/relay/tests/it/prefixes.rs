//! Checkpoint topics and the prefix. Until version 0.1 all systems on a cluster shared
//! `aqueduct.checkpoint.<route>`; the default prefix still uses that name.

use std::collections::BTreeMap;
use std::time::Duration;

use aqueduct_relay::{create_topics, header};
use rdkafka::config::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use serde_json::json;

use crate::faults::expect_refusal;
use crate::support::{Seen, World, shared_stack};

/// A system with the default prefix, so with the checkpoint topic of version 0.1, that has relayed `count` events.
async fn system_of_version_0_1(count: usize) -> World {
    let mut world = World::new(shared_stack().await).await;
    world.append_notes(8, count).await;
    let relay = world.start();
    let records = world.assert_complete(count).await;
    relay.stop().await;
    world.cluster.prefix = "aqueduct".to_owned();
    create_topics(&world.cluster, &world.options).await.unwrap();

    let position = |record: &Seen| record.headers[header::POSITION].parse().unwrap();
    let last: BTreeMap<i32, u64> = records.iter().map(|it| (it.partition, position(it))).collect();
    let json = json!({
        "version": 1, "position": last.values().max(), "route": world.route(), "lane": 0, "lanes": 1, "partitions": 4,
        "rule": "sha256:e98d6985db99525943f596e1db257b70a161c3a6ad1ced79adf3582730f2de22",
        "met": {"Noted": [2]}, "last": last,
    });
    let topic = world.options.routes[0].checkpoint_topic("aqueduct");
    let producer: BaseProducer =
        ClientConfig::new().set("bootstrap.servers", &world.cluster.brokers).create().unwrap();
    let json = json.to_string();
    let record = BaseRecord::to(&topic).partition(0).key("checkpoint").payload(&json);
    producer.send(record).map_err(|(error, _)| error).unwrap();
    producer.flush(Duration::from_secs(60)).unwrap();
    world
}

/// Two systems on one cluster have different prefixes and a route of the same name.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn systems_with_different_prefixes_can_use_the_same_route_name() {
    let first = system_of_version_0_1(50).await;
    let mut second = World::new(shared_stack().await).await;
    second.options.routes[0].name = first.route().to_owned();
    create_topics(&second.cluster, &second.options).await.unwrap();
    second.append_notes(8, 30).await;

    let relays = [first.start(), second.start()];
    second.assert_complete(30).await;
    first.append_notes(8, 50).await;
    first.assert_complete(100).await;
    for mut relay in relays {
        relay.ready().await;
        relay.stop().await;
    }
}

/// A checkpoint that agrees with the topic is taken over, and written to the topic with the prefix first.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_checkpoint_of_version_0_1_is_adopted() {
    let mut world = system_of_version_0_1(100).await;
    let mut old = world.checkpoints(1).await.pop().unwrap();
    world.cluster.prefix = world.topic().to_owned();
    create_topics(&world.cluster, &world.options).await.unwrap();
    world.append_notes(8, 100).await;

    let relay = world.start();
    world.assert_complete(200).await;
    relay.stop().await;
    let new = world.checkpoints(2).await;
    old["version"] = json!(2);
    assert_eq!(new[0], old);
    assert!(new[1]["position"].as_u64() > old["position"].as_u64(), "{new:?}");
}

/// A checkpoint of another system is refused where there are records, and ignored where there are none.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_checkpoint_that_does_not_agree_is_not_adopted() {
    let first = system_of_version_0_1(100).await;
    let mut second = World::new(shared_stack().await).await;
    second.append_notes(8, 30).await;
    let relay = second.start();
    second.assert_complete(30).await;
    relay.stop().await;

    second.options.routes[0].name = first.route().to_owned();
    second.cluster.prefix += ".renamed";
    create_topics(&second.cluster, &second.options).await.unwrap();
    expect_refusal(&second, &second.options, "cannot be adopted").await;

    second.options.routes[0].topic += ".empty";
    create_topics(&second.cluster, &second.options).await.unwrap();
    second.publish(&["Noted"]).await;
    let relay = second.start();
    second.assert_complete(30).await;
    relay.stop().await;
    assert_ne!(second.checkpoints(1).await[0]["position"], json!(99));
}
