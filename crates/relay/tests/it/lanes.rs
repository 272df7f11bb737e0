//! Lanes of one process share what they read. The numbers of the guarantees are those of
//! `crates/aqueduct/docs/guarantees.md`.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use aqueduct_core::Position;
use aqueduct_core::testing::{Call, ScriptedStore};
use aqueduct_relay::{LaneState, create_topics, partition_of};
use aqueduct_schema::{Registry, RegistryOptions};
use axum::Router;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Redirect};
use axum::routing::any;

use crate::support::{World, shared_stack};

const LANES: u32 = 2;

/// A route with two lanes.
async fn world() -> World {
    let mut world = World::new(shared_stack().await).await;
    world.options.lanes = NonZeroU32::new(LANES).unwrap();
    world.options.routes[0].name += ".lanes";
    world.options.routes[0].topic += ".lanes";
    create_topics(&world.cluster, &world.options).await.unwrap();
    world.publish(&["Noted"]).await;
    world
}

/// A stream of a lane.
fn of_lane(lane: u32) -> String {
    let mut streams = (0..).map(|n| format!("note-{n}")).filter(|it| partition_of(it, LANES) == lane);
    streams.next().unwrap()
}

/// Guarantees 1 to 3: both lanes read by one subscription, are killed in the middle of a backlog, and continue.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lanes_share_a_subscription_and_survive_a_kill() {
    let mut world = world().await;
    world.options.batch_records = 50.try_into().unwrap();
    let subscriptions = Arc::new(AtomicUsize::new(0));
    let counted = || {
        let subscriptions = Arc::clone(&subscriptions);
        let count = move |call: Call<'_>| {
            if call == Call::SubscribeAll {
                subscriptions.fetch_add(1, Ordering::Relaxed);
            }
            Ok(())
        };
        Arc::new(ScriptedStore::new(world.store.clone()).before(count))
    };
    let mut first = world.start_on(counted(), world.options.clone());
    first.ready().await;
    world.append_notes(1, 1).await;
    world.assert_complete(1).await;
    // A lane that came late has met the other one: nothing but that event was stored.
    let at_start = subscriptions.load(Ordering::Relaxed);
    assert!(at_start <= LANES as usize, "{at_start} subscriptions");
    world.append_notes(20, 2000).await;
    world.records(200).await;
    assert_eq!(subscriptions.load(Ordering::Relaxed), at_start, "they share the reader for what comes");
    first.abort().await;

    world.append_notes(20, 1000).await;
    let mut second = world.start_on(counted(), world.options.clone());
    world.assert_complete(3001).await;
    second.ready().await;
    second.stop().await;
}

/// Guarantee 1: a lane cannot pass an event while the reader that it shares, and the other lane, go on. It is killed there:
/// its checkpoint is below the event, and nothing is lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lane_that_waits_while_its_reader_goes_on_loses_nothing_when_it_is_killed() {
    let mut world = world().await;
    world.options.known_streams = 1.try_into().unwrap();
    let (held, other) = (of_lane(0), of_lane(1));
    let is_held = Arc::new(AtomicBool::new(true));
    let store = ScriptedStore::new(world.store.clone()).before({
        let (is_held, held) = (Arc::clone(&is_held), held.clone());
        move |call: Call<'_>| match call {
            Call::ReadStreamBack(stream) if stream.as_str() == held && is_held.load(Ordering::Relaxed) => {
                Err(call.fails("the test holds the lane"))
            }
            _ => Ok(()),
        }
    });
    let note = r#"{"text":"note","colour":"red"}"#;
    world.append(&held, "Noted", 2, note).await;
    // The lane forgets the stream, so that it must look up what came before.
    let mut others = (0..).map(|n| format!("note-forget-{n}")).filter(|it| partition_of(it, LANES) == 0);
    let [forget, another] = [others.next().unwrap(), others.next().unwrap()];
    world.append(&another, "Noted", 2, note).await;
    world.append(&forget, "Noted", 2, note).await;
    let at = world.append(&held, "Noted", 2, note).await;
    for _ in 0..300 {
        world.append(&other, "Noted", 2, note).await;
        world.append(&forget, "Noted", 2, note).await;
    }
    let mut relay = world.start_on(Arc::new(store), world.options.clone());
    relay
        .until("the lane is held", |status| {
            matches!(status.lane(world.route(), 0), LaneState::Retrying { problem } if problem.contains("holds"))
        })
        .await;
    // All of the other lane, and of this one what is before the event.
    world.records(303).await;
    relay.abort().await;
    let checkpoints = world.checkpoints(1).await;
    let last: Position = serde_json::from_value(checkpoints.last().unwrap()["position"].clone()).unwrap();
    assert!(last < at, "the checkpoint {last} is beyond the event at {at} that was not written");

    is_held.store(false, Ordering::Relaxed);
    let relay = world.start();
    world.assert_complete(604).await;
    relay.stop().await;
}

/// A registry that answers requests about a subject with 503 while `is_out` is set, and passes all others on to `registry`.
async fn registry_without(subject: &'static str, is_out: &Arc<AtomicBool>, registry: &str) -> Registry {
    let (is_out, registry) = (Arc::clone(is_out), registry.to_owned());
    let answer = async move |uri: Uri| {
        if is_out.load(Ordering::Relaxed) && uri.path().contains(subject) {
            return StatusCode::SERVICE_UNAVAILABLE.into_response();
        }
        Redirect::temporary(&format!("{registry}{uri}")).into_response()
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(any(answer))).await });
    Registry::new(&RegistryOptions::new(&url)).unwrap()
}

/// Guarantees 1 and 7: while the schema of one type cannot be looked up, its lane commits nothing beyond the event, whatever
/// its other streams hold, and the other lane continues.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_beyond_an_event_is_committed_while_its_schema_cannot_be_looked_up() {
    let stack = shared_stack().await;
    let mut world = world().await;
    world.publish(&["Closed"]).await;
    let is_out = Arc::new(AtomicBool::new(true));
    world.registry = registry_without("Closed", &is_out, stack.registry_url().unwrap()).await;
    let (held, other) = (of_lane(0), of_lane(1));
    let note = r#"{"text":"note","colour":"red"}"#;
    world.append(&held, "Noted", 2, note).await;
    let at = world.append(&held, "Closed", 1, r#"{"reason":"done"}"#).await;
    for n in 0..300 {
        world.append(&other, "Noted", 2, note).await;
        let of_held_lane = (0..).map(|m| format!("note-{n}-{m}"));
        let stream = of_held_lane.into_iter().find(|it| partition_of(it, LANES) == 0).unwrap();
        world.append(&stream, "Noted", 2, note).await;
    }
    let mut relay = world.start();
    relay
        .until("the lane retries", |status| {
            matches!(status.lane(world.route(), 0), LaneState::Retrying { problem } if problem.contains("Closed"))
        })
        .await;
    world.records(301).await;
    let checkpoints = world.checkpoints(1).await;
    let last: Position = serde_json::from_value(checkpoints.last().unwrap()["position"].clone()).unwrap();
    assert!(last < at, "the checkpoint {last} is beyond the event at {at} whose schema is not known");

    is_out.store(false, Ordering::Relaxed);
    world.assert_complete(602).await;
    relay.ready().await;
    relay.stop().await;
}
