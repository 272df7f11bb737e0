//! What the views make of events. The rows are compared as the runner writes them: as JSON.

use aqueduct::{Deltas, DomainEvent as _, View};
use aqueduct_shop::events::*;
use aqueduct_shop::inventory::Stock;
use aqueduct_shop::orders::{Orders, Revenue};
use aqueduct_shop::users::Customers;
use jiff::civil::date;
use rust_decimal::Decimal;
use serde::Serialize;
use serde_json::{Value, json};

use crate::reactor::envelope_at;

/// Folds events as the runner does: a row goes through the table, as JSON, between two events.
fn fold<V: View>(events: impl IntoIterator<Item = V::Event>) -> Value {
    let mut row = Value::Null;
    for (revision, event) in events.into_iter().enumerate() {
        let before = (!row.is_null()).then(|| serde_json::from_value(row.clone()).unwrap());
        let after = V::fold(before, &event, &envelope_at(revision as u64));
        row = serde_json::to_value(after).unwrap();
    }
    row
}

/// The event is read as the runner does: the projection takes only the fields that it needs.
fn deltas(event_type: &str, event: impl Serialize) -> Value {
    let needed = <Revenue as Deltas>::Event::read(event_type, serde_json::to_value(event).unwrap());
    let needed = needed.expect("a type of the projection").unwrap();
    serde_json::to_value(Revenue::deltas(&needed, &envelope_at(0))).unwrap()
}

fn amount(text: &str) -> Decimal {
    text.parse().unwrap()
}

fn created() -> OrderCreated {
    OrderCreated {
        order_id: "1".into(),
        customer_id: Some("17850".into()),
        placed_at: date(2010, 12, 1).at(8, 26, 0, 0),
        country: "France".into(),
        currency: Currency::Gbp,
        lines: vec![OrderLine {
            sku: "22423".into(),
            description: "CAKESTAND".into(),
            quantity: 2,
            unit_price: amount("1275.000"),
        }],
        charges: vec![],
        total: amount("2550.000"),
    }
}

fn confirmed() -> OrderConfirmed {
    OrderConfirmed {
        order_id: "1".into(),
        day: date(2010, 12, 1),
        country: "France".into(),
        currency: Currency::Gbp,
        reserved: vec![OrderedProduct { sku: "22423".into(), quantity: 2 }],
        refused: vec![],
        confirmed: amount("2550.000"),
    }
}

#[test]
fn an_order_shows_its_state() {
    let mut expected = json!({
        "order_id": "1",
        "customer_id": "17850",
        "placed_at": "2010-12-01T08:26:00",
        "day": "2010-12-01",
        "country": "France",
        "state": "created",
        "lines": 1,
        "total": "2550.000",
        "confirmed": null,
        "revision": 0,
        "position": 100,
    });
    assert_eq!(fold::<Orders>([created().into()]), expected);

    expected["state"] = "confirmed".into();
    expected["confirmed"] = "2550.000".into();
    expected["revision"] = 1.into();
    expected["position"] = 101.into();
    assert_eq!(fold::<Orders>([created().into(), confirmed().into()]), expected);

    let cancelled = OrderCancelled { order_id: "1".into(), return_id: "C2".into() };
    expected["state"] = "cancelled".into();
    expected["revision"] = 2.into();
    expected["position"] = 102.into();
    let events = [created().into(), confirmed().into(), cancelled.into()];
    assert_eq!(fold::<Orders>(events), expected);

    let rejected = OrderRejected {
        order_id: "1".into(),
        day: date(2010, 12, 1),
        country: "France".into(),
        refused: vec![],
    };
    let row = fold::<Orders>([created().into(), rejected.into()]);
    assert_eq!((&row["state"], &row["confirmed"]), (&json!("rejected"), &Value::Null));
}

#[test]
fn a_customer_is_shown_as_registered() {
    let user = UserRegistered {
        user_id: "17850".into(),
        country: "France".into(),
        registered_at: date(2010, 12, 1).at(8, 26, 0, 0),
    };
    let expected = json!({ "user_id": "17850", "country": "France", "registered_at": "2010-12-01T08:26:00" });
    assert_eq!(fold::<Customers>([user.into()]), expected);
}

#[test]
fn stock_is_what_came_less_what_went() {
    let sku = || "22423".to_owned();
    let row = fold::<Stock>([
        StockReceived { sku: sku(), quantity: 10, delivery_id: "2010-12/22423".into() }.into(),
        StockReserved { sku: sku(), order_id: "1".into(), quantity: 4 }.into(),
        StockRefused { sku: sku(), order_id: "2".into(), quantity: 7 }.into(),
        StockReturned { sku: sku(), return_id: "C3".into(), quantity: 1 }.into(),
        StockCorrected { sku: sku(), invoice: "4".into(), requested: -9, applied: -7 }.into(),
    ]);
    let expected = json!({
        "sku": "22423",
        "received": 10,
        "reserved": 4,
        "returned": 1,
        "corrected": -7,
        "refused": 7,
        "on_hand": 0,
        "revision": 4,
    });
    assert_eq!(row, expected);
}

#[test]
fn revenue_is_booked_by_day_and_country() {
    let row =
        |column: &str, amount: &str, day: &str| json!([{ "day": day, "country": "France", column: amount }]);
    assert_eq!(deltas("OrderCreated", created()), row("ordered", "2550.000", "2010-12-01"));
    assert_eq!(deltas("OrderConfirmed", confirmed()), row("confirmed", "2550.000", "2010-12-01"));
    let returned = ReturnReceived {
        return_id: "C2".into(),
        customer_id: None,
        received_at: date(2010, 12, 3).at(9, 0, 0, 0),
        country: "France".into(),
        currency: Currency::Gbp,
        lines: vec![],
        credits: vec![],
        total: amount("1275.000"),
        undoes: None,
    };
    assert_eq!(deltas("ReturnReceived", returned), row("returned", "1275.000", "2010-12-03"));
}
