use aqueduct_shop::orders;
use axum::Router;
use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::http::{KEY, OTHER_KEY, get, no_views, post};
use crate::store::{TestStore, commands};

fn router(store: &TestStore) -> Router {
    orders::router(commands(store), commands(store), no_views())
}

fn order() -> Value {
    json!({
        "orderId": "536365",
        "customerId": "17850",
        "placedAt": "2010-12-01T08:26:00.000",
        "country": "United Kingdom",
        "currency": "GBP",
        "lines": [
            { "sku": "85123A", "description": "LANTERN", "quantity": 6, "unitPrice": "255" },
            { "sku": "71053", "description": "BAG", "quantity": 3, "unitPrice": "0.100" },
        ],
        "charges": [{ "code": "POST", "description": "POSTAGE", "quantity": 1, "unitPrice": "1800.000" }],
    })
}

#[tokio::test]
async fn an_order_is_created_once() {
    let store = TestStore::default();
    let created = post(&router(&store), "/orders", KEY, &order()).await;
    assert_eq!(created.status, StatusCode::CREATED, "{}", created.body);
    assert_eq!(created.body["events"][0]["type"], "OrderCreated");
    assert_eq!(created.body["events"][0]["data"]["total"], "3330.300");

    let again = post(&router(&store), "/orders", KEY, &order()).await;
    assert_eq!((again.status, &again.body["repeated"]), (StatusCode::OK, &json!(true)));
    let other = post(&router(&store), "/orders", OTHER_KEY, &order()).await;
    assert_eq!((other.status, other.problem()), (StatusCode::CONFLICT, "order-exists"));

    let stored = store.last("order-536365").await;
    let mut expected = order();
    expected["lines"][0]["unitPrice"] = "255.000".into();
    expected["total"] = "3330.300".into();
    assert_eq!(stored, expected);
    let metadata = store.stream("order-536365").await[0].parse_metadata().unwrap();
    assert_eq!((metadata.schema_version, metadata.aggregate_type.as_str()), (2, "order"));
}

#[tokio::test]
async fn unknown_fields_are_refused_at_any_depth() {
    for path in ["", "/lines/0", "/charges/0"] {
        let mut order = order();
        order.pointer_mut(path).unwrap()["colour"] = "red".into();
        let refused = post(&router(&TestStore::default()), "/orders", KEY, &order).await;
        assert_eq!((refused.status, refused.problem()), (StatusCode::UNPROCESSABLE_ENTITY, "body"), "{path}");
        assert!(refused.detail().contains("unknown field `colour`"), "{}", refused.detail());
    }
}

#[tokio::test]
async fn what_can_not_be_stored_exactly_is_refused_with_the_field() {
    let mut order = order();
    order["lines"][1]["unitPrice"] = "0.0001".into();
    let refused = post(&router(&TestStore::default()), "/orders", KEY, &order).await;
    assert_eq!((refused.status, refused.problem()), (StatusCode::UNPROCESSABLE_ENTITY, "invalid-command"));
    assert!(refused.detail().starts_with("lines[1].unitPrice must not have more"), "{}", refused.detail());
}

#[tokio::test]
async fn a_return_is_registered_once_and_undoes_what_there_is() {
    let store = TestStore::default();
    let body = json!({
        "returnId": "C536379",
        "customerId": "17850",
        "receivedAt": "2010-12-01T09:41:00.000",
        "country": "United Kingdom",
        "currency": "GBP",
        "lines": [{
            "sku": "85123A", "description": "LANTERN", "quantity": 6, "unitPrice": "255.000",
            "orderId": "536365",
        }],
        "credits": [{ "code": "POST", "description": "POSTAGE", "quantity": 1, "unitPrice": "1800.000" }],
        "undoes": "536365",
    });
    let early = post(&router(&store), "/returns", KEY, &body).await;
    assert_eq!((early.status, early.problem()), (StatusCode::NOT_FOUND, "no-such-order"));
    assert_eq!(early.detail(), "there is no order 536365");
    assert!(store.stream("return-C536379").await.is_empty());

    post(&router(&store), "/orders", OTHER_KEY, &order()).await;
    let first = post(&router(&store), "/returns", KEY, &body).await;
    assert_eq!(first.status, StatusCode::CREATED, "{}", first.body);
    assert_eq!(first.body["events"][0]["data"]["total"], "3330.000");
    let other = post(&router(&store), "/returns", OTHER_KEY, &body).await;
    assert_eq!((other.status, other.problem()), (StatusCode::CONFLICT, "return-exists"));
    assert_eq!(store.types("return-C536379").await, ["ReturnReceived"]);
}

#[tokio::test]
async fn revenue_is_asked_for_by_day() {
    let router = router(&TestStore::default());
    for (path, says) in [("/revenue", "missing field `day`"), ("/revenue?day=today", "day")] {
        let reply = get(&router, path).await;
        assert_eq!((reply.status, reply.problem()), (StatusCode::BAD_REQUEST, "query"), "{path}");
        assert!(reply.detail().contains(says), "{}", reply.detail());
    }
}
