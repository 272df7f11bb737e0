//! Requests of operators to a lane that is halted at an event.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use aqueduct_core::testing::{Call, ScriptedStore};
use aqueduct_relay::parked::{Action, RequestState};
use aqueduct_relay::{OnBadEvent, Status};

use crate::faults::halted;
use crate::parked::{BAD, GOOD, answer, fix, listed, of_event, of_stream, request, send, world};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_does_not_answer_delays_a_request() {
    let world = world(OnBadEvent::Halt).await;
    world.append("note-1", "Noted", 2, GOOD).await;
    let relay = world.start();
    world.assert_complete(1).await;
    relay.stop().await;

    // A lane that has just started asks the store for the record before the event.
    world.append("note-1", "Noted", 2, BAD).await;
    let asked = Arc::new(AtomicU32::new(0));
    let store = ScriptedStore::new(world.store.clone()).before({
        let asked = Arc::clone(&asked);
        move |call| match call {
            Call::ReadStreamBack(_) if asked.fetch_add(1, Ordering::Relaxed) == 0 => {
                Err(call.fails("timed out"))
            }
            _ => Ok(()),
        }
    });
    let mut relay = world.start_on(Arc::new(store), world.options.clone());
    halted(&mut relay, world.route(), &["1@note-1"]).await;
    let done = request(&world, Action::Skip, of_event("1@note-1")).await;
    assert_eq!(done, answer(RequestState::Done, 0, 0, 0));
    assert_eq!(asked.load(Ordering::Relaxed), 2);
    relay.ready().await;
    relay.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lane_whose_replay_waits_reports_it_after_an_event_has_waited_too() {
    let mut world = world(OnBadEvent::Park).await;
    for (stream, data) in [("note-1", GOOD), ("note-1", BAD), ("note-2", GOOD)] {
        world.append(stream, "Noted", 2, data).await;
    }
    let relay = world.start();
    listed(&world, 1).await;
    relay.stop().await;
    fix(&mut world).await;

    // The replay does not try again while the test runs.
    world.options.halt_retry_ms = 600_000;
    let asked = Arc::new(AtomicU32::new(0));
    let store = ScriptedStore::new(world.store.clone()).before({
        let asked = Arc::clone(&asked);
        move |call| match call {
            Call::ReadStreamBack(stream) if stream.as_str() == "note-1" => Err(call.fails("unreachable")),
            Call::ReadStreamBack(_) if asked.fetch_add(1, Ordering::Relaxed) == 0 => {
                Err(call.fails("timed out"))
            }
            _ => Ok(()),
        }
    });
    let mut relay = world.start_on(Arc::new(store), world.options.clone());
    send(&world, Action::Replay, of_stream("note-1")).await;
    let waits = |status: &Status| status.not_ready().values().any(|it| it.contains("parked event 1@note-1"));
    relay.until("a replay that waits", waits).await;
    world.append("note-2", "Noted", 2, GOOD).await;
    assert_eq!(world.records(3).await.len(), 3);
    assert_eq!(asked.load(Ordering::Relaxed), 2, "the event has waited");
    assert!(waits(&relay.status), "{:?}", relay.status.not_ready());
    relay.stop().await;
}
