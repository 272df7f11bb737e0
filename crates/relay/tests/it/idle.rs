//! A lane with nothing to write.

use crate::support::{World, own_stack};

/// No transaction fails that could tell: the lane checks on its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_lane_says_that_its_broker_is_gone_and_is_ready_when_it_is_back() {
    let stack = own_stack().await;
    let world = World::new(&stack).await;
    let mut relay = world.start();
    relay.ready().await;
    stack.kafka().unwrap().stop().await;
    let brokers = &world.cluster.brokers;
    relay
        .until("kafka is missed", |status| {
            status.not_ready().values().any(|problem| problem.contains(brokers))
        })
        .await;
    stack.kafka().unwrap().start().await.unwrap();
    relay.ready().await;
    relay.stop().await;
    stack.shutdown().await;
}
