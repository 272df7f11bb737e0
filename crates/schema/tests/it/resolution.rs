//! What Avro's resolution and rules make of an older event.

use aqueduct_core::Codec;
use aqueduct_schema::MAX_VALUES;
use bytes::Bytes;
use serde_json::{Value, json};

use crate::support::versions;

/// Upcasts an event of version 1.
fn upcast(of: &[Value], stored: Value) -> Result<Value, String> {
    let set = versions(of).unwrap();
    let latest = set.upcast("Happened", 1, &Bytes::from(stored.to_string()));
    latest.map(|json| serde_json::from_slice(&json).unwrap()).map_err(|error| error.to_string())
}

fn field(name: &str, of: Value) -> Value {
    json!([{"name": name, "type": of}])
}

#[test]
fn aliases_defaults_and_removed_fields() {
    let old = json!([{"name": "a", "type": "int"}, {"name": "gone", "type": "string"}]);
    let new = json!([
        {"name": "b", "type": "int", "aliases": ["a"], "default": 7},
        {"name": "c", "type": ["null", "string"], "default": null},
        {"name": "d", "type": {"type": "bytes", "logicalType": "decimal", "precision": 4, "scale": 2},
            "default": "\u{1}\u{0}"},
        {"name": "e", "type": {"type": "int", "logicalType": "date"}, "default": 1},
        {"name": "f", "type": {"type": "array", "items": "bytes"}, "default": ["\u{ff}"]},
    ]);
    let expected = json!({"b": 1, "c": null, "d": "2.56", "e": "1970-01-02", "f": ["/w=="]});
    assert_eq!(upcast(&[old, new], json!({"a": 1, "gone": "x"})).unwrap(), expected);
}

/// The Avro crate's reader takes the default here, silently: its aliases are never applied.
#[test]
fn aliases_of_fields_in_nested_records_win_over_their_defaults() {
    let part = |field: Value| {
        let part = json!({"type": "record", "name": "Part", "fields": [field]});
        json!([{"name": "parts", "type": {"type": "array", "items": part}}])
    };
    let old = part(json!({"name": "a", "type": "int"}));
    let new = part(json!({"name": "b", "type": "int", "aliases": ["a"], "default": 7}));
    let stored = json!({"parts": [{"a": 1}, {"a": 2}]});
    assert_eq!(upcast(&[old, new], stored).unwrap(), json!({"parts": [{"b": 1}, {"b": 2}]}));
}

/// An alias renames the older field before names are compared, once: the versions after it keep it.
#[test]
fn an_alias_frees_the_name_of_its_field() {
    let old = json!([{"name": "a", "type": "string"}, {"name": "b", "type": "string"}]);
    let swapped = json!([
        {"name": "a", "type": "string", "aliases": ["b"]}, {"name": "b", "type": "string", "aliases": ["a"]},
    ]);
    let stored = json!({"a": "1", "b": "2"});
    let expected = json!({"a": "2", "b": "1"});
    assert_eq!(upcast(&[old.clone(), swapped.clone()], stored.clone()).unwrap(), expected);
    assert_eq!(upcast(&[old, swapped.clone(), swapped], stored).unwrap(), expected);
    let reused = json!([
        {"name": "b", "type": "string", "aliases": ["a"]}, {"name": "a", "type": "string", "default": "new"},
    ]);
    let old = field("a", json!("string"));
    let versions = [old, reused.clone(), reused];
    assert_eq!(upcast(&versions, json!({"a": "x"})).unwrap(), json!({"a": "new", "b": "x"}));
}

#[test]
fn promotions() {
    let cases = [
        ("int", "long", json!(5), json!(5)),
        ("int", "float", json!(5), json!(5.0)),
        ("int", "double", json!(5), json!(5.0)),
        ("long", "double", json!("9007199254740993"), json!(9007199254740992.0)),
        ("float", "double", json!(0.5), json!(0.5)),
        ("string", "bytes", json!("ä"), json!("w6Q=")),
        ("bytes", "string", json!("w6Q="), json!("ä")),
    ];
    for (old, new, stored, expected) in cases {
        let versions = [field("x", json!(old)), field("x", json!(new))];
        assert_eq!(
            upcast(&versions, json!({"x": stored})).unwrap(),
            json!({"x": expected}),
            "{old} to {new}"
        );
    }
    let invalid = upcast(&[field("x", json!("bytes")), field("x", json!("string"))], json!({"x": "/w=="}));
    assert!(invalid.unwrap_err().contains("x: bytes that are not UTF-8 text"));
}

