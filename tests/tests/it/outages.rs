//! Guarantees 1 (nothing is lost) and 2 (nothing is duplicated): each server is stopped during a run and started
//! again. The services wait and resume.

use aqueduct_shop::input::{Feeder, Month, Plan};

use crate::support::{Pipeline, Service, Shop, eventually, finished, plan};

const ORDERS: usize = 32;

async fn feed(feeder: &Feeder, month: Month) {
    let piece = Plan { months: vec![month], ..Plan::default() };
    feeder.feed(&piece, |_| {}).await.unwrap();
}

/// Waits until a service says by itself that it is not ready, and names what is missing.
async fn notices(service: &Service, missing: &str) {
    let url = format!("{}/health/ready", service.url);
    eventually(&format!("{url} says that {missing} is gone"), async || {
        let answer = reqwest::get(&url).await.unwrap();
        let not_ready = answer.status() == reqwest::StatusCode::SERVICE_UNAVAILABLE;
        (not_ready && answer.text().await.unwrap().contains(missing)).then_some(())
    })
    .await;
}

async fn is_ready(service: &Service) {
    let url = format!("{}/health/ready", service.url);
    eventually(&format!("{url} says that it is ready"), async || {
        reqwest::get(&url).await.unwrap().status().is_success().then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_server_may_go_in_mid_run_and_come_back() {
    let pipeline = Pipeline::start(&[]).await;
    let stack = &pipeline.stack;
    let shop = Shop::start(&pipeline).await;
    let relay = pipeline.service("relay", &["relay"]).await;
    let projections = pipeline.service("projections", &["shop", "project"]).await;
    let inventory = pipeline.service("inventory", &["shop", "inventory"]).await;
    let feeder = shop.feeder(&inventory.url);
    let Month { deliveries, steps } = plan(ORDERS).months.remove(0);
    let quarter = steps.len().div_ceil(4);
    let mut pieces = Vec::new();
    let mut steps = steps.into_iter();
    for _ in 0..4 {
        pieces.push(Month { deliveries: Vec::new(), steps: steps.by_ref().take(quarter).collect() });
    }
    let mut pieces = pieces.into_iter();
    let mut next = || pieces.next().unwrap();
    feed(&feeder, Month { deliveries, steps: Vec::new() }).await;

    feed(&feeder, next()).await;
    tokio::join!(is_ready(&relay), is_ready(&projections), is_ready(&inventory));
    stack.kafka().unwrap().kill().await;
    let brokers = stack.kafka_bootstrap().unwrap();
    tokio::join!(notices(&relay, "kafka"), notices(&projections, brokers), notices(&inventory, brokers));
    feed(&feeder, next()).await;
    stack.kafka().unwrap().start().await.unwrap();
    tokio::join!(is_ready(&projections), is_ready(&inventory));

    stack.postgres().unwrap().kill().await;
    tokio::join!(notices(&shop.orders, "postgres"), notices(&projections, "postgres"));
    feed(&feeder, next()).await;
    stack.postgres().unwrap().start().await.unwrap();

    // Commands wait while the store is gone: they are answered once it is back.
    stack.event_store().unwrap().stop().await;
    let back = async {
        notices(&shop.orders, "event store").await;
        stack.event_store().unwrap().start().await.unwrap();
    };
    tokio::join!(feed(&feeder, next()), back);

    // Schemas are looked up when a process starts, so that is when it must wait for the registry.
    stack.registry().unwrap().stop().await;
    relay.stop().await;
    let relay = pipeline.service("relay", &["relay"]).await;
    notices(&relay, stack.registry_url().unwrap()).await;
    stack.registry().unwrap().start().await.unwrap();

    tokio::join!(is_ready(&relay), is_ready(&projections), is_ready(&inventory), is_ready(&shop.orders));
    let report = finished(&pipeline, ORDERS).await;
    assert!(report.is_clean(), "{report}\n{}\n{}", relay.log(), projections.log());
}
