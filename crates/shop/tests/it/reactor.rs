use aqueduct::{
    Aggregate, Command, CommandId, CommandRequest, Commands, Envelope, ErrorKind, Previous, ReactError,
    Reactor as _, Revision,
};
use aqueduct_shop::events::{Charge, Currency, OrderCreated, OrderLine, ReturnLine, ReturnReceived};
use aqueduct_shop::inventory::{
    InventoryCommand, InventoryItem, OrdersEvent, ReceiveStock, Shelves, StockReactor,
};
use aqueduct_shop::orders::{
    CancelOrder, CreateOrder, Order, OrderCommand, RegisterReturn, Return, ReturnEvent,
};
use jiff::Timestamp;
use jiff::civil::date;
use serde_json::json;
use uuid::Uuid;

use crate::store::{TestStore, commands};

const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const CORRELATION: Uuid = Uuid::from_u128(7);

async fn execute<A: Aggregate<Command: Command>>(
    store: &TestStore,
    id: &str,
    command: A::Command,
) -> Vec<A::Event> {
    let commands: std::sync::Arc<Commands<A>> = commands(store);
    commands.execute(id, CommandRequest::new(CommandId::random(), command)).await.unwrap().events
}

/// A shelf with so many pieces.
async fn stock(store: &TestStore, sku: &str, quantity: i32) {
    let command = ReceiveStock { sku: sku.into(), quantity, delivery_id: format!("2010-12/{sku}") };
    execute::<InventoryItem>(store, sku, InventoryCommand::Receive(command)).await;
}

/// Creates an order of these products, and returns the event as the reactor gets it.
async fn order(store: &TestStore, lines: &[(&str, i32)]) -> (OrdersEvent, Envelope) {
    let line = |(sku, quantity): &(&str, i32)| OrderLine {
        sku: (*sku).into(),
        description: "A GIFT".into(),
        quantity: *quantity,
        unit_price: "100".parse().unwrap(),
    };
    let command = CreateOrder {
        order_id: "1".into(),
        customer_id: None,
        placed_at: date(2010, 12, 1).at(8, 26, 0, 0),
        country: "France".into(),
        currency: Currency::Gbp,
        lines: lines.iter().map(line).collect(),
        charges: vec![Charge {
            code: "POST".into(),
            description: "POSTAGE".into(),
            quantity: 1,
            unit_price: "50".parse().unwrap(),
        }],
    };
    execute::<Order>(store, "1", OrderCommand::Create(command)).await;
    let event: OrderCreated = serde_json::from_value(store.last("order-1").await).unwrap();
    (event.into(), envelope(store, "order-1").await)
}

/// Registers a return of these products.
async fn take_back(
    store: &TestStore,
    lines: &[(&str, i32)],
    undoes: Option<&str>,
) -> (OrdersEvent, Envelope) {
    let line = |(sku, quantity): &(&str, i32)| ReturnLine {
        sku: (*sku).into(),
        description: "A GIFT".into(),
        quantity: *quantity,
        unit_price: "100".parse().unwrap(),
        order_id: None,
    };
    let command = RegisterReturn {
        return_id: "C2".into(),
        customer_id: None,
        received_at: date(2010, 12, 2).at(8, 26, 0, 0),
        country: "France".into(),
        currency: Currency::Gbp,
        lines: lines.iter().map(line).collect(),
        credits: vec![],
        undoes: undoes.map(str::to_owned),
    };
    let events = execute::<Return>(store, "C2", command).await;
    let [ReturnEvent::ReturnReceived(event)] = &events[..] else { panic!("{events:?}") };
    let event: ReturnReceived = event.clone();
    (event.into(), envelope(store, "return-C2").await)
}

/// The envelope that the relay and the projection would give the last event of a stream.
async fn envelope(store: &TestStore, stream: &str) -> Envelope {
    let event = store.stream(stream).await.pop().expect("an event");
    Envelope {
        stream: event.stream.clone(),
        position: Some(event.position.commit),
        id: event.reference(),
        event_id: Some(event.id.to_string()),
        full_type: format!("shop.orders.{}", event.event_type),
        ..envelope_at(event.revision)
    }
}

