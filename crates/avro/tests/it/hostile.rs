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

/// Each record leads to the next one twice, in unions: the number of paths doubles with each of them.
#[test]
fn the_cost_of_a_comparison_does_not_grow_with_the_number_of_paths() {
    let record = |number: usize| {
        let next = match number {
            0 => "\"int\"".to_owned(),
            _ => format!("[\"null\",\"R{}\"]", number - 1),
        };
        format!(
            r#"{{"type":"record","name":"R{number}","fields":[{{"name":"a","type":{next}}},{{"name":"b","type":{next}}}]}}"#
        )
    };
    let fields: Vec<_> =
        (0..60).map(|number| format!(r#"{{"name":"f{number}","type":{}}}"#, record(number))).collect();
    let text = format!(r#"{{"type":"record","name":"All","fields":[{}]}}"#, fields.join(","));
    let (one, other) =
        (Schema::parse(&text).unwrap(), Schema::parse(&text.replace("\"int\"", "\"string\"")).unwrap());
    assert!(compatibility(&one, &one).is_compatible());
    assert!(!compatibility(&one, &other).is_compatible());
    Resolution::new(&one, &other);
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
