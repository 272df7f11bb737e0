//! Every type, by hand.

use serde_json::{Value, json};

use super::*;
use crate::json::Json;

const SCHEMA: &str = r#"{
    "type": "record", "name": "a.Everything", "fields": [
        {"name": "flag", "type": "boolean"},
        {"name": "count", "type": "int"},
        {"name": "big", "type": "long"},
        {"name": "ratio", "type": "double"},
        {"name": "name", "type": ["null", "string"]},
        {"name": "id", "type": {"type": "string", "logicalType": "uuid"}},
        {"name": "blob", "type": "bytes"},
        {"name": "amount", "type": {"type": "bytes", "logicalType": "decimal", "precision": 18, "scale": 3}},
        {"name": "day", "type": {"type": "int", "logicalType": "date"}},
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
        {"name": "local", "type": {"type": "long", "logicalType": "local-timestamp-millis"}},
        {"name": "kind", "type": {"type": "enum", "name": "Kind", "symbols": ["A", "B"]}},
        {"name": "other", "type": "Kind"},
        {"name": "parts", "type": {"type": "array", "items": {
            "type": "record", "name": "Part", "fields": [{"name": "n", "type": "int"}]}}},
        {"name": "part", "type": ["null", "Part"]},
        {"name": "labels", "type": {"type": "map", "values": "int"}}
    ]}"#;

/// The datum of `json()`, by hand.
fn datum() -> Vec<u8> {
    let mut bytes = vec![1, 5]; // flag, count -3
    bytes.extend([0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x20]); // big 2^53
    bytes.extend(0.5_f64.to_le_bytes());
    bytes.extend([2, 4, b'h', b'i']); // name
    bytes.push(72);
    bytes.extend(b"6ba7b810-9dad-11d1-80b4-00c04fd430c8");
    bytes.extend([6, 1, 2, 255]); // blob
    bytes.extend([6, 0x03, 0xe4, 0x18]); // amount 255000
    bytes.extend([2]); // day 1
    bytes.extend([0xd0, 0x0f]); // at 1000 ms
    bytes.extend([0xd1, 0x0f]); // local -1001 ms
    bytes.extend([2, 0]); // kind B, other A
    bytes.extend([4, 2, 4, 0]); // parts 1, 2
    bytes.extend([2, 6]); // part 3
    bytes.extend([2, 2, b'k', 8, 0]); // labels k 4
    bytes
}

fn json() -> Value {
    json!({
        "flag": true, "count": -3, "big": "9007199254740992", "ratio": 0.5, "name": "hi",
        "id": "6BA7B810-9dad-11d1-80b4-00c04fd430c8", "blob": "AQL/", "amount": "255.000",
        "day": "1970-01-02", "at": "1970-01-01T00:00:01Z", "local": "1969-12-31T23:59:58.999",
        "kind": "B", "other": "A", "parts": [{"n": 1}, {"n": 2}], "part": {"n": 3}, "labels": {"k": 4},
    })
}

fn differs(schema: &Schema, json: &Value, bytes: &[u8]) -> Option<String> {
    let found = schema.decode(bytes).unwrap();
    match schema.expect(&Json::from(json)) {
        Ok(expected) => difference(&expected, &found),
        Err(misfit) => Some(misfit),
    }
}

fn compare(json: &Value) -> Option<String> {
    let schema = Schema::parse(SCHEMA).unwrap();
    differs(&schema, json, &datum())
}

#[test]
fn one_thing_said_in_json_and_in_avro_is_the_same() {
    assert_eq!(compare(&json()), None);
    let mut other = json();
    (other["amount"], other["big"]) = (json!(255), json!(9_007_199_254_740_992_i64));
    assert_eq!(compare(&other), None);
}

#[test]
fn numbers_are_compared_by_value() {
    let mut other = json();
    (other["count"], other["ratio"], other["amount"]) = (json!(-3.0), json!(5e-1), json!(2.55e2));
    (other["at"], other["big"]) = (json!("1970-01-01T02:00:01.000+02:00"), json!(9_007_199_254_740_992_f64));
    assert_eq!(compare(&other), None);
}

