use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use aqueduct::{CommandId, CommandRequest, Committed, EventBus};
use aqueduct_shop::inventory::{InventoryEvent, Reservation, ReserveStock, Shelves, router};
use axum::http::StatusCode;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::http::{KEY, no_views, post};
use crate::store::{TestStore, commands, commands_with, schemas};

fn receipt(id: u128, sku: &str, quantity: i32) -> Value {
    json!({
        "commandId": Uuid::from_u128(id),
        "sku": sku,
        "quantity": quantity,
        "deliveryId": format!("2010-12/{sku}"),
    })
}

async fn receive(shelves: &Shelves, quantity: i32) {
    let router = router(shelves.clone(), no_views());
    let reply = post(&router, "/stock/receipts", KEY, &json!([receipt(1, "85123A", quantity)])).await;
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.body);
}

fn reserve(order_id: &str, quantity: i32) -> CommandRequest<ReserveStock> {
    let command = ReserveStock { sku: "85123A".into(), order_id: order_id.into(), quantity };
    CommandRequest::new(CommandId::random(), command)
}

#[tokio::test]
async fn each_item_of_a_batch_has_its_answer() {
    let store = TestStore::default();
    let router = router(Shelves::new(commands(&store)), no_views());
    let good = json!([receipt(1, "85123a", 6), receipt(2, "71053", 3)]);
    let reply = post(&router, "/stock/receipts", KEY, &good).await;
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.body);
    assert_eq!(reply.body[0]["status"], 201);
    assert_eq!(reply.body[0]["answer"]["stream"], "inventory-85123A");

    let mixed = json!([receipt(1, "85123a", 6), receipt(3, "71053", -3), receipt(4, "22423", 1)]);
    let reply = post(&router, "/stock/receipts", KEY, &mixed).await;
    assert_eq!(reply.status, StatusCode::MULTI_STATUS);
    assert_eq!((&reply.body[0]["status"], &reply.body[0]["answer"]["repeated"]), (&json!(200), &json!(true)));
    assert_eq!(reply.body[1]["status"], 422);
    assert_eq!(reply.body[1]["problem"]["detail"], "quantity must be positive");
    assert_eq!(reply.body[2]["status"], 201);
    assert_eq!(store.types("inventory-85123A").await, ["StockReceived"]);
    assert_eq!(store.types("inventory-22423").await, ["StockReceived"]);
}

#[tokio::test]
async fn a_correction_says_what_was_applied() {
    let store = TestStore::default();
    let router = router(Shelves::new(commands(&store)), no_views());
    post(&router, "/stock/receipts", KEY, &json!([receipt(1, "85123A", 6)])).await;
    let correction = json!([{
        "commandId": Uuid::from_u128(2), "sku": "85123A", "quantity": -10, "invoice": "536589",
    }]);
    let reply = post(&router, "/stock/corrections", KEY, &correction).await;
    let event = &reply.body[0]["answer"]["events"][0];
    assert_eq!(event["type"], "StockCorrected", "{}", reply.body);
    assert_eq!((&event["data"]["requested"], &event["data"]["applied"]), (&json!(-10), &json!(-6)));
}

#[tokio::test]
async fn a_batch_has_an_end() {
    let router = router(Shelves::new(commands(&TestStore::default())), no_views());
    let many: Vec<_> = (0..1_001).map(|n| receipt(n, "85123A", 1)).collect();
    let reply = post(&router, "/stock/receipts", KEY, &many.into()).await;
    assert_eq!((reply.status, reply.problem()), (StatusCode::UNPROCESSABLE_ENTITY, "batch-too-large"));
}

#[tokio::test]
async fn an_order_that_asks_again_gets_its_first_answer() {
    let store = TestStore::default();
    let shelves = Shelves::new(commands(&store));
    receive(&shelves, 6).await;
    let elsewhere = Shelves::new(commands(&store));
    for shelves in [&shelves, &shelves, &elsewhere] {
        let answer = shelves.reserve(reserve("1", 4)).await.unwrap();
        assert_eq!(answer, Some(Reservation::Reserved(4)));
        let answer = shelves.reserve(reserve("2", 4)).await.unwrap();
        assert_eq!(answer, Some(Reservation::Refused(4)));
    }
    assert_eq!(store.types("inventory-85123A").await, ["StockReceived", "StockReserved", "StockRefused"]);
}

#[tokio::test]
async fn the_last_piece_goes_to_one_order_whoever_asks() {
    let store = TestStore::default();
    let processes = [Shelves::new(commands(&store)), Shelves::new(commands(&store))];
    receive(&processes[0], 20).await;
    let mut asking = tokio::task::JoinSet::new();
    for n in 0..40 {
        let shelves = processes[n % 2].clone();
        asking.spawn(async move { shelves.reserve(reserve(&n.to_string(), 1)).await.unwrap().unwrap() });
    }
    let answers = asking.join_all().await;
    let reserved = answers.iter().filter(|answer| **answer == Reservation::Reserved(1)).count();
    assert_eq!((reserved, answers.len()), (20, 40));
    assert_eq!(store.stream("inventory-85123A").await.len(), 41);
}

#[tokio::test]
async fn the_bus_hears_of_each_append_once() {
    let heard = Arc::new(AtomicUsize::new(0));
    let mut bus = EventBus::default();
    bus.subscribe("fails", |_: &Committed<InventoryEvent>| async { Err("on purpose".into()) });
    let count = Arc::clone(&heard);
    bus.subscribe("counts", move |committed: &Committed<InventoryEvent>| {
        count.fetch_add(committed.events.len(), Ordering::Relaxed);
        async { Ok(()) }
    });
    let shelves = Shelves::new(commands_with(&TestStore::default(), schemas(), bus));
    let request = reserve("1", 4);
    for _ in 0..2 {
        let answer = shelves.reserve(request.clone()).await.unwrap();
        assert_eq!(answer, Some(Reservation::Refused(4)));
    }
    assert_eq!(heard.load(Ordering::Relaxed), 1);
}
