//! The way without a tree against the one through it: the same bytes, or none where the tree finds a fault.

use aqueduct_avro::Schema;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::{Value, json};

use super::round_trip::event_and_value;
use crate::layout::types::{Layout, Names};
use crate::load::compile::{Origin, compile};
use crate::mapping::encode;
use crate::mapping::json::parse::parse;
use crate::mapping::straight;

/// Avro, and how many fields were left out.
type Encoded = Option<(Vec<u8>, usize)>;

fn layout(schema: &Value) -> Layout {
    compile(&Schema::from_json(schema).unwrap(), Origin::File).unwrap()
}

fn through_tree(layout: &Layout, json: &[u8]) -> Encoded {
    let encoded = encode::encode(layout, &parse(json).ok()?, Names::Stored).ok()?;
    Some((encoded.avro, encoded.dropped_fields))
}

fn straight(layout: &Layout, json: &[u8]) -> Encoded {
    let mut avro = b"before".to_vec();
    let dropped = straight::encode(layout, json, &mut avro);
    let added = avro.strip_prefix(b"before").expect("what was there stays").to_vec();
    assert!(dropped.is_some() || added.is_empty(), "nothing is left of what failed");
    dropped.map(|dropped| (added, dropped))
}

/// The text of a JSON value, with the members of its objects in any order.
fn shuffled(json: &Value, order: &[Index], text: &mut String) {
    match json {
        Value::Object(members) => {
            let mut rest: Vec<_> = members.iter().collect();
            let mut order = order.iter().cycle();
            text.push('{');
            while let Some(chosen) = order.next().filter(|_| !rest.is_empty()) {
                let (key, value) = rest.swap_remove(chosen.index(rest.len()));
                text.push_str(&format!(" {}:", Value::from(key.as_str())));
                shuffled(value, &order.clone().take(8).copied().collect::<Vec<_>>(), text);
                text.push_str(if rest.is_empty() { "\n" } else { "," });
            }
            text.push('}');
        }
        Value::Array(items) => {
            text.push('[');
            for (n, item) in items.iter().enumerate() {
                text.push_str(if n == 0 { "" } else { " ," });
                shuffled(item, order, text);
            }
            text.push(']');
        }
        scalar => text.push_str(&scalar.to_string()),
    }
}

/// Two records, of which one drops what it does not know, with everything that a field can have.
fn noisy_layout(unknown_fields: &str) -> Layout {
    let keeper = json!({"name": "others", "type": {"type": "map", "values": "string"}, "default": {}, "keepsUnknownFields": true});
    let mut fields = vec![
        json!({"name": "id", "type": "string"}),
        json!({"name": "total", "json": ["Total", "sum"], "default": "1.50",
               "type": {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}}),
        json!({"name": "note", "type": ["null", "string"], "default": null}),
        json!({"name": "tags", "type": {"type": "map", "values": "long"}, "default": {}}),
        json!({"name": "lines", "type": {"type": "array", "items": {
            "type": "record", "name": "Line", "unknownFields": "drop",
            "fields": [{"name": "sku", "type": "string"}, {"name": "count", "type": "int", "default": 1}]}}}),
        json!({"name": "either", "type": ["null", "boolean", "Line", {"type": "array", "items": "int"}], "default": null}),
    ];
    if unknown_fields == "keep" {
        fields.push(keeper);
    }
    layout(&json!({"type": "record", "name": "Noisy", "unknownFields": unknown_fields, "fields": fields}))
}

fn line() -> BoxedStrategy<String> {
    let member = select(vec![
        r#""sku":"a""#,
        r#""sku":"b\u00e9""#,
        r#""count":7"#,
        r#""count":"8""#,
        r#""count":1.5"#,
        r#""extra":[{"a":1}]"#,
        r#""extra":[{"a":1,"a":2}]"#,
        r#""$type":"Line""#,
        r#""sku":null"#,
    ]);
    vec(member, 0..4).prop_map(|members| format!("{{{}}}", members.join(","))).boxed()
}

