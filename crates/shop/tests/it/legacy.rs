use std::sync::Arc;

use aqueduct::{CommandId, CommandRequest, EventBus};
use aqueduct_shop::events::OrderedProduct;
use aqueduct_shop::orders::{self, ConfirmOrder, LegacyOrders, Order, OrderCommand};
use axum::http::StatusCode;
use serde_json::json;

use crate::http::{KEY, OTHER_KEY, no_views, post};
use crate::store::{TestStore, commands, commands_with, schemas};

/// The store after the old service has taken an order.
async fn old_order() -> TestStore {
    let store = TestStore::default();
    let legacy = commands_with(&store, Arc::new(LegacyOrders::new(schemas())), EventBus::default());
    let router = orders::router(legacy, commands(&store), no_views());
    let order = json!({
        "orderId": "536365",
        "customerId": null,
        "placedAt": "2010-12-01T08:26:00.000",
        "country": "United Kingdom",
        "currency": "GBP",
        "lines": [
            { "sku": "85123a", "description": "LANTERN", "quantity": 6, "unitPrice": "255.000" },
            { "sku": "71053", "description": "BAG", "quantity": 3, "unitPrice": "0.100" },
        ],
        "charges": [{ "code": "POST", "description": "POSTAGE", "quantity": 1, "unitPrice": "1800.000" }],
    });
    let created = post(&router, "/orders", KEY, &order).await;
    assert_eq!(created.status, StatusCode::CREATED, "{}", created.body);
    let again = post(&router, "/orders", OTHER_KEY, &order).await;
    assert_eq!((again.status, again.problem()), (StatusCode::CONFLICT, "order-exists"));
    store
}

#[tokio::test]
async fn the_old_service_writes_pounds_in_version_1() {
    let store = old_order().await;
    let expected = json!({
        "orderId": "536365",
        "customer": null,
        "placed": "2010-12-01 08:26:00",
        "country": "United Kingdom",
        "lines": [
            { "sku": "85123a", "description": "LANTERN", "quantity": 6, "unitPrice": "2.55" },
            { "sku": "71053", "description": "BAG", "quantity": 3, "unitPrice": "0.001" },
        ],
        "charges": [{ "code": "POST", "description": "POSTAGE", "quantity": 1, "unitPrice": "18.00" }],
    });
    assert_eq!(store.last("order-536365").await, expected);
    let metadata = store.stream("order-536365").await[0].parse_metadata().unwrap();
    assert_eq!(metadata.schema_version, 1);
}

#[tokio::test]
async fn a_command_runs_on_an_order_stored_as_version_1() {
    let store = old_order().await;
    let answer = |sku: &str, quantity| OrderedProduct { sku: sku.into(), quantity };
    let command = OrderCommand::Confirm(ConfirmOrder {
        order_id: "536365".into(),
        reserved: vec![answer("71053", 3)],
        refused: vec![answer("85123A", 6)],
    });
    let request = CommandRequest::new(CommandId::random(), command);
    commands::<Order>(&store).execute("536365", request).await.unwrap();

    assert_eq!(store.types("order-536365").await, ["OrderCreated", "OrderConfirmed"]);
    let confirmed = store.last("order-536365").await;
    assert_eq!(confirmed["confirmed"], "1800.300");
    assert_eq!(confirmed["day"], "2010-12-01");
    assert_eq!(confirmed["currency"], "GBP");
}
