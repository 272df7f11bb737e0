//! Events and rules that once took gigabytes, or ended the process.

use aqueduct_core::Codec;
use aqueduct_schema::{MAX_EVENT_BYTES, MAX_VALUES, SchemaSet};
use bytes::Bytes;
use serde_json::{Value, json};

use crate::counting::peak;
use crate::support::versions;

/// What an event may take beyond its own bytes.
const BOUND: usize = 64 << 20;

/// Both ways of reading an event of version 1 within the bound; the message where it is refused.
fn bounded(set: &SchemaSet, stored: String) -> Result<(), String> {
    let stored = Bytes::from(stored);
    let length = stored.len();
    let (avro, peak_of_avro) = peak(|| set.to_avro("Happened", 1, &stored).map(drop));
    let (json, peak_of_json) = match &avro {
        // The canonical text of a large event is several copies of it.
        Ok(()) => (Ok(()), 0),
        Err(_) => peak(|| set.upcast("Happened", 1, &stored).map(drop)),
    };
    assert_eq!(avro.is_ok(), json.is_ok());
    let peak = peak_of_avro.max(peak_of_json);
    assert!(peak <= length + BOUND, "{} MiB for {} MiB", peak >> 20, length >> 20);
    avro.map_err(|error| error.to_string())
}

fn list(of: &Value) -> Value {
    json!({"type": "array", "items": of})
}

fn refused(set: &SchemaSet, stored: String) {
    let message = bounded(set, stored).unwrap_err();
    let limits = [
        "more than 1000000 values",
        "units of work",
        "MiB of memory",
        "that an event may have",
        "bytes in Avro",
    ];
    assert!(limits.iter().any(|limit| message.contains(limit)), "{message}");
}

#[test]
fn a_list_of_copies_of_a_list() {
    let old = json!([{"name": "x", "type": list(&json!("int"))}, {"name": "t", "type": "string"}]);
    let event = |items: usize, text: usize| json!({"x": vec![1; items], "t": "t".repeat(text)}).to_string();
    let by = |of: Value, rule: &str| {
        versions(&[old.clone(), json!([{"name": "y", "type": of, "upcast": rule}])]).unwrap()
    };
    let squares = by(list(&list(&json!("int"))), "old.x.map(a, old.x)");
    bounded(&squares, event(30, 0)).unwrap();
    refused(&squares, event(4_000, 0));
    let texts = by(list(&json!("string")), "old.x.map(a, old.t)");
    refused(&texts, event(4_000, 8_000));
    let joined = by(json!("string"), "string(size(old.x.map(a, old.t + old.t)))");
    refused(&joined, event(4_000, 8_000));
    let nested = by(json!("long"), "size(old.x.map(a, old.x.map(b, old.x.filter(c, c == a && c == b))))");
    refused(&nested, event(4_000, 0));
    let many = by(list(&list(&json!("int"))), &format!("[{}old.x]", "old.x,".repeat(164)));
    bounded(&many, event(1_000, 0)).unwrap();
    refused(&many, event(500_000, 0));
}

#[test]
fn a_large_field_copied_into_many_places() {
    let line = |fields: Value| list(&json!({"type": "record", "name": "Line", "fields": fields}));
    let old = json!([{"name": "t", "type": "string"}, {"name": "lines", "type": line(json!([]))}]);
    let new = line(json!([{"name": "t", "type": "string", "upcast": "event.t"}]));
    let set = versions(&[old, json!([{"name": "lines", "type": new}])]).unwrap();
    let event = |text: usize, lines: usize| json!({"t": "t".repeat(text), "lines": vec![json!({}); lines]});
    bounded(&set, event(10, 100_000).to_string()).unwrap();
    refused(&set, event(1_000, 100_000).to_string());

    let fields: Vec<_> =
        (0..200).map(|n| json!({"name": format!("f{n}"), "type": "string", "upcast": "old.t"})).collect();
    let set = versions(&[json!([{"name": "t", "type": "string"}]), fields.into()]).unwrap();
    bounded(&set, json!({"t": "t".repeat(80_000)}).to_string()).unwrap();
    refused(&set, json!({"t": "t".repeat(8 << 20)}).to_string());
}