/// The envelope of an event at this revision of a stream.
pub(crate) fn envelope_at(revision: Revision) -> Envelope {
    Envelope {
        source: "test".into(),
        stream: "order-1".into(),
        revision,
        previous: Previous::Unknown,
        position: Some(100 + revision),
        id: format!("{revision}@order-1"),
        event_id: None,
        full_type: String::new(),
        time: Timestamp::UNIX_EPOCH,
        schema_version: 1,
        correlation_id: Some(CORRELATION.to_string()),
        causation_id: None,
        traceparent: Some(TRACE.into()),
    }
}

/// Reacts as a process that has just started.
async fn react(store: &TestStore, (event, envelope): &(OrdersEvent, Envelope)) -> Result<(), ReactError> {
    let reactor = StockReactor::new(Shelves::new(commands(store)), commands(store));
    reactor.react(event, envelope).await
}

#[tokio::test]
async fn an_order_is_confirmed_with_what_the_shelves_hold() {
    let store = TestStore::default();
    stock(&store, "15056N", 5).await;
    stock(&store, "22423", 1).await;
    let order = order(&store, &[("15056n", 2), ("22423", 2), ("15056N", 3)]).await;
    react(&store, &order).await.unwrap();

    assert_eq!(store.types("inventory-15056N").await, ["StockReceived", "StockReserved"]);
    assert_eq!(store.types("inventory-22423").await, ["StockReceived", "StockRefused"]);
    let confirmed = store.last("order-1").await;
    let expected = json!({
        "orderId": "1",
        "day": "2010-12-01",
        "country": "France",
        "currency": "GBP",
        "reserved": [{ "sku": "15056N", "quantity": 5 }],
        "refused": [{ "sku": "22423", "quantity": 2 }],
        "confirmed": "550.000",
    });
    assert_eq!(confirmed, expected);
}

#[tokio::test]
async fn everything_that_follows_from_an_event_names_it() {
    let store = TestStore::default();
    stock(&store, "22423", 1).await;
    let order = order(&store, &[("22423", 1)]).await;
    react(&store, &order).await.unwrap();
    for stream in ["inventory-22423", "order-1"] {
        let metadata = store.stream(stream).await.pop().unwrap().parse_metadata().unwrap();
        assert_eq!(metadata.correlation_id, CORRELATION);
        assert_eq!(Some(metadata.causation_id.to_string()), order.1.event_id);
        assert_eq!(metadata.traceparent.as_deref(), Some(TRACE));
    }
}

#[tokio::test]
async fn an_order_that_finds_only_empty_shelves_is_rejected() {
    let store = TestStore::default();
    let order = order(&store, &[("22423", 2), ("71053", 1)]).await;
    react(&store, &order).await.unwrap();
    assert_eq!(store.types("order-1").await, ["OrderCreated", "OrderRejected"]);
    let refused = json!([{ "sku": "22423", "quantity": 2 }, { "sku": "71053", "quantity": 1 }]);
    assert_eq!(store.last("order-1").await["refused"], refused);
}

#[tokio::test]
async fn an_order_without_products_is_confirmed_at_once() {
    let store = TestStore::default();
    let order = order(&store, &[]).await;
    react(&store, &order).await.unwrap();
    assert_eq!(store.types("order-1").await, ["OrderCreated", "OrderConfirmed"]);
    assert_eq!(store.last("order-1").await["confirmed"], "50.000");
}

#[tokio::test]
async fn an_event_that_comes_again_changes_nothing() {
    let store = TestStore::default();
    stock(&store, "22423", 9).await;
    let order = order(&store, &[("22423", 2), ("71053", 1)]).await;
    react(&store, &order).await.unwrap();
    let events = store.count().await;
    react(&store, &order).await.unwrap();
    assert_eq!(store.count().await, events);
}

