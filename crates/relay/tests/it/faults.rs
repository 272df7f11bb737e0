//! Faults. The numbers of the guarantees are those of `crates/aqueduct/docs/guarantees.md`.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use aqueduct_core::ExpectedRevision::Any;
use aqueduct_core::testing::{Call, ScriptedStore};
use aqueduct_core::{EventStore as _, NewEvent};
use aqueduct_relay::{
    HeaderBlock, LaneState, Options, Record, Status, TransactionalProducer, create_topics, header,
};
use bytes::Bytes;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;

use crate::support::{Running, World, own_stack, shared_stack};

/// Waits until the route's lane is halted for a reason that holds all the parts. (A topic that was just created
/// may halt it for another reason before, as the broker does not know of it yet.)
pub(crate) async fn halted(relay: &mut Running, route: &str, parts: &[&str]) {
    let expected = |status: &Status| match status.lane(route, 0) {
        LaneState::Halted { problem } => parts.iter().all(|part| problem.contains(part)),
        _ => false,
    };
    relay.until(&format!("halted: {parts:?}"), expected).await;
}

/// Guarantees 1 and 2: an instance vanishes in the middle of its work; another takes over and completes it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_instance_takes_over() {
    let mut world = World::new(shared_stack().await).await;
    world.options.batch_records = 50.try_into().unwrap();
    let mut first = world.start();
    first.ready().await;
    let mut second = world.start();
    second.ready().await;
    world.append_notes(20, 3000).await;
    world.records(100).await;

    first.abort().await;

    world.append_notes(20, 1000).await;
    world.assert_complete(4000).await;
    second.until("the second has the lane", |status| is_running(status, &world)).await;
    second.stop().await;
}

fn is_running(status: &Status, world: &World) -> bool {
    status.lane(world.route(), 0) == LaneState::Running
}

/// Guarantees 2 and 3: two instances share two lanes while events come; one leaves, and the other has both.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn instances_share_the_lanes() {
    let mut world = World::new(shared_stack().await).await;
    world.options.lanes = NonZeroU32::new(2).unwrap();
    world.options.routes[0].name += ".shared";
    world.options.routes[0].topic += ".shared";
    create_topics(&world.cluster, &world.options).await.unwrap();
    world.publish(&["Noted"]).await;
    let running = |status: &Status| {
        let lanes = [0, 1].map(|lane| status.lane(world.route(), lane) == LaneState::Running);
        lanes.into_iter().filter(|running| *running).count()
    };
    let mut first = world.start();
    first.until("both lanes", |status| running(status) == 2).await;
    world.append_notes(20, 500).await;
    let mut second = world.start();
    second.until("a lane of its own", |status| running(status) == 1).await;
    first.until("the other lane", |status| running(status) == 1).await;
    world.append_notes(20, 500).await;
    world.assert_complete(1000).await;

    first.stop().await;
    world.append_notes(20, 500).await;
    second.until("both lanes", |status| running(status) == 2).await;
    world.assert_complete(1500).await;
    second.stop().await;
}

/// Guarantees 1 and 2: another producer takes the lane's transactional id away. The relay stops writing, joins
/// the group again, and continues without loss or repetition.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fenced_relay_joins_again() {
    let world = World::new(shared_stack().await).await;
    let mut relay = world.start();
    world.append_notes(5, 200).await;
    world.assert_complete(200).await;

    let (cluster, options) = (world.cluster.clone(), world.options.clone());
    let id = options.routes[0].transactional_id(&cluster.prefix, 0);
    let second_producer =
        tokio::task::spawn_blocking(move || TransactionalProducer::open(&cluster, &options, &id, &[]))
            .await
            .unwrap()
            .unwrap();
    world.append_notes(5, 200).await;

    world.assert_complete(400).await;
    relay.ready().await;
    relay.stop().await;
    drop(second_producer);
}

/// Guarantee 2: an instance that was taken for dead continues to write. Its records never become visible.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_zombie_is_fenced() {
    let world = World::new(shared_stack().await).await;
    let (cluster, options) = (world.cluster.clone(), world.options.clone());
    let id = options.routes[0].transactional_id(&cluster.prefix, 0);
    let mut zombie =
        tokio::task::spawn_blocking(move || TransactionalProducer::open(&cluster, &options, &id, &[]))
            .await
            .unwrap()
            .unwrap();
    world.append_notes(5, 100).await;
    let relay = world.start();
    world.assert_complete(100).await;

    let record = Record {
        topic: world.topic().into(),
        partition: 0,
        key: Bytes::from_static(b"note-0"),
        value: Some(Bytes::from_static(b"from the grave")),
        headers: HeaderBlock::default(),
    };
    let written = tokio::task::spawn_blocking(move || zombie.commit_batch([record])).await.unwrap();

    assert!(written.unwrap_err().fenced);
    world.append_notes(5, 100).await;
    let records = world.assert_complete(200).await;
    assert!(records.iter().all(|it| it.value != b"from the grave"));
    relay.stop().await;
}

