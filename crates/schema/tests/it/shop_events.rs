//! The shop's own schemas: version 1 of OrderCreated becomes version 2, exactly.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use aqueduct_core::Codec;
use aqueduct_schema::SchemaSet;
use bytes::Bytes;
use proptest::prelude::*;
use serde_json::{Value, json};

pub(crate) fn shop() -> Arc<SchemaSet> {
    static SET: OnceLock<Arc<SchemaSet>> = OnceLock::new();
    let load = || {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schemas");
        Arc::new(SchemaSet::load(folder).unwrap())
    };
    SET.get_or_init(load).clone()
}

fn upcast(version_1: &Value) -> Result<Value, String> {
    let stored = Bytes::from(version_1.to_string());
    let latest = shop().upcast("OrderCreated", 1, &stored).map_err(|error| error.to_string())?;
    Ok(serde_json::from_slice(&latest).unwrap())
}

fn order(lines: Value, charges: Value) -> Value {
    json!({
        "orderId": "536365",
        "customer": "17850",
        "placed": "2010-12-01 08:26:00",
        "country": "United Kingdom",
        "lines": lines,
        "charges": charges,
    })
}

#[test]
fn an_order_of_version_1_becomes_version_2() {
    let version_1 = order(
        json!([
            {"sku": "85123a", "description": "HOLDER", "quantity": 6, "unitPrice": "2.55"},
            {"sku": "71053", "description": "LANTERN", "quantity": 2, "unitPrice": "3.39"},
        ]),
        json!([{"code": "POST", "description": "POSTAGE", "quantity": 1, "unitPrice": "18"}]),
    );
    let expected = json!({
        "orderId": "536365",
        "customerId": "17850",
        "placedAt": "2010-12-01T08:26:00.000",
        "country": "United Kingdom",
        "currency": "GBP",
        "lines": [
            {"sku": "85123a", "description": "HOLDER", "quantity": 6, "unitPrice": "255.000"},
            {"sku": "71053", "description": "LANTERN", "quantity": 2, "unitPrice": "339.000"},
        ],
        "charges": [{"code": "POST", "description": "POSTAGE", "quantity": 1, "unitPrice": "1800.000"}],
        "total": "4008.000",
    });
    assert_eq!(upcast(&version_1).unwrap(), expected);
}

#[test]
fn a_tenth_of_a_penny_stays_one() {
    let line = json!([{"sku": "PADS", "description": "PADS", "quantity": 1, "unitPrice": "0.001"}]);
    let latest = upcast(&order(line, json!([]))).unwrap();
    assert_eq!(latest["lines"][0]["unitPrice"], "0.100");
    assert_eq!(latest["total"], "0.100");
}

#[test]
fn money_that_has_no_exact_form_is_refused_and_named() {
    let line = json!([{"sku": "PADS", "description": "PADS", "quantity": 1, "unitPrice": "0.000001"}]);
    let refused = upcast(&order(line, json!([]))).unwrap_err();
    assert_eq!(
        refused,
        "event type OrderCreated, version 1: upcasting to version 2: lines[0].unitPrice: its upcast rule \
         failed: minorUnits: 0.000100 has more than 3 decimals, and values are not \
         rounded"
    );
}

#[test]
fn the_latest_version_comes_back_byte_for_byte() {
    let stored = Bytes::from_static(b"{\"sku\":\"A\",  \"quantity\":1,\"deliveryId\":\"2010-12/A\"}");
    assert_eq!(shop().upcast("StockReceived", 1, &stored).unwrap(), stored);
}

