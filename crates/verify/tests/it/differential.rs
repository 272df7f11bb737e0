//! The checker's own rules against those of the product: two implementations that must agree.

use std::fs;

use aqueduct_core::mapping::{EventMapping, MetadataMapping, Selection, TypeMap};
use aqueduct_core::{RecordedEvent, StreamName};
use aqueduct_schema::SchemaSet;
use aqueduct_verify::testing::{Mapped, mapped, payload};
use aqueduct_verify::{Options, Route};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::support::event;

/// What the metadata, or the data, of a stranger may hold at any place.
fn value() -> impl Strategy<Value = String> {
    let fixed = [
        "null",
        "true",
        "7",
        "2",
        "2.0",
        "2.00",
        "1e0",
        "0",
        "-1",
        "4294967296",
        "1677657678113",
        "1.5e9",
        "{}",
        "[1]",
        "\"\"",
        "\"2\"",
        "\"02\"",
        "\"+2\"",
        "\"v2\"",
        "\"1677657678\"",
        "\"auth0|5f\"",
        "\"\\u00C5se\"",
        "\"\\ud83d\"",
        "\"2023-11-14T23:13:40.184\\u002B01:00\"",
        "\"2023-03-24T13:30:00+01 Europe/Oslo\"",
        "\"2023-03-24T13:30:00\"",
        "\"2023-03-24\"",
        "638132544781130000",
        "1677657678.1239999999",
        "99999999999999999999",
        "\"00000000-0000-0000-0000-000000000003\"",
        "\"4bf92f3577b34da6a3ce929d0e0e4736\"",
        "\"00F067aa0ba902b7\"",
        "\"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\"",
        "\"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x\"",
        "\"cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x\"",
        "\"00000000000000000000000000000000\"",
    ];
    let long = (1_020_usize..1_030, "[a1]").prop_map(|(length, it)| format!("\"{}\"", it.repeat(length)));
    prop_oneof![8 => prop::sample::select(fixed.to_vec()).prop_map(ToOwned::to_owned), 1 => long]
}

fn name() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "a",
        "b",
        "schemaVersion",
        "timestamp",
        "$correlationId",
        "$causationId",
        "traceparent",
        "$traceId",
        "$spanId",
        "commandId",
        "a/b",
        "\\u0061",
    ])
}

/// An object with names that may occur twice, or what is not an object.
fn document() -> impl Strategy<Value = String> {
    let leaf = value();
    let inner = prop_oneof![
        4 => leaf,
        1 => prop::collection::vec((name(), value()), 0..3).prop_map(object),
        1 => prop::collection::vec(value(), 0..3).prop_map(|items| format!("[{}]", items.join(","))),
    ];
    let broken = prop::sample::select(vec![
        "",
        "null",
        "[1]",
        "{",
        "{}x",
        "\u{feff}{\"a\":7}",
        " {\"a\":2} ",
        "{\"a\":1,}",
    ]);
    prop_oneof![
        9 => prop::collection::vec((name(), inner), 0..6).prop_map(object),
        1 => broken.prop_map(ToOwned::to_owned),
    ]
}

fn object(fields: Vec<(&str, String)>) -> String {
    let fields: Vec<_> = fields.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
    format!("{{{}}}", fields.join(","))
}

fn pointer() -> impl Strategy<Value = Value> {
    "(metadata|data):/(a|b|timestamp|a~1b|traceparent)(/(a|b|0|1|01))?".prop_map(Value::from)
}

fn pointers() -> impl Strategy<Value = Vec<Value>> {
    prop::collection::vec(pointer(), 0..3)
}

fn mapping() -> impl Strategy<Value = Value> {
    let unit = prop::sample::select(vec!["seconds", "milliseconds", "microseconds", "nanoseconds", "ticks"]);
    let time = prop_oneof![
        pointer(),
        (pointer(), unit).prop_map(|(pointer, unit)| json!({"pointer": pointer, "unit": unit})),
    ];
    let pair = (pointer(), pointer()).prop_map(|(trace, span)| json!({"trace_id": trace, "span_id": span}));
    let traces = prop::collection::vec(prop_oneof![pointer(), pair], 0..3);
    let times = prop::collection::vec(time, 0..3);
    (pointers(), times, pointers(), pointers(), traces, any::<bool>()).prop_map(
        |(version, time, correlation, causation, trace, built_in)| {
            json!({"schema_version": version, "time": time, "correlation_id": correlation,
                "causation_id": causation, "trace_context": trace, "built_in": built_in})
        },
    )
}

fn types() -> impl Strategy<Value = Value> {
    let stored = prop::sample::select(vec![
        "V{version}.{event}",
        "{event}.v{version}",
        "{event}",
        "a*",
        "*b",
        "a.v1",
        "Acme.{event}, *",
        "*{version}*",
    ]);
    let target =
        prop::sample::select(vec!["{event}", "{event}@2", "Placed", "Placed@1", "{event}X", "order.placed"]);
    prop::collection::btree_map(stored, target, 0..4).prop_map(|lines| json!(lines))
}