/// Wherever the first attempt broke off, the second one does the rest and nothing twice.
#[tokio::test(start_paused = true)]
async fn an_order_that_was_left_half_done_is_finished() {
    let products = [("15056N", 2), ("22423", 2), ("71053", 1)];
    for broken in ["inventory-15056N", "inventory-22423", "inventory-71053", "order-1"] {
        let store = TestStore::default();
        for (sku, _) in products {
            stock(&store, sku, 2).await;
        }
        let order = order(&store, &products).await;
        store.break_streams(broken);
        let error = react(&store, &order).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Retry, "{broken}");
        assert_eq!(store.types("order-1").await, ["OrderCreated"]);
        let reserved_before = store.count().await - 4;
        assert!(broken != "order-1" || reserved_before == 3, "{broken}: {reserved_before}");

        store.repair();
        react(&store, &order).await.unwrap();
        for (sku, _) in products {
            let stream = format!("inventory-{sku}");
            assert_eq!(store.types(&stream).await, ["StockReceived", "StockReserved"], "{broken}");
        }
        assert_eq!(store.types("order-1").await, ["OrderCreated", "OrderConfirmed"]);
        assert_eq!(store.last("order-1").await["confirmed"], "550.000");
    }
}

#[tokio::test]
async fn an_order_cancelled_before_its_answers_stays_cancelled() {
    let store = TestStore::default();
    stock(&store, "22423", 2).await;
    let order = order(&store, &[("22423", 2)]).await;
    let cancel = CancelOrder { order_id: "1".into(), return_id: "C2".into() };
    execute::<Order>(&store, "1", OrderCommand::Cancel(cancel)).await;
    react(&store, &order).await.unwrap();
    // The shelf has answered, as it does to every order; the return brings the goods back.
    assert_eq!(store.types("inventory-22423").await, ["StockReceived", "StockReserved"]);
    assert_eq!(store.types("order-1").await, ["OrderCreated", "OrderCancelled"]);
}

#[tokio::test]
async fn a_return_fills_the_shelves_and_undoes_the_order() {
    let store = TestStore::default();
    stock(&store, "22423", 2).await;
    let order = order(&store, &[("22423", 2)]).await;
    react(&store, &order).await.unwrap();
    let back = take_back(&store, &[("22423", 1), ("22423", 1)], Some("1")).await;
    for _ in 0..2 {
        react(&store, &back).await.unwrap();
        let shelf = store.types("inventory-22423").await;
        assert_eq!(shelf, ["StockReceived", "StockReserved", "StockReturned"]);
        assert_eq!(store.last("inventory-22423").await["quantity"], 2);
        assert_eq!(store.types("order-1").await, ["OrderCreated", "OrderConfirmed", "OrderCancelled"]);
    }
}

#[tokio::test]
async fn a_return_that_undoes_no_order_cancels_none() {
    let store = TestStore::default();
    order(&store, &[("22423", 2)]).await;
    let back = take_back(&store, &[("22423", 1)], None).await;
    react(&store, &back).await.unwrap();
    assert_eq!(store.types("inventory-22423").await, ["StockReturned"]);
    assert_eq!(store.types("order-1").await, ["OrderCreated"]);
}

#[tokio::test]
async fn what_can_not_be_handled_is_to_be_parked() {
    let store = TestStore::default();
    let (event, envelope) = order(&store, &[("22423", 2)]).await;
    let OrdersEvent::OrderCreated(created) = event else { panic!("{event:?}") };
    let too_many = OrderLine { quantity: i32::MAX, ..created.lines[0].clone() };
    let no_such_order = OrderCreated { order_id: "2".into(), lines: vec![], ..created.clone() };
    let overflow = OrderCreated { lines: vec![created.lines[0].clone(), too_many], ..created };
    for event in [OrdersEvent::from(no_such_order), overflow.into()] {
        let error = react(&store, &(event, envelope.clone())).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Park, "{error}");
    }
    assert!(store.stream("inventory-22423").await.is_empty());
}
