//! Input that others write: it costs bounded time and memory, and never more than an error.

use aqueduct_avro::{DecodeError, Resolution, Schema, compatibility};
use proptest::prelude::*;

#[test]
fn a_few_bytes_do_not_become_a_large_value() {
    // 2^40 nulls in an array.
    let nulls = Schema::parse(r#"{"type": "array", "items": "null"}"#).unwrap();
    let many = [0x80, 0x80, 0x80, 0x80, 0x80, 0x40, 0];
    assert_eq!(nulls.decode(&many), Err(DecodeError::TooLarge));
    let skipped = r#"{"type": "record", "name": "R", "fields": [{"name": "a", "type": {"type": "array", "items": "null"}}]}"#;
    let nothing = r#"{"type": "record", "name": "R", "fields": []}"#;
    let (writer, reader) = (Schema::parse(skipped).unwrap(), Schema::parse(nothing).unwrap());
    assert_eq!(Resolution::new(&writer, &reader).decode(&many), Err(DecodeError::TooLarge));
    let text = Schema::parse("\"string\"").unwrap();
    assert_eq!(text.decode(&many), Err(DecodeError::TooShort));
}

#[test]
fn a_value_that_is_nested_without_end_is_an_error() {
    let list =
        r#"{"type": "record", "name": "List", "fields": [{"name": "next", "type": ["null", "List"]}]}"#;
    let list = Schema::parse(list).unwrap();
    assert_eq!(list.decode(&[2; 10_000]), Err(DecodeError::TooDeep));
    let endless =
        Schema::parse(r#"{"type": "record", "name": "R", "fields": [{"name": "r", "type": "R"}]}"#).unwrap();
    assert_eq!(endless.decode(&[]), Err(DecodeError::TooDeep));
}

#[test]
fn nested_and_long_schemas_are_refused() {
    let nested = format!("{}\"int\"{}", "{\"type\":\"array\",\"items\":".repeat(10_000), "}".repeat(10_000));
    Schema::parse(&nested).unwrap_err();
    let long = format!("{{\"type\":\"string\",\"doc\":\"{}\"}}", "x".repeat(2 << 20));
    Schema::parse(&long).unwrap_err();
}

#[test]
fn there_are_not_more_aliases_than_can_be_compared() {
    let schema = |aliases: usize| {
        let aliases: Vec<_> = (0..aliases).map(|number| format!("\"A{number}\"")).collect();
        Schema::parse(&format!(
            r#"{{"type": "record", "name": "R", "fields": [], "aliases": [{}]}}"#,
            aliases.join(",")
        ))
    };
    let schema_of_most = schema(10_000).unwrap();
    assert!(compatibility(&schema_of_most, &schema_of_most).is_compatible());
    let refused = schema(10_001).unwrap_err().to_string();
    assert!(refused.contains("more than 10000 aliases"), "{refused}");
}

#[test]
fn the_defaults_of_a_writer_may_be_anything() {
    let schema =
        r#"{"type": "record", "name": "R", "fields": [{"name": "a", "type": "int", "default": "x"}]}"#;
    Schema::parse(schema).unwrap_err();
    let writer = Schema::parse_writer(schema).unwrap();
    let reader = schema.replace("\"x\"", "7");
    let reader = Schema::parse(&reader).unwrap();
    let value = Resolution::new(&writer, &reader).decode(&[2]).unwrap();
    assert_eq!(value.to_json(&reader).unwrap(), serde_json::json!({"a": 1}));
}

fn chain(length: usize, record: impl Fn(usize, Option<usize>) -> String) -> String {
    let records = (0..length).map(|number| record(number, number.checked_sub(1)));
    format!("[{}]", records.collect::<Vec<_>>().join(","))
}

/// Each record leads to the next one twice: the number of paths doubles with each of them.
#[test]
fn the_cost_does_not_grow_with_the_number_of_paths() {
    let record = |number: usize, next: Option<usize>| {
        let next = next.map_or("\"int\"".to_owned(), |next| format!("[\"null\",\"R{next}\"]"));
        format!(
            r#"{{"type":"record","name":"R{number}","fields":[{{"name":"a","type":{next}}},{{"name":"b","type":{next}}}]}}"#
        )
    };
    let text = chain(60, record);
    let (one, other) =
        (Schema::parse(&text).unwrap(), Schema::parse(&text.replace("\"int\"", "\"string\"")).unwrap());
    assert!(compatibility(&one, &one).is_compatible());
    assert!(!compatibility(&one, &other).is_compatible());
    Resolution::new(&one, &other);
}

/// The same of records that are defaults: each is twice as large as the one before.
#[test]
fn defaults_that_grow_are_an_error() {
    let record = |number: usize, next: Option<usize>| {
        let field = |name: &str| match next {
            None => format!(r#"{{"name":"{name}","type":"int","default":1}}"#),
            Some(next) => format!(r#"{{"name":"{name}","type":"R{next}","default":{{}}}}"#),
        };
        format!(r#"{{"type":"record","name":"R{number}","fields":[{},{}]}}"#, field("a"), field("b"))
    };
    let reader = Schema::parse(&chain(40, record)).unwrap();
    let nothing = Schema::parse(r#"{"type": "record", "name": "R39", "fields": []}"#).unwrap();
    let error = Resolution::new(&nothing, &reader).decode(&[]).unwrap_err().to_string();
    assert!(error.contains("is too large"), "{error}");
}

#[test]
fn unions_of_many_records_are_compared() {
    let union = |kind: &str| {
        chain(150, |number, _| {
            format!(r#"{{"type":"record","name":"R{number}","fields":[{{"name":"a","type":"{kind}"}}]}}"#)
        })
    };
    let (one, other) = (Schema::parse(&union("int")).unwrap(), Schema::parse(&union("string")).unwrap());
    assert!(compatibility(&one, &one).is_compatible());
    assert_eq!(compatibility(&one, &other).incompatibilities.len(), 150);
    Resolution::new(&one, &other);
}

/// Each type is named before it is defined, so that the text is not nested, and the types are.
fn forward(length: usize) -> String {
    let record = |number: usize| match number {
        0 => r#"{"type":"record","name":"R0","fields":[]}"#.to_owned(),
        _ => format!(
            r#"{{"type":"record","name":"R{number}","fields":[{{"name":"a","type":"R{}"}}]}}"#,
            number - 1
        ),
    };
    let fields =
        (0..length).rev().map(|number| format!(r#"{{"name":"f{number}","type":{}}}"#, record(number)));
    let fields: Vec<_> = fields.collect();
    format!(r#"{{"type":"record","name":"All","fields":[{}]}}"#, fields.join(","))
}

#[test]
fn long_chains_of_types_are_refused_and_short_ones_need_no_large_stack() {
    let error = Schema::parse(&forward(10_000)).unwrap_err().to_string();
    assert!(error.contains("chain of more than 500"), "{error}");
    let schema = Schema::parse(&forward(490)).unwrap();
    schema.canonical_form();
    assert!(compatibility(&schema, &schema).is_compatible());
    Resolution::new(&schema, &schema);
}

#[test]
fn long_names_are_refused() {
    let fixed =
        |number: usize| format!(r#"{{"type":"fixed","name":"F{number}","size":1,"aliases":["a","b","c"]}}"#);
    let types: Vec<_> =
        (0..4000).map(|number| format!(r#"{{"name":"f{number}","type":{}}}"#, fixed(number))).collect();
    let schema = |namespace: String| {
        format!(r#"{{"type":"record","name":"R","namespace":"{namespace}","fields":[{}]}}"#, types.join(","))
    };
    let error = Schema::parse(&schema("n".repeat(300_000))).unwrap_err().to_string();
    assert!(error.contains("more than 1024"), "{error}");
    let error = Schema::parse(&schema("n".repeat(1000))).unwrap_err().to_string();
    assert!(error.contains("more than 8 MiB"), "{error}");
}

proptest! {
    #[test]
    fn any_text_is_a_schema_or_an_error(text in "[\\[\\]{}:,\"a-zR0-9/*\\\\ ]{0,80}") {
        let _ = Schema::parse(&text);
    }

    #[test]
    fn any_bytes_are_a_value_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
        let schema = r#"{"type": "record", "name": "R", "fields": [
            {"name": "a", "type": ["null", "R", {"type": "array", "items": "R"}, {"type": "map", "values": "long"}]},
            {"name": "b", "type": {"type": "enum", "name": "E", "symbols": ["X", "Y"]}},
            {"name": "c", "type": ["string", "bytes", "double", {"type": "fixed", "name": "F", "size": 3}]}]}"#;
        let schema = Schema::parse(schema).unwrap();
        if let Ok(value) = schema.decode(&bytes) {
            let mut again = Vec::new();
            schema.encode(&value, &mut again).unwrap();
            prop_assert_eq!(schema.decode(&again).unwrap(), value);
        }
    }
}