/// What the product makes of the event, or the code of the problem.
fn of_product(mapping: &EventMapping, event: &RecordedEvent) -> Result<Mapped, &'static str> {
    let found =
        mapping.read(&event.event_type, &event.metadata, &event.data).map_err(|error| error.label())?;
    let text = |id: Option<std::borrow::Cow<'_, str>>| id.map(std::borrow::Cow::into_owned);
    let metadata = found.metadata;
    Ok(Mapped {
        name: found.event_type.into_owned(),
        version: found.version,
        time: metadata.time,
        ids: [text(metadata.correlation_id), text(metadata.causation_id), text(metadata.traceparent)],
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn events_are_read_alike(
        general in mapping(), own in mapping(), lines in types(), own_lines in types(), metadata in document(),
        data in document(), stored in "([aVb1]|Acme)([.v1a-]|, |Placed|V2){0,4}",
    ) {
        let read = |json: &Value| serde_json::from_value::<MetadataMapping>(json.clone()).unwrap();
        let of = |json: &Value| serde_json::from_value::<TypeMap>(json.clone()).unwrap();
        let compiled = EventMapping::new(&read(&own).or(&read(&general)), &of(&own_lines).or(&of(&lines)));
        // What the product refuses is never checked.
        let Ok(mapping) = compiled else { return Ok(()) };
        let mut options = Options::new("", "", "");
        options.events = serde_json::from_value(json!({"metadata": general, "types": lines})).unwrap();
        let route: Route = serde_json::from_value(json!({"metadata": own, "types": own_lines})).unwrap();
        let mut event = event("order-1", 0, 1, &Value::Null, &Value::Null);
        (event.event_type, event.metadata, event.data) = (stored, metadata.into(), data.into());
        match (of_product(&mapping, &event), mapped(&options, &route, &event)) {
            (Ok(product), Ok(checker)) => prop_assert_eq!(product, checker),
            (Err(code), Err(codes)) => prop_assert!(codes.contains(&code), "{} {:?}", code, codes),
            // The mapping does not judge the data.
            (Ok(_), Err(codes)) => prop_assert_eq!(codes, ["not_json", "payload"]),
            (Err(code), Ok(checker)) => prop_assert!(false, "{} against {:?}", code, checker),
        }
    }

    #[test]
    fn events_are_selected_alike(
        categories in prop::collection::btree_set("[ab$]", 0..2),
        stream_prefixes in prop::collection::btree_set("[ab$]-?[12]?", 0..2),
        event_types in prop::collection::btree_set("\\$?[AB*>]{1,2}", 0..3),
        exclude in (prop::collection::btree_set("[ab]", 0..2), prop::collection::btree_set("[AB*$]{1,2}", 0..2)),
        stream in "\\$?[ab](-[12]{0,2})?", event_type in "\\$?[AB>]{1,2}",
    ) {
        let selection = json!({
            "categories": categories, "stream_prefixes": stream_prefixes, "event_types": event_types,
            "exclude": {"categories": exclude.0, "event_types": exclude.1},
        });
        let Ok(selector) = serde_json::from_value::<Selection>(selection.clone()).unwrap().compile() else {
            return Ok(());
        };
        let route: Route = serde_json::from_value(selection).unwrap();
        let checker = route.selection.selects(&StreamName::from(stream.as_str()), &event_type);
        prop_assert_eq!(checker, selector.selects(&stream, &event_type));
    }
}

/// Each type in a field of its own, all of them optional.
const TYPES: [&str; 26] = [
    r#""boolean""#,
    r#""int""#,
    r#""long""#,
    r#""float""#,
    r#""double""#,
    r#""string""#,
    r#""bytes""#,
    r#"{"type": "fixed", "name": "F", "size": 2}"#,
    r#"{"type": "enum", "name": "E", "symbols": ["A", "B"]}"#,
    r#"{"type": "bytes", "logicalType": "decimal", "precision": 6, "scale": 2}"#,
    r#"{"type": "bytes", "logicalType": "decimal", "precision": 38, "scale": 0}"#,
    r#"{"type": "string", "logicalType": "uuid"}"#,
    r#"{"type": "fixed", "name": "U", "size": 16, "logicalType": "uuid"}"#,
    r#"{"type": "int", "logicalType": "date"}"#,
    r#"{"type": "int", "logicalType": "time-millis"}"#,
    r#"{"type": "long", "logicalType": "time-micros"}"#,
    r#"{"type": "long", "logicalType": "timestamp-millis"}"#,
    r#"{"type": "long", "logicalType": "timestamp-nanos"}"#,
    r#"{"type": "long", "logicalType": "local-timestamp-micros"}"#,
    r#"{"type": "array", "items": "long"}"#,
    r#"{"type": "map", "values": "long"}"#,
    r#"["null", "long", "string", "boolean"]"#,
    r#"["double", {"type": "array", "items": "string"}]"#,
    r#"["null", "int"]"#,
    r#"{"type": "record", "name": "R", "fields": [{"name": "n", "type": "int", "json": ["N", "n"]}]}"#,
    r#"{"type": "record", "name": "K", "unknownFields": "keep", "fields": [
        {"name": "n", "type": "int", "default": 3},
        {"name": "more", "type": {"type": "map", "values": "string"}, "keepsUnknownFields": true}]}"#,
];

