//! The change of OrderCreated from version 1 to 2, written by hand: what consumers must see of an order that
//! the old orders service took.

use serde_json::{Map, Value, json};

use crate::book::Money;
use crate::expect::minor;
use crate::lines::PRICE_PLACES;
use aqueduct_verify::scaled;

/// OrderCreated is at version 2, everything else at version 1.
pub(crate) fn latest(event_type: &str, version: u32, data: Value) -> Result<(u32, Value), String> {
    match (event_type, version) {
        ("OrderCreated", 1) => Ok((2, order_created(&data)?)),
        ("OrderCreated", 2) => Ok((2, data)),
        ("OrderCreated", _) | (_, 0 | 2..) => Err(format!("there is no version {version} of {event_type}")),
        (_, 1) => Ok((1, data)),
    }
}

/// Version 2 of the event: amounts in minor units with a currency, the total, and times as timestamps. The
/// old service knew pounds only.
fn order_created(old: &Value) -> Result<Value, String> {
    let text = |name: &str| field(old, name).and_then(|value| value.as_str().ok_or(name_of(name)));
    let (lines, cost) = items(field(old, "lines")?)?;
    let (charges, more) = items(field(old, "charges")?)?;
    Ok(json!({
        "orderId": text("orderId")?,
        "customerId": old.get("customer").unwrap_or(&Value::Null),
        "placedAt": crate::expected::local_timestamp(text("placed")?),
        "country": text("country")?,
        "currency": "GBP",
        "lines": lines,
        "charges": charges,
        "total": minor(cost + more),
    }))
}

/// Lines or charges with their prices in minor units, and what they come to.
fn items(old: &Value) -> Result<(Vec<Value>, Money), String> {
    let (mut items, mut sum) = (Vec::new(), 0);
    for item in old.as_array().ok_or("lines or charges are no list")? {
        let mut item: Map<String, Value> = item.as_object().ok_or("a line is not a record")?.clone();
        let pounds = item.get("unitPrice").and_then(Value::as_str);
        // A price of 10^-5 pounds is a thousandth of a penny: the same number at three places.
        let price = pounds.and_then(|text| scaled(text, PRICE_PLACES)).ok_or_else(|| name_of("unitPrice"))?;
        let quantity = item.get("quantity").and_then(Value::as_i64).ok_or_else(|| name_of("quantity"))?;
        sum += price * Money::from(quantity);
        item.insert("unitPrice".to_owned(), Value::String(minor(price)));
        items.push(Value::Object(item));
    }
    Ok((items, sum))
}

fn field<'a>(record: &'a Value, name: &str) -> Result<&'a Value, String> {
    record.get(name).ok_or_else(|| name_of(name))
}

fn name_of(field: &str) -> String {
    format!("OrderCreated version 1 has no readable {field}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pounds_become_minor_units_exactly() {
        let old = json!({
            "orderId": "536365", "customer": "17850", "placed": "2010-12-01 08:26:00", "country": "EIRE",
            "lines": [
                {"sku": "85123A", "description": "A", "quantity": 6, "unitPrice": "2.55"},
                {"sku": "PADS", "description": "PADS TO MATCH", "quantity": 3, "unitPrice": "0.001"},
            ],
            "charges": [{"code": "POST", "description": "", "quantity": 1, "unitPrice": "18"}],
        });
        let new = json!({
            "orderId": "536365", "customerId": "17850", "placedAt": "2010-12-01T08:26:00.000",
            "country": "EIRE", "currency": "GBP",
            "lines": [
                {"sku": "85123A", "description": "A", "quantity": 6, "unitPrice": "255"},
                {"sku": "PADS", "description": "PADS TO MATCH", "quantity": 3, "unitPrice": "0.1"},
            ],
            "charges": [{"code": "POST", "description": "", "quantity": 1, "unitPrice": "1800"}],
            "total": "3330.3",
        });
        assert_eq!(order_created(&old), Ok(new));
    }

    #[test]
    fn what_is_no_version_1_is_named() {
        let error = order_created(&json!({"orderId": "1", "lines": [{"unitPrice": "x"}]})).unwrap_err();
        assert_eq!(error, "OrderCreated version 1 has no readable unitPrice");
    }
}