/// Guarantee 7: a schema that is not registered halts the lane, visibly, and nothing is skipped. Once it is
/// published the lane resumes automatically.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unregistered_schema_halts_and_heals() {
    let world = World::unpublished(shared_stack().await).await;
    world.publish(&["Noted"]).await;
    world.append_notes(1, 3).await;
    world.append("note-0", "Closed", 1, r#"{"reason":"done"}"#).await;
    world.append_notes(1, 3).await;
    let mut relay = world.start();

    let parts = ["event 3@note-0", "Closed", "not registered", "aqueduct schemas publish"];
    halted(&mut relay, world.route(), &parts).await;
    assert!(relay.status.not_ready().contains_key(&format!("{}/0", world.route())));
    world.records(3).await;

    world.publish(&["Closed"]).await;
    let records = world.assert_complete(7).await;
    assert_eq!(records[3].headers[header::TYPE], "test.notes.Closed");
    relay.ready().await;
    relay.stop().await;
}

/// Guarantee 7: an event that cannot be relayed halts its lane and is named; what came before it is in the
/// topic, what comes after is not. Other routes continue.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_event_halts_its_lane_only() {
    let stack = shared_stack().await;
    for (event_type, data, metadata, expected) in [
        (
            "Noted",
            r#"{"text":"x"}"#,
            r#"{"schemaVersion":"two"}"#,
            "the schema version at metadata:/schemaVersion",
        ),
        ("Noted", r#"{"text":7}"#, &*crate::support::metadata(1), "text"),
        ("Unheard", "{}", &*crate::support::metadata(1), "Unheard"),
    ] {
        let mut world = World::new(stack).await;
        let mut other = world.options.routes[0].clone();
        other.name += ".other";
        other.topic += ".other";
        other.categories = ["memo".to_owned()].into();
        world.options.routes.push(other.clone());
        create_topics(&world.cluster, &world.options).await.unwrap();
        world.publish(&["Noted"]).await;
        world.append_notes(1, 2).await;
        world.append_with("note-0", event_type, data, metadata).await;
        world.append_notes(1, 2).await;
        let mut relay = world.start();

        halted(&mut relay, world.route(), &["event 2@note-0", expected]).await;
        assert_eq!(world.records(2).await.len(), 2);

        let route = world.options.routes.remove(0);
        world.append("memo-1", "Noted", 1, r#"{"text":"x"}"#).await;
        world.assert_complete(1).await;
        halted(&mut relay, &route.name, &[expected]).await;
        relay.stop().await;
    }
}

/// Guarantees 1, 2 and 3: the broker dies in mid-run, twice, while events keep coming.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_restart_loses_and_duplicates_nothing() {
    let stack = own_stack().await;
    let mut world = World::new(&stack).await;
    world.options.batch_records = 20.try_into().unwrap();
    let mut relay = world.start();
    let mut count = 0;
    for _ in 0..2 {
        world.append_notes(20, 2000).await;
        count += 2000;
        world.records(count - 1900).await;
        stack.kafka().unwrap().kill().await;
        world.append_notes(20, 500).await;
        count += 500;
        stack.kafka().unwrap().start().await.unwrap();
        world.assert_complete(count).await;
    }
    relay.ready().await;
    relay.stop().await;
    stack.shutdown().await;
}

/// Guarantees 2 and 4: a checkpoint that does not agree with the topic, or the store, is refused, whichever of
/// them was lost. The relay neither goes back nor jumps.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_checkpoint_that_does_not_agree_is_refused() {
    let mut world = World::new(shared_stack().await).await;
    world.append_notes(8, 100).await;
    let relay = world.start();
    world.assert_complete(100).await;
    relay.stop().await;

    // Another route on the same topic, or the checkpoint topic lost: there is no checkpoint.
    let mut lost = world.options.clone();
    lost.routes[0].name += ".lost";
    create_topics(&world.cluster, &lost).await.unwrap();
    expect_refusal(&world, &lost, "is ahead of the checkpoint").await;

    // The source renamed too: the records are not the relay's own.
    let source = std::mem::replace(&mut world.cluster.source, "renamed".to_owned());
    expect_refusal(&world, &lost, &format!("source {source}, and lane 0 has the source renamed")).await;
    world.cluster.source = source;

    // Other categories, and so another rule.
    let mut changed = world.options.clone();
    changed.routes[0].categories.insert("memo".to_owned());
    expect_refusal(&world, &changed, "have changed since the lane's first record").await;

    // Another store.
    let store = std::mem::take(&mut world.store);
    expect_refusal(&world, &world.options, "the store is empty").await;
    world.store = store;

    // The topic created again, without its records.
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", &world.cluster.brokers).create().unwrap();
    admin.delete_topics(&[world.topic()], &AdminOptions::new()).await.unwrap()[0].as_ref().unwrap();
    let recreated = async {
        while create_topics(&world.cluster, &world.options).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), recreated).await.unwrap();
    expect_refusal(&world, &world.options, "which the checkpoint of lane").await;
}

