//! Parked events whose records the topic of parked events has lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use aqueduct_core::testing::{Call, ScriptedStore};
use aqueduct_relay::OnBadEvent;
use aqueduct_relay::parked::{Action, RequestState, SentRequest};
use rdkafka::admin::{AdminOptions, NewTopic, TopicReplication};
use rdkafka::{Offset, TopicPartitionList};

use crate::exceptions_at_scale::append;
use crate::parked::{
    BAD, GOOD, admin, answer, answered, blocking, create_topic, delete_topic, fix, listed, of_stream,
    request, send, world,
};
use crate::support::World;

/// Reading the whole topic again for each of them would not end in time.
const MANY: usize = 3_000;

fn parked_topic(world: &World) -> String {
    world.options.routes[0].parked_topic(&world.cluster.prefix)
}

/// Makes the topic of parked events again, empty.
async fn lose_all(world: &World) {
    let topic = parked_topic(world);
    delete_topic(world, &topic).await;
    create_topic(world, &topic).await;
}

/// Makes the topic of parked events one from which records can be deleted.
async fn allow_deletion(world: &World) {
    let topic = parked_topic(world);
    delete_topic(world, &topic).await;
    let new = NewTopic::new(&topic, 1, TopicReplication::Fixed(1)).set("cleanup.policy", "compact,delete");
    let created = admin(world).create_topics([&new], &AdminOptions::new()).await.unwrap();
    created.into_iter().for_each(|it| drop(it.unwrap()));
}

/// Deletes the parked records before this one.
async fn lose_before(world: &World, event: &str, parked: usize) {
    let topic = parked_topic(world);
    let records = world.records_in(&topic, parked).await;
    let first_kept = records.iter().find(|it| it.key == event).unwrap();
    let mut deleted = TopicPartitionList::new();
    deleted.add_partition_offset(&topic, 0, Offset::Offset(first_kept.offset)).unwrap();
    let deleted = admin(world).delete_records(&deleted, &AdminOptions::new()).await.unwrap();
    deleted.elements().iter().for_each(|it| it.error().unwrap());
}

