//! Requests of operators to a lane that is halted at an event.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use aqueduct_core::testing::{Call, ScriptedStore};
use aqueduct_relay::OnBadEvent;
use aqueduct_relay::parked::{Action, RequestState};

use crate::faults::halted;
use crate::parked::{BAD, GOOD, answer, of_event, request, world};

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
