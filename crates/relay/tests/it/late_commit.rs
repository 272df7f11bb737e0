//! A lane's old owner commits after another instance has been given the lane. The numbers of the guarantees are those of
//! `crates/aqueduct/docs/guarantees.md`.

use aqueduct_core::{EventStore as _, Position};
use aqueduct_relay::{LaneState, Status};

use crate::kafka_proxy::{END_TXN, HEARTBEAT, INIT_PRODUCER_ID, KafkaProxy};
use crate::support::{Running, World, shared_stack};

/// A relay that reaches the broker through the proxy.
fn start_through(proxy: &KafkaProxy, world: &mut World) -> Running {
    let direct = std::mem::replace(&mut world.cluster.brokers, proxy.address.clone());
    let relay = world.start();
    world.cluster.brokers = direct;
    relay
}

/// Guarantees 1 and 2: the old owner loses the lane with a transaction open, and commits it while the request of the new owner
/// that fences it (`InitProducerId`) is still on its way. The new owner must see that commit: whatever it read of the topics
/// before would be relayed twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_old_owner_commits_while_the_new_owners_fencing_is_delayed() {
    let mut world = World::new(shared_stack().await).await;
    // The transaction must outlive the session, and the delay.
    world.options.transaction_timeout_ms = 120_000;
    let old_proxy = KafkaProxy::to(&world.cluster.brokers).await;
    let new_proxy = KafkaProxy::to(&world.cluster.brokers).await;
    let mut old = start_through(&old_proxy, &mut world);
    old.ready().await;
    world.append_notes(20, 50).await;
    world.assert_complete(50).await;
    let mut new = start_through(&new_proxy, &mut world);
    new.ready().await;
    let is = |status: &Status, state: LaneState| status.lane(world.route(), 0) == state;
    old.until("the old owner keeps the lane", |status| is(status, LaneState::Running)).await;

    new_proxy.hold(&[INIT_PRODUCER_ID]);
    old_proxy.hold(&[HEARTBEAT, END_TXN]);
    world.append_notes(20, 50).await;
    old_proxy.holds(END_TXN).await;
    // The old owner's session expires, and the lane is the new owner's.
    new_proxy.holds(INIT_PRODUCER_ID).await;
    assert!(is(&new.status, LaneState::Starting), "{:?}", new.status.not_ready());
    assert_eq!(world.records(50).await.len(), 50, "the old owner's transaction is open");

    old_proxy.release();
    let committed = world.records(51).await.len();
    assert!(is(&new.status, LaneState::Starting), "{:?}", new.status.not_ready());
    world.append_notes(20, 50).await;
    new_proxy.release();
    world.assert_complete(150).await;
    new.until("the new owner has the lane", |status| is(status, LaneState::Running)).await;
    old.stop().await;
    new.stop().await;

    // Checkpoints only move forward, past the late commit, to the end of the store.
    let positions = world.checkpoints(3).await.into_iter().map(|mut it| it["position"].take());
    let positions: Vec<Position> = positions.map(|it| serde_json::from_value(it).unwrap()).collect();
    assert!(positions.is_sorted(), "{committed} records were committed late, checkpoints: {positions:?}");
    assert_eq!(positions.last().copied(), world.store.last_position().await.unwrap());
}