/// Parks 0@note-1 and the events behind it, of which 1@note-1 is stored as a reference. Then begins a replay, and stops
/// the relay when 0@note-1 is replayed and 1@note-1 cannot be read.
async fn interrupt_a_replay(world: &mut World, events: usize) -> SentRequest {
    world.options.max_record_bytes = 2_000.try_into().unwrap();
    let large = format!(r#"{{"text":"{}","colour":"red"}}"#, "x".repeat(5_000));
    for data in [BAD, &large].into_iter().chain(std::iter::repeat_n(GOOD, events - 2)) {
        world.append("note-1", "Noted", 2, data).await;
    }
    let relay = world.start();
    listed(world, events).await;
    relay.stop().await;
    fix(world).await;
    world.options.max_record_bytes = 10_000.try_into().unwrap();

    let store = ScriptedStore::new(world.store.clone()).before(|call| match call {
        Call::ReadStream(_) => Err(call.fails("unreachable")),
        _ => Ok(()),
    });
    let relay = world.start_on(Arc::new(store), world.options.clone());
    let sent = send(world, Action::Replay, of_stream("note-1")).await;
    let (sent, begun) = blocking(move || answered(sent, |it| it.replayed > 0)).await;
    assert_eq!((begun.state, begun.replayed), (RequestState::Running, 1));
    relay.stop().await;
    sent
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_lost_records_are_replaced_from_the_store() {
    let mut world = world(OnBadEvent::Park).await;
    append(&world, "note-1", BAD, 1).await;
    append(&world, "note-1", GOOD, MANY - 1).await;
    let relay = world.start();
    listed(&world, MANY).await;
    relay.stop().await;
    lose_all(&world).await;
    fix(&mut world).await;

    let relay = world.start();
    let done = request(&world, Action::Replay, of_stream("note-1")).await;
    assert_eq!(done, answer(RequestState::Done, MANY as u64, 0, 0));
    world.assert_complete(MANY).await;
    assert_eq!(listed(&world, 0).await, []);
    relay.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_records_behind_lost_ones_are_replayed_from_the_topic() {
    let mut world = world(OnBadEvent::Park).await;
    allow_deletion(&world).await;
    for data in [BAD, GOOD, GOOD, GOOD, GOOD] {
        world.append("note-1", "Noted", 2, data).await;
    }
    let relay = world.start();
    listed(&world, 5).await;
    relay.stop().await;
    lose_before(&world, "2@note-1", 5).await;
    fix(&mut world).await;

    // What the topic has need not be in the store: only the two events that it lacks are read.
    let read = Arc::new(AtomicU32::new(0));
    let store = ScriptedStore::new(world.store.clone()).before({
        let read = Arc::clone(&read);
        move |call| {
            if let Call::ReadStream(_) = call {
                read.fetch_add(1, Ordering::Relaxed);
            }
            Ok(())
        }
    });
    let relay = world.start_on(Arc::new(store), world.options.clone());
    let done = request(&world, Action::Replay, of_stream("note-1")).await;
    assert_eq!(done, answer(RequestState::Done, 5, 0, 0));
    assert_eq!(read.load(Ordering::Relaxed), 2, "events read from the store");
    world.assert_complete(5).await;
    assert_eq!(listed(&world, 0).await, []);
    relay.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replay_whose_remaining_records_are_lost_is_finished_from_the_store() {
    let mut world = world(OnBadEvent::Park).await;
    let sent = interrupt_a_replay(&mut world, 4).await;
    lose_all(&world).await;

    let relay = world.start();
    let (_, done) = blocking(move || answered(sent, |it| it.state != RequestState::Running)).await;
    assert_eq!(done, answer(RequestState::Done, 4, 0, 0));
    world.assert_complete(4).await;
    assert_eq!(listed(&world, 0).await, []);
    relay.stop().await;
}

/// Kafka has no record at the offset at which the next owner would continue.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replay_is_finished_although_its_next_records_were_deleted() {
    let mut world = world(OnBadEvent::Park).await;
    allow_deletion(&world).await;
    let sent = interrupt_a_replay(&mut world, 5).await;
    // 0@note-1 has two records: the parked event and its end.
    lose_before(&world, "3@note-1", 5).await;

    let mut relay = world.start();
    let (_, done) = blocking(move || answered(sent, |it| it.state != RequestState::Running)).await;
    assert_eq!(done, answer(RequestState::Done, 5, 0, 0));
    world.assert_complete(5).await;
    relay.ready().await;
    relay.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_is_unreachable_delays_a_lost_event() {
    let mut world = world(OnBadEvent::Park).await;
    for data in [BAD, GOOD] {
        world.append("note-1", "Noted", 2, data).await;
    }
    let relay = world.start();
    listed(&world, 2).await;
    relay.stop().await;
    lose_all(&world).await;
    fix(&mut world).await;

    let reachable = Arc::new(AtomicBool::new(false));
    let store = ScriptedStore::new(world.store.clone()).before({
        let reachable = Arc::clone(&reachable);
        move |call| match call {
            Call::ReadStream(_) if !reachable.load(Ordering::Relaxed) => Err(call.fails("unreachable")),
            _ => Ok(()),
        }
    });
    let mut relay = world.start_on(Arc::new(store), world.options.clone());
    let sent = send(&world, Action::Replay, of_stream("note-1")).await;
    relay
        .until("retrying", |status| {
            status.not_ready().values().any(|it| it.contains("parked event 0@note-1"))
        })
        .await;
    reachable.store(true, Ordering::Relaxed);
    let (_, done) = blocking(move || answered(sent, |it| it.state != RequestState::Running)).await;
    assert_eq!(done, answer(RequestState::Done, 2, 0, 0));
    world.assert_complete(2).await;
    relay.stop().await;
}