#[test]
fn defaults_that_are_filled_in() {
    let line = |fields: Value| {
        json!([{"name": "lines", "type": list(
        &json!({"type": "record", "name": "Line", "fields": fields}))}])
    };
    let with_default =
        |bytes: usize| line(json!([{"name": "t", "type": "string", "default": "t".repeat(bytes)}]));
    let event = |lines: usize| format!("{{\"lines\":[{}{{}}]}}", "{},".repeat(lines - 1));
    for set in [
        versions(&[line(json!([])), with_default(1_000_000)]).unwrap(),
        versions(&[with_default(1_000_000)]).unwrap(),
        versions(&[with_default(1_000_000), with_default(1)]).unwrap(),
    ] {
        bounded(&set, event(12)).unwrap();
        refused(&set, event(8_000));
    }
    for set in [
        versions(&[with_default(1 << 10)]).unwrap(),
        versions(&[line(json!([])), with_default(1 << 10)]).unwrap(),
    ] {
        bounded(&set, event(12_000)).unwrap();
        refused(&set, event(4_000_000));
    }
}

/// Each step alone is within the limits.
#[test]
fn a_chain_that_doubles_at_each_step() {
    let version = |n: usize| match n {
        0 => json!([{"name": "x", "type": list(&json!("string"))}]),
        _ => json!([{"name": "x", "type": list(&json!("string")), "upcast": "old.x + old.x"}]),
    };
    let chain = |length: usize| versions(&(0..length).map(version).collect::<Vec<_>>()).unwrap();
    bounded(&chain(10), json!({"x": ["a"]}).to_string()).unwrap();
    refused(&chain(40), json!({"x": ["a"]}).to_string());
}

#[test]
fn a_rule_may_copy_every_element_once() {
    let copy = |of: &Value| {
        let versions = versions(&[
            json!([{"name": "x", "type": list(of)}]),
            json!([{"name": "y", "type": list(of), "upcast": "old.x.map(a, a)"}]),
        ]);
        versions.unwrap()
    };
    let event =
        |item: &str, count: usize| format!("{{\"x\":[{}{item}]}}", format!("{item},").repeat(count - 1));
    // The list itself and the event are values too.
    let most = MAX_VALUES - 2;
    bounded(&copy(&json!("int")), event("1", most)).unwrap();
    bounded(&copy(&json!("double")), event("1.5", most)).unwrap();
    bounded(&copy(&json!("string")), event("\"aaaaaaaaaaaaa\"", most)).unwrap();
    let decimal = json!({"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2});
    bounded(&copy(&decimal), event("\"1.00\"", most)).unwrap();
    refused(&copy(&json!("int")), event("1", MAX_VALUES + 1));
    let long = json!({"x": ["t".repeat(MAX_EVENT_BYTES - 100)]}).to_string();
    bounded(&copy(&json!("string")), long).unwrap();
}

/// A list in a list in a list: each item is fitted once, so that the cost does not double with each level.
#[test]
fn deep_lists_are_fitted_once() {
    let nested = |of: Value| (0..25).fold(of, |of, _| list(&of));
    let decimal = |precision: u32, scale: u32| json!({"type": "bytes", "logicalType": "decimal", "precision": precision, "scale": scale});
    let old = json!([{"name": "x", "type": nested(decimal(5, 1))}]);
    let new = json!([{"name": "y", "type": nested(decimal(6, 2)), "upcast": "old.x"}]);
    let set = versions(&[old, new]).unwrap();
    let event = (0..25).fold(json!("1.5"), |of, _| json!([of]));
    bounded(&set, json!({"x": event}).to_string()).unwrap();
}