fn noisy() -> impl Strategy<Value = String> {
    let lines = || vec(line(), 0..3).prop_map(|lines| format!("[{}]", lines.join(", ")));
    let plain = select(vec![
        r#""total":"2.5""#,
        r#""Total":"2.50""#,
        r#""Total":3"#,
        r#""sum":"3.00""#,
        r#""sum":1e0"#,
        r#""note":null"#,
        r#""note":"n""#,
        r#""note":7"#,
        r#""tags":{"b":2,"a":1}"#,
        r#""tags":{"$type":"Map","a":1}"#,
        r#""tags":[]"#,
        r#""either":true"#,
        r#""either":[1, 2]"#,
        r#""either":[1, "x"]"#,
        r#""either":7"#,
        r#""unknown":{"a":[]}"#,
        r#""other":1"#,
        r#""id":"again""#,
        r#""i\u0064":"escaped""#,
        r#""others":{"a":"b"}"#,
    ])
    .prop_map(str::to_owned);
    let member = prop_oneof![
        5 => plain,
        1 => lines().prop_map(|lines| format!("\"lines\":{lines}")),
        1 => line().prop_map(|line| format!("\"either\":{line}")),
    ];
    let complete =
        (vec(member.clone(), 0..4), lines(), vec(member, 0..3)).prop_map(|(before, lines, after)| {
            let own = [r#""id":"7""#.to_owned(), format!("\"lines\":{lines}")];
            before.into_iter().chain(own).chain(after).collect::<Vec<_>>()
        });
    complete.prop_map(|members| format!(" {{{}}}", members.join(" , ")))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, ..ProptestConfig::default() })]

    #[test]
    fn any_valid_event_in_any_order_has_the_same_bytes(
        (schema, (json, _)) in event_and_value(), order in vec(any::<Index>(), 8),
    ) {
        let layout = layout(&schema);
        let mut text = String::new();
        shuffled(&json, &order, &mut text);
        let tree = through_tree(&layout, text.as_bytes());
        prop_assert!(tree.is_some(), "{text}");
        prop_assert_eq!(straight(&layout, text.as_bytes()), tree, "{}", text);
    }

    #[test]
    fn any_damage_is_left_to_the_tree(
        (schema, (json, _)) in event_and_value(), at in any::<Index>(), length in 0..3_usize,
        put in select(vec!["", "{", "]", "\"", ",", "\\", "0", "null", "\"f0\":1,", "\u{1}"]),
    ) {
        let layout = layout(&schema);
        let mut text = json.to_string().into_bytes();
        let at = at.index(text.len());
        let end = text.len().min(at + length);
        text.splice(at..end, put.bytes());
        prop_assert_eq!(straight(&layout, &text), through_tree(&layout, &text), "{:?}", String::from_utf8_lossy(&text));
    }

    #[test]
    fn unknown_renamed_and_missing_fields_are_those_of_the_tree(
        unknown_fields in select(vec!["error", "drop", "keep"]), text in noisy(),
    ) {
        let layout = noisy_layout(unknown_fields);
        let (straight, tree) = (straight(&layout, text.as_bytes()), through_tree(&layout, text.as_bytes()));
        // Both names with the same value are valid, and left to the tree.
        let has_both = text.contains("\"Total\"") && text.contains("\"sum\"");
        if straight.is_some() || !has_both {
            prop_assert_eq!(straight, tree, "{}", text);
        }
    }
}

#[test]
fn long_arrays_and_wide_records_have_the_same_bytes() {
    let fields: Vec<_> = (0..200)
        .map(|n| json!({"name": format!("f{n}"), "type": {"type": "array", "items": "int"}}))
        .collect();
    let layout = layout(&json!({"type": "record", "name": "Wide", "fields": fields}));
    for length in [0, 1, 63, 64, 65, 8_191, 8_192] {
        let items = vec!["7"; length].join(",");
        let mut members: Vec<_> = (0..200).map(|n| format!("\"f{n}\":[]")).collect();
        members[3] = format!("\"f3\":[{items}]");
        members.reverse();
        let text = format!("{{{}}}", members.join(","));
        let tree = through_tree(&layout, text.as_bytes());
        assert!(tree.is_some());
        assert_eq!(straight(&layout, text.as_bytes()), tree, "{length} items");
    }
}

#[test]
fn many_unknown_fields_are_left_to_the_tree() {
    let layout = layout(&json!({"type": "record", "name": "E", "unknownFields": "drop", "fields": []}));
    let with = |count: usize| {
        let members: Vec<_> = (0..count).map(|n| format!("\"x{n}\":{n}")).collect();
        format!("\u{feff}{{{}}}", members.join(","))
    };
    assert_eq!(straight(&layout, with(16).as_bytes()), Some((Vec::new(), 16)));
    assert_eq!(straight(&layout, with(17).as_bytes()), None);
    assert_eq!(through_tree(&layout, with(17).as_bytes()), Some((Vec::new(), 17)));
}