#[test]
fn a_missing_value_is_null_or_its_default() {
    let schema = r#"{"type": "record", "name": "a.B", "fields": [
        {"name": "n", "type": ["null", "int"], "default": null}, {"name": "m", "type": "int", "default": 7}]}"#;
    let schema = Schema::parse(schema).unwrap();
    let compare = |json: Value, bytes: &[u8]| differs(&schema, &json, bytes);
    assert_eq!(compare(json!({}), &[0, 14]), None);
    assert_eq!(compare(json!({"m": null}), &[0, 14]).as_deref(), Some(".m: null is not an int"));
    assert_eq!(compare(json!({}), &[2, 2, 14]).as_deref(), Some(".n: 1 instead of null"));
}

#[test]
fn a_difference_in_any_type_is_named_with_its_place() {
    let cases = [
        ("/flag", json!(false), ".flag: true instead of false"),
        ("/count", json!(3), ".count: -3 instead of 3"),
        ("/big", json!("9007199254740993"), ".big: 9007199254740992 instead of 9007199254740993"),
        ("/ratio", json!(0.25), ".ratio: 0.5 instead of 0.25"),
        ("/name", json!(null), ".name: \"hi\" instead of null"),
        ("/id", json!("6ba7b811"), ".id: \"6ba7b811\" is not a UUID"),
        ("/blob", json!("AQI="), ".blob: 3 bytes instead of 2 bytes"),
        ("/amount", json!("255.0001"), ".amount: \"255.0001\" is not a decimal(18, 3)"),
        ("/day", json!("1970-01-03"), ".day: 1 instead of 2"),
        ("/at", json!("1970-01-01T00:00:01.001Z"), ".at: 1000 instead of 1001"),
        ("/local", json!("1970-01-01T00:00:00"), ".local: -1001 instead of 0"),
        ("/kind", json!("A"), ".kind: \"B\" instead of \"A\""),
        ("/parts", json!([{"n": 1}]), ".parts: a list of 2 instead of a list of 1"),
        ("/parts/1/n", json!(3), ".parts[1].n: 2 instead of 3"),
        ("/part", json!(null), ".part: a record instead of null"),
        ("/labels/k", json!(5), ".labels.k: 4 instead of 5"),
        ("/labels", json!({}), ".labels: a map of 1 instead of a map of 0"),
    ];
    for (place, value, text) in cases {
        let mut other = json();
        *other.pointer_mut(place).unwrap() = value;
        assert_eq!(compare(&other).as_deref(), Some(text), "{place}");
    }
    let mut more = json();
    more["more"] = json!(1);
    assert_eq!(compare(&more).as_deref(), Some(".more: is not a field of the schema"));
    let mut less = json();
    less.as_object_mut().unwrap().remove("count");
    assert_eq!(compare(&less).as_deref(), Some(".count: is missing"));
}

#[test]
fn bytes_that_are_no_datum_are_refused() {
    let schema = Schema::parse(SCHEMA).unwrap();
    let mut bytes = datum();
    bytes.push(0);
    assert_eq!(schema.decode(&bytes), Err("1 bytes are left over".to_owned()));
    assert!(schema.decode(&datum()[..40]).is_err());
}

#[test]
fn a_type_may_be_named_before_it_is_defined() {
    let schema = Schema::parse(
        r#"{"type": "record", "name": "E", "namespace": "a", "fields": [
            {"name": "first", "type": "b.Part"},
            {"name": "second", "type": {"type": "record", "name": "Part", "namespace": "b", "fields": [
                {"name": "n", "type": "Size"}]}},
            {"name": "size", "type": {"type": "enum", "name": "b.Size", "symbols": ["S", "L"]}}]}"#,
    );
    let event = json!({"first": {"n": "S"}, "second": {"n": "L"}, "size": "L"});
    assert_eq!(differs(&schema.unwrap(), &event, &[0, 2, 2]), None);
    let unknown = r#"{"type": "record", "name": "E", "fields": [{"name": "first", "type": "Part"}]}"#;
    assert_eq!(
        Schema::parse(unknown).unwrap_err().to_string(),
        "schema is not understood: the type Part is not defined"
    );
    // Each names the next one, and the stack of a thread has an end.
    let record = |n: usize, of: String| {
        json!({"name": format!("f{n}"), "type": {"type": "record", "name": format!("R{n}"), "fields": [
            {"name": "x", "type": of}]}})
    };
    let chain = |length: usize| {
        let last = record(length, "int".to_owned());
        let fields: Vec<_> = (0..length).map(|n| record(n, format!("R{}", n + 1))).chain([last]).collect();
        Schema::parse(&json!({"type": "record", "name": "E", "fields": fields}).to_string())
    };
    chain(100).unwrap();
    chain(101).unwrap_err();
}