#[test]
fn what_does_not_fit_is_refused_with_the_fields_path() {
    let refuse = |event_type: &str, json: Value| {
        shop().encode(event_type, json.to_string().into_bytes()).unwrap_err().to_string()
    };
    let line = json!([{"sku": "A", "description": "", "quantity": "3.5", "unitPrice": "1"}]);
    let error = shop().check("OrderCreated", 1, order(line, json!([])).to_string().into_bytes());
    let in_line = "event type OrderCreated, version 1: lines[0].quantity: \"3.5\" is not a whole number \
                   of 32 bits";
    assert_eq!(error.unwrap_err().to_string(), in_line);
    assert_eq!(
        refuse("StockReceived", json!({"sku": "A", "quantity": 1})),
        "event type StockReceived, version 1: deliveryId: missing"
    );
    assert_eq!(
        refuse("StockReceived", json!({"sku": "A", "quantity": 1, "deliveryId": "x", "colour": "red"})),
        "event type StockReceived, version 1: colour: shop.inventory.StockReceived has no such field"
    );
    assert_eq!(
        refuse("StockVanished", json!({})),
        "event type StockVanished, version 0: there is no schema for this event type; event types are the names of the schema folders"
    );
    let unknown = shop().upcast("StockReceived", 7, &Bytes::new()).unwrap_err();
    assert_eq!(
        unknown.to_string(),
        "event type StockReceived, version 7: there is no schema of this version, only of versions 1 to 1"
    );
}

fn pounds() -> impl Strategy<Value = (i64, String)> {
    // Up to a million pounds in tenths of a penny's hundredth: what three decimals of a penny can hold.
    (0_i64..100_000_000_000, 0_usize..=5).prop_map(|(hundred_thousandths, decimals)| {
        let unit = 10_i64.pow(5 - u32::try_from(decimals).unwrap());
        let number = hundred_thousandths / unit * unit;
        let text = format!("{}.{:05}", number / 100_000, number % 100_000);
        let text = text[..text.len() - (5 - decimals)].trim_end_matches('.').to_owned();
        (number, text)
    })
}

proptest! {
    /// The money before and after, counted in hundred-thousandths of a pound by whole numbers.
    #[test]
    fn upcasting_never_changes_the_money(
        lines in prop::collection::vec((pounds(), -1_000_i64..1_000), 0..8),
        charges in prop::collection::vec((pounds(), 1_i64..1_000), 0..3),
    ) {
        let item = |key: &str, ((_, price), quantity): &((i64, String), i64)| {
            json!({key: "x", "description": "", "quantity": quantity, "unitPrice": price})
        };
        let version_1 = order(
            lines.iter().map(|line| item("sku", line)).collect(),
            charges.iter().map(|charge| item("code", charge)).collect(),
        );
        let latest = upcast(&version_1).unwrap();
        let thousandths = |json: &Value| -> i128 {
            let text = json.as_str().unwrap();
            assert_eq!(text.rsplit_once('.').unwrap().1.len(), 3);
            text.replace('.', "").parse().unwrap()
        };
        let mut total = 0;
        for (name, items) in [("lines", &lines), ("charges", &charges)] {
            for (n, ((price, _), quantity)) in items.iter().enumerate() {
                prop_assert_eq!(thousandths(&latest[name][n]["unitPrice"]), i128::from(*price));
                total += i128::from(*price) * i128::from(*quantity);
            }
        }
        prop_assert_eq!(thousandths(&latest["total"]), total);
    }
}

/// What the rules gave before they had types: the same bytes, or a refusal at the same place.
#[test]
fn upcasts_give_the_bytes_that_they_gave() {
    let recorded =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/shop-upcasts.jsonl"));
    let mut upcast = 0;
    for line in recorded.unwrap().lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        let stored = Bytes::from(line["stored"].as_str().unwrap().to_owned());
        match shop().upcast("OrderCreated", 1, &stored) {
            Ok(latest) => {
                let avro = shop().to_avro("OrderCreated", 1, &stored).unwrap();
                let avro: String = avro.iter().map(|byte| format!("{byte:02x}")).collect();
                assert_eq!(latest, line["latest"].as_str().unwrap());
                assert_eq!(avro, line["avro"]);
                upcast += 1;
            }
            Err(error) => assert_eq!(json!(error.place), line["refused"], "{error}: {line}"),
        }
    }
    assert_eq!(upcast, 25);
}
