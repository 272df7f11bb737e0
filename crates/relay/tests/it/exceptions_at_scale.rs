//! Very many exceptions.

use aqueduct_core::{EventStore as _, ExpectedRevision, NewEvent};
use aqueduct_relay::parked::{Action, ExceptionState, ParkedFilter, RequestState};
use aqueduct_relay::{OnBadEvent, header};

use crate::parked::{self, BAD, GOOD};
use crate::support::{World, metadata};

/// Events appended in one call.
const APPENDED: usize = 1_000;

pub(crate) async fn append(world: &World, stream: &str, data: &str, count: usize) {
    let event = || NewEvent {
        id: uuid::Uuid::new_v4(),
        event_type: "Noted".to_owned(),
        data: data.to_owned().into(),
        metadata: metadata(2).into(),
    };
    let stream = stream.into();
    for from in (0..count).step_by(APPENDED) {
        let events: Vec<_> = (from..count.min(from + APPENDED)).map(|_| event()).collect();
        world.store.append(&stream, ExpectedRevision::Any, &events).await.unwrap();
    }
}

/// A lane that is taken away after its first batches loads what they recorded, and continues with it.
async fn skip(count: usize) {
    let world = parked::world(OnBadEvent::Skip).await;
    append(&world, "note-1", BAD, count).await;
    append(&world, "note-1", GOOD, 1).await;
    let relay = world.start();
    world.checkpoints(1).await;
    relay.abort().await;

    let mut relay = world.start();
    let records = world.records(1).await;
    let found: Vec<_> =
        records.iter().map(|it| (it.revision(), &*it.headers[header::PREVIOUS_REVISION])).collect();
    assert_eq!(found, [(count as u64, "-1")]);
    let listed = parked::listed(&world, count).await;
    assert!(listed.iter().all(|it| it.exception.state == ExceptionState::Skipped));
    relay.ready().await;
    relay.stop().await;

    let mut relay = world.start();
    append(&world, "note-1", GOOD, 1).await;
    assert_eq!(world.records(2).await.len(), 2, "the exceptions agree with the checkpoint");
    relay.ready().await;
    relay.stop().await;
}

/// The events behind a bad one are replayed in order, also where the relay is taken away in between.
async fn replay(count: usize) {
    let mut world = parked::world(OnBadEvent::Park).await;
    append(&world, "note-1", BAD, 1).await;
    append(&world, "note-1", GOOD, count - 1).await;
    let relay = world.start();
    parked::listed(&world, count).await;
    relay.stop().await;

    parked::fix(&mut world).await;
    let relay = world.start();
    let sent = parked::send(&world, Action::Replay, ParkedFilter::default()).await;
    world.records(count / 100).await;
    relay.abort().await;
    let relay = world.start();
    let answer =
        parked::blocking(move || parked::answered(sent, |it| it.state != RequestState::Running).1).await;
    assert_eq!((answer.state, answer.replayed, answer.parked_again), (RequestState::Done, count as u64, 0));
    world.assert_complete(count).await;
    assert_eq!(parked::listed(&world, 0).await, []);
    relay.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_events_are_skipped() {
    skip(50_000).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_events_of_a_stream_are_replayed() {
    replay(20_000).await;
}