/// What serializers write for any of them, and what is nearly that.
const VALUES: [&str; 72] = [
    "null",
    "true",
    "false",
    "0",
    "7",
    "-0",
    "7.0",
    "7.5",
    "70e-1",
    "1e3",
    "2147483648",
    "9007199254740993",
    "9223372036854775808",
    "0.1",
    "1E-07",
    "255.00",
    "12345678901234567890",
    "1e400",
    "1677657678113",
    "\"\"",
    "\"7\"",
    "\"007\"",
    "\"7.00\"",
    "\"1.5\"",
    "\"NaN\"",
    "\"-Infinity\"",
    "\"A\"",
    "\"C\"",
    "\"AQI=\"",
    "\"AQL/\"",
    "\"255.000\"",
    "\"6BA7B810-9dad-11d1-80b4-00c04fd430c8\"",
    "\"6ba7b8109dad11d180b400c04fd430c8\"",
    "\"2010-12-01\"",
    "\"2010-12-01T00:00:00\"",
    "\"2010-12-01T00:00:00.000Z\"",
    "\"2010-12-01T00:00:00+01:00\"",
    "\"2010-12-01T08:26:00Z\"",
    "\"2010-12-01T08:26:00.1234567Z\"",
    "\"2010-12-01T08:26:00.1230000+02:00\"",
    "\"2010-12-01T08:26:00\"",
    "\"2010-12-01 08:26:00\"",
    "\"2010-12-01T08:26\"",
    "\"2010-12-01T08:26Z\"",
    "\"2010-12-01T08:26:60Z\"",
    "\"2010-13-01\"",
    "\"08:26:00\"",
    "\"08:26\"",
    "\"08:26:00.123456\"",
    "\"24:00\"",
    "\"-001-12-01\"",
    "[]",
    "[1, 2.0, \"3\"]",
    "[\"a\"]",
    "[2010, 12, 1]",
    "[2010, 12, 1, 8, 26]",
    "[8, 26]",
    "[8, 26, 0, 123000000]",
    "[2010, 12, 1, 8, 26, 0, 123456789]",
    "[1, null]",
    "{}",
    "{\"n\": 1}",
    "{\"N\": 1}",
    "{\"N\": 1, \"n\": 1.0}",
    "{\"N\": 1, \"n\": 2}",
    "{\"x\": 1, \"y\": {\"z\": [1.50]}}",
    "{\"more\": {\"a\": \"b\"}, \"a\": 1}",
    "{\"$type\": \"System.Byte[], x\", \"$value\": \"AQI=\"}",
    "{\"type\": \"Buffer\", \"data\": [1, 2]}",
    "{\"$type\": \"L\", \"$values\": [1, 2]}",
    "{\"a\": 1, \"a\": 2}",
    "\"\\ud83d\"",
];

#[test]
fn payloads_are_read_alike() {
    let mut fitting = 0;
    for unknown in ["error", "drop"] {
        for of_field in TYPES {
            let schema = format!(
                r#"{{"type": "record", "name": "a.X", "unknownFields": "{unknown}", "fields": [
                    {{"name": "f", "type": {of_field}}}]}}"#
            );
            let folder = tempfile::tempdir().unwrap();
            fs::create_dir_all(folder.path().join("a/X")).unwrap();
            fs::write(folder.path().join("a/X/v1.avsc"), &schema).unwrap();
            let set = SchemaSet::load(folder.path()).unwrap();
            for value in VALUES {
                let data = format!("{{\"f\": {value}}}");
                match set.to_avro("X", 1, data.as_bytes()) {
                    Ok(avro) => {
                        fitting += 1;
                        assert_eq!(payload(&schema, data.as_bytes(), &avro), Ok(()), "{of_field} {value}");
                    }
                    Err(error) => {
                        let found = payload(&schema, data.as_bytes(), &[]).unwrap_err();
                        let is_refused = found.starts_with("the data");
                        assert!(is_refused, "{of_field} {value}: {found}, the product says {error}");
                    }
                }
            }
        }
    }
    assert!(fitting > 500, "{fitting}");
}