#[test]
fn unions_widen_and_enums_lose_symbols() {
    let array = json!({"type": "array", "items": "int"});
    let versions = [field("x", json!(["null", "int"])), field("x", json!(["null", array, "double"]))];
    assert_eq!(upcast(&versions, json!({"x": 3})).unwrap(), json!({"x": 3.0}));
    assert_eq!(upcast(&versions, json!({"x": null})).unwrap(), json!({"x": null}));
    let into = [field("x", json!("string")), field("x", json!(["null", "string"]))];
    assert_eq!(upcast(&into, json!({"x": "a"})).unwrap(), json!({"x": "a"}));
    let colours =
        |symbols: Value| json!({"type": "enum", "name": "C", "symbols": symbols, "default": "NONE"});
    let fewer = [field("x", colours(json!(["RED", "NONE"]))), field("x", colours(json!(["NONE", "BLUE"])))];
    assert_eq!(upcast(&fewer, json!({"x": "RED"})).unwrap(), json!({"x": "NONE"}));
}

#[test]
fn a_chain_runs_through_every_version() {
    let versions = [
        field("a", json!("int")),
        json!([{"name": "b", "type": "long", "upcast": "old.a * 10"}]),
        json!([{"name": "c", "type": "string", "upcast": "string(old.b + 1)"}]),
    ];
    assert_eq!(upcast(&versions, json!({"a": 4})).unwrap(), json!({"c": "41"}));
}

#[test]
fn a_record_that_holds_itself() {
    let tree = |fields: Value| {
        let mut fields = fields.as_array().unwrap().clone();
        fields.push(json!({"name": "children", "type": {"type": "array", "items": "Tree"}}));
        field("root", json!({"type": "record", "name": "Tree", "fields": fields}))
    };
    let versions = [
        tree(json!([{"name": "size", "type": "int"}])),
        tree(json!([{"name": "big", "type": "boolean", "upcast": "old.size > event.root.size"}])),
    ];
    let stored = json!({"root": {"size": 2, "children": [
        {"size": 3, "children": []}, {"size": 1, "children": []},
    ]}});
    let expected = json!({"root": {"big": false, "children": [
        {"big": true, "children": []}, {"big": false, "children": []},
    ]}});
    assert_eq!(upcast(&versions, stored).unwrap(), expected);
}

#[test]
fn rules_see_longs_as_ints_and_bytes_as_bytes() {
    let old = json!([
        {"name": "n", "type": "long"}, {"name": "b", "type": "bytes"}, {"name": "m", "type": ["null", "long"]},
    ]);
    let new = json!([
        {"name": "next", "type": "long", "upcast": "old.n + 1"},
        {"name": "size", "type": "int", "upcast": "size(old.b)"},
        {"name": "m", "type": "long", "upcast": "old.m == null ? 0 : old.m - 1"},
    ]);
    let stored = json!({"n": "9223372036854775806", "b": "AAAA", "m": "9007199254740993"});
    let expected = json!({"next": "9223372036854775807", "size": 3, "m": "9007199254740992"});
    assert_eq!(upcast(&[old, new], stored).unwrap(), expected);
}

#[test]
fn every_function_of_the_list() {
    let old = json!([
        {"name": "text", "type": "string"},
        {"name": "list", "type": {"type": "array", "items": {"type": "record", "name": "L", "fields": [
            {"name": "n", "type": "int"}, {"name": "price", "type": "string"},
        ]}}},
    ]);
    let stored = json!({"text": "a-b-c", "list": [{"n": 2, "price": "1.5"}, {"n": -1, "price": "0.001"}]});
    let cases = [
        ("minorUnits('2.55')", "255.000"),
        ("minorUnits('0.001')", "0.100"),
        ("minorUnits(3)", "300.000"),
        ("add('0.1', '0.2')", "0.3"),
        ("sub(1, '0.001')", "0.999"),
        ("mul('1.50', 3)", "4.50"),
        ("sum(old.list.map(l, l.price))", "1.501"),
        ("sum([])", "0"),
        ("sumProduct(old.list, 'n', 'price')", "2.999"),
        ("old.text.replace('-', '')", "abc"),
        ("string(size(old.list))", "2"),
        (
            "old.text.contains('b') && old.text.startsWith('a') && old.text.endsWith('c') ? 'yes' : 'no'",
            "yes",
        ),
        ("string(int('12') + 1)", "13"),
        ("string(uint('12'))", "12"),
        ("string(double('1.5'))", "1.5"),
        ("string(bool('true'))", "true"),
        ("string(size(bytes('ä')))", "2"),
        ("has(old.text) ? old.list.filter(l, l.n > 0)[0].price : ''", "1.5"),
        ("old.list.exists(l, l.n == 2) && !old.list.all(l, l.n == 2) ? 'yes' : 'no'", "yes"),
    ];
    for (rule, expected) in cases {
        let versions = [old.clone(), json!([{"name": "x", "type": "string", "upcast": rule}])];
        assert_eq!(upcast(&versions, stored.clone()).unwrap(), json!({"x": expected}), "{rule}");
    }
}