pub(crate) async fn expect_refusal(world: &World, options: &Options, expected: &str) {
    let mut relay = world.start_with(options.clone());
    halted(&mut relay, &options.routes[0].name, &[expected]).await;
    relay.stop().await;
}

/// Guarantee 1: a topic that is missing, or not as configured, halts the lane and says what to do.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_topic_is_waited_for() {
    let mut world = World::new(shared_stack().await).await;
    world.options.routes[0].name += ".late";
    world.options.routes[0].topic += ".late";
    world.publish(&["Noted"]).await;
    world.append_notes(2, 10).await;
    let route = world.route().to_owned();
    let mut relay = world.start();
    relay
        .until("the group fails", |status| {
            status
                .not_ready()
                .get(&route)
                .is_some_and(|problem| problem.contains("does not exist: run `aqueduct setup`"))
        })
        .await;

    create_topics(&world.cluster, &world.options).await.unwrap();
    world.assert_complete(10).await;
    relay.stop().await;

    let mut other = world.options.clone();
    other.routes[0].partitions = NonZeroU32::new(8).unwrap();
    expect_refusal(&world, &other, "has 4 partitions, 8 are configured").await;
    let error = create_topics(&world.cluster, &other).await.unwrap_err().to_string();
    assert!(error.contains("has 4 partitions, 8 are configured"), "{error}");
}

/// Guarantee 7: an idle lane moves its checkpoint past what is not its own, so that a restart need not read it
/// again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_lane_writes_a_checkpoint() {
    let world = World::new(shared_stack().await).await;
    let event = NewEvent {
        id: uuid::Uuid::new_v4(),
        event_type: "Noted".to_owned(),
        data: Bytes::new(),
        metadata: Bytes::new(),
    };
    let appended = world.store.append(&"memo-1".into(), Any, &[event]).await.unwrap();
    let relay = world.start();
    let checkpoint = world.checkpoints(1).await.pop().unwrap();
    assert_eq!(checkpoint["position"], appended.position.commit);
    assert_eq!(checkpoint["last"], serde_json::json!({}));
    relay.stop().await;
}

/// Guarantee 1: a panic in a lane's reading side is a fault like another: shown, and tried again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lane_that_panics_restarts() {
    let world = World::new(shared_stack().await).await;
    world.append_notes(5, 50).await;
    let broken = Arc::new(AtomicBool::new(true));
    let store = {
        let broken = Arc::clone(&broken);
        ScriptedStore::new(world.store.clone()).before(move |call| match call {
            Call::LastPosition | Call::SubscribeAll if broken.load(Ordering::Relaxed) => panic!("scripted"),
            _ => Ok(()),
        })
    };
    let mut relay = world.start_on(Arc::new(store), world.options.clone());
    let panicked = |status: &Status| match status.lane(world.route(), 0) {
        LaneState::Retrying { problem } => problem.contains("panicked"),
        _ => false,
    };
    relay.until("the panic is shown", panicked).await;

    broken.store(false, Ordering::Relaxed);
    world.assert_complete(50).await;
    relay.ready().await;
    relay.stop().await;
}

/// Guarantee 7: what Kafka refuses permanently halts the lane, which reports it. A topic that the relay creates
/// takes what the options allow.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_too_large_for_its_topic_halts_the_lane() {
    let mut world = World::new(shared_stack().await).await;
    world.options.max_record_bytes = (3 << 20).try_into().unwrap();
    let data = serde_json::json!({"text": "x".repeat(2 << 20), "colour": "red"}).to_string();
    world.append("note-0", "Noted", 2, &data).await;
    // The topic was created for records of a megabyte.
    let mut relay = world.start();
    halted(&mut relay, world.route(), &["MessageSizeTooLarge"]).await;
    relay.stop().await;

    world.options.routes[0].name += ".large";
    world.options.routes[0].topic += ".large";
    create_topics(&world.cluster, &world.options).await.unwrap();
    world.publish(&["Noted"]).await;
    let relay = world.start();
    world.assert_complete(1).await;
    relay.stop().await;
}
