//! What the JSON of an event must say, compared typed: amounts as exact numbers, everything else as it is.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::book::Money;
use crate::lines::PRICE_PLACES;
use aqueduct_verify::{scaled, trimmed};

/// Minor units with three places: [`Money`] counts the same.
const MINOR_PLACES: u32 = 3;

/// A value that is expected.
#[derive(Debug, Clone)]
pub(crate) enum Expect {
    /// Null, or not there.
    Nothing,
    Text(String),
    /// Text, whatever its case.
    AnyCase(String),
    Number(i64),
    /// A decimal string of minor units.
    Minor(Money),
    /// A decimal string of pounds, as the old orders service wrote it.
    Pounds(Money),
    List(Vec<Expect>),
    Record(Vec<(&'static str, Expect)>),
    /// A list of records with these numbers by that text field, in any order.
    Quantities(BTreeMap<Box<str>, i64>),
}

pub(crate) fn text(text: &str) -> Expect {
    Expect::Text(text.to_owned())
}

pub(crate) fn optional(value: Option<&str>) -> Expect {
    value.map_or(Expect::Nothing, text)
}

impl Expect {
    /// Where and how `found` differs, `None` if it does not.
    pub(crate) fn difference(&self, found: Option<&Value>) -> Option<String> {
        let differs = |expected: &str| {
            let found = found.map_or_else(|| "nothing".to_owned(), brief);
            Some(format!(": expected {expected}, found {found}"))
        };
        match (self, found) {
            (Self::Nothing, None | Some(Value::Null)) => None,
            (Self::Nothing, _) => differs("nothing"),
            (Self::Text(expected), Some(Value::String(found))) if expected == found => None,
            (Self::AnyCase(expected), Some(Value::String(found))) if expected.eq_ignore_ascii_case(found) => {
                None
            }
            (Self::Text(expected) | Self::AnyCase(expected), _) => differs(&format!("{expected:?}")),
            (Self::Number(expected), Some(Value::Number(found))) if found.as_i64() == Some(*expected) => None,
            (Self::Number(expected), _) => differs(&expected.to_string()),
            (Self::Minor(expected), Some(Value::String(found)))
                if scaled(found, MINOR_PLACES) == Some(*expected) =>
            {
                None
            }
            (Self::Minor(expected), _) => differs(&minor(*expected)),
            (Self::Pounds(expected), Some(Value::String(found)))
                if scaled(found, PRICE_PLACES) == Some(*expected) =>
            {
                None
            }
            (Self::Pounds(expected), _) => differs(&trimmed(*expected, PRICE_PLACES as usize)),
            (Self::List(expected), Some(Value::Array(found))) => {
                if expected.len() != found.len() {
                    return Some(format!(": expected {} entries, found {}", expected.len(), found.len()));
                }
                expected.iter().zip(found).enumerate().find_map(|(n, (expected, found))| {
                    expected.difference(Some(found)).map(|text| format!("[{n}]{text}"))
                })
            }
            (Self::List(_), _) => differs("a list"),
            (Self::Record(expected), Some(Value::Object(found))) => {
                let wrong = expected.iter().find_map(|(name, expected)| {
                    expected.difference(found.get(*name)).map(|text| format!(".{name}{text}"))
                });
                wrong.or_else(|| {
                    let unknown = found.keys().find(|name| expected.iter().all(|(known, _)| known != name));
                    unknown.map(|name| format!(".{name}: is not a field of this version"))
                })
            }
            (Self::Record(_), _) => differs("a record"),
            (Self::Quantities(expected), Some(Value::Array(found))) => quantities(expected, found),
            (Self::Quantities(_), _) => differs("a list"),
        }
    }
}

/// Minor units as text.
pub(crate) fn minor(amount: Money) -> String {
    trimmed(amount, MINOR_PLACES as usize)
}

fn quantities(expected: &BTreeMap<Box<str>, i64>, found: &[Value]) -> Option<String> {
    let mut left = expected.clone();
    for entry in found {
        let sku = entry.get("sku").and_then(Value::as_str).unwrap_or_default();
        match left.remove(sku) {
            Some(quantity) => {
                let expected =
                    Expect::Record(vec![("sku", text(sku)), ("quantity", Expect::Number(quantity))]);
                if let Some(text) = expected.difference(Some(entry)) {
                    return Some(format!("[{sku}]{text}"));
                }
            }
            None => return Some(format!(": names {} where it should not", brief(entry))),
        }
    }
    left.keys().next().map(|sku| format!(": lacks {sku}"))
}

/// The JSON, cut where it is long.
fn brief(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(80) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_difference_is_named_with_its_place() {
        let expected = Expect::Record(vec![
            ("orderId", text("1")),
            ("customerId", Expect::Nothing),
            ("total", Expect::Minor(255_000)),
            ("lines", Expect::List(vec![Expect::Record(vec![("price", Expect::Pounds(255_000))])])),
            ("reserved", Expect::Quantities([("A".into(), 1), ("B".into(), 2)].into())),
        ]);
        let good = json!({
            "orderId": "1", "customerId": null, "total": "255.000", "lines": [{"price": "2.550"}],
            "reserved": [{"sku": "B", "quantity": 2}, {"sku": "A", "quantity": 1}],
        });
        assert_eq!(expected.difference(Some(&good)), None);
        let cases = [
            ("/orderId", json!("2"), ".orderId: expected \"1\", found \"2\""),
            ("/customerId", json!("7"), ".customerId: expected nothing, found \"7\""),
            ("/total", json!("255.001"), ".total: expected 255, found \"255.001\""),
            ("/lines", json!([]), ".lines: expected 1 entries, found 0"),
            ("/lines/0/price", json!("2.56"), ".lines[0].price: expected 2.55, found \"2.56\""),
            ("/lines/0", json!({"price": "2.55", "x": 1}), ".lines[0].x: is not a field of this version"),
            ("/reserved/0/quantity", json!(3), ".reserved[B].quantity: expected 2, found 3"),
            ("/reserved/0/sku", json!("A"), ".reserved[A].quantity: expected 1, found 2"),
            (
                "/reserved/0/sku",
                json!("C"),
                ".reserved: names {\"sku\":\"C\",\"quantity\":2} where it should not",
            ),
            ("/reserved", json!([{"sku": "B", "quantity": 2}]), ".reserved: lacks A"),
        ];
        for (place, value, text) in cases {
            let mut wrong = good.clone();
            *wrong.pointer_mut(place).unwrap() = value;
            let found = expected.difference(Some(&wrong)).expect(text);
            // Whether JSON objects keep their order depends on a feature another crate may switch on.
            assert_eq!(
                found.replace("{\"quantity\":2,\"sku\":\"C\"}", "{\"sku\":\"C\",\"quantity\":2}"),
                text
            );
        }
    }
}