#[test]
fn a_rule_that_fails_names_its_field() {
    let to = |of: Value, rule: &str| {
        let versions = [field("x", json!("string")), json!([{"name": "y", "type": of, "upcast": rule}])];
        upcast(&versions, json!({"x": "a"})).unwrap_err()
    };
    let step = "event type Happened, version 1: upcasting to version 2: y: ";
    assert_eq!(to(json!("int"), "1 / 0"), format!("{step}its upcast rule failed: a division by zero"));
    assert!(to(json!("string"), "old.x.replace('a', 'aa')").contains("must not be longer"));
    assert!(to(json!("string"), "minorUnits(old.x)").contains("\"a\" is not a decimal number"));
    let decimal = json!({"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2});
    // Doubles never become money.
    let doubles = versions(&[
        field("x", json!("string")),
        json!([{"name": "y", "type": decimal, "upcast": "0.1 + 0.2"}]),
    ]);
    assert!(doubles.unwrap_err().contains("gives double, which does not fit decimal(9, 2)"));
}

#[test]
fn limits_of_size_and_depth() {
    let set = versions(&[field("x", json!("string"))]).unwrap();
    let large = format!("{{\"x\":\"{}\"}}", "x".repeat(aqueduct_schema::MAX_EVENT_BYTES));
    let refused = set.check("Happened", 1, large.into_bytes()).unwrap_err().to_string();
    assert!(refused.contains("16777224 bytes, more than the 16777216 that an event may have"), "{refused}");
    let deep = format!("{{\"x\":{}{}}}", "[".repeat(200), "]".repeat(200));
    let refused = set.check("Happened", 1, deep.into_bytes()).unwrap_err().to_string();
    assert!(refused.contains("not JSON: nested 128 levels deep or deeper"), "{refused}");
    // A list of a thousand million nulls takes six bytes, and must not take the memory.
    let set = versions(&[field("x", json!({"type": "array", "items": "null"}))]).unwrap();
    let refused =
        set.from_avro::<Value>("Happened", 1, &[0x80, 0xa8, 0xd6, 0xb9, 0x07, 0]).unwrap_err().to_string();
    assert!(refused.contains("more than 1000000 values"), "{refused}");
}

/// Each level is a record, an array or an object in JSON and a call or more in each walk over it: the deepest that
/// JSON's parser lets through must fit the stack of an ordinary thread, which a test's is, and Avro's bytes, which can
/// claim any depth, must be refused.
#[test]
fn the_deepest_event_does_not_end_the_process() {
    let node =
        json!({"type": "record", "name": "Node", "fields": [{"name": "next", "type": ["null", "Node"]}]});
    let old = json!([{"name": "x", "type": node}]);
    let seen = json!({"name": "y", "type": "boolean", "upcast": "event.x == old.x"});
    let set = versions(&[old, json!([{"name": "x", "type": node}, seen])]).unwrap();
    let event = |depth: usize| {
        format!("{{\"x\":{}{{\"next\":null}}{}}}", "{\"next\":".repeat(depth), "}".repeat(depth)).into_bytes()
    };
    let stored = set.check("Happened", 1, event(125)).unwrap();
    let latest = set.upcast("Happened", 1, &stored).unwrap();
    let avro = set.to_avro("Happened", 1, &stored).unwrap();
    assert_eq!(set.from_avro::<Value>("Happened", 2, &avro).unwrap().to_string().as_bytes(), latest);
    let refused = set.check("Happened", 1, event(126)).unwrap_err().to_string();
    assert!(refused.contains("not JSON: nested 128 levels deep or deeper"), "{refused}");

    let deeper = vec![2; 1_000_000];
    let refused = set.from_avro::<Value>("Happened", 1, &deeper).unwrap_err().to_string();
    assert!(refused.ends_with(": nested 128 levels deep or deeper"), "{refused}");
}

/// What was read once more than it could be written, and the other way round.
#[test]
fn as_many_values_are_written_as_are_read() {
    for items in ["null", "int"] {
        let schema = json!([{"name": "x", "type": {"type": "array", "items": items}}]);
        let set = versions(&[schema]).unwrap();
        let event = |count: usize| {
            let item = if items == "null" { "null" } else { "1" };
            format!("{{\"x\":[{}]}}", vec![item; count].join(","))
        };
        // The event and the list are values too.
        let most = event(MAX_VALUES - 2);
        let avro = set.to_avro("Happened", 1, most.as_bytes()).unwrap();
        assert_eq!(set.from_avro::<Value>("Happened", 1, &avro).unwrap().to_string(), most);
        let refused = set.to_avro("Happened", 1, event(MAX_VALUES - 1).as_bytes()).unwrap_err().to_string();
        assert!(refused.contains("more than 1000000 values"), "{refused}");
    }
    // A default is copied into each item.
    let part = json!({"type": "record", "name": "P", "fields": [
        {"name": "d", "type": "string", "default": "x".repeat(1 << 16)}]});
    let set = versions(&[json!([{"name": "x", "type": {"type": "array", "items": part}}])]).unwrap();
    let event = |count: usize| format!("{{\"x\":[{}]}}", vec!["{}"; count].join(",")).into_bytes();
    set.to_avro("Happened", 1, &event(200)).unwrap();
    let refused = set.to_avro("Happened", 1, &event(8_000)).unwrap_err().to_string();
    assert!(refused.contains("more than 16777216 bytes in Avro"), "{refused}");
}
