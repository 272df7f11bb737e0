//! What Avro's reference implementation wrote and read, through the plain mapping: an event with one field of each schema.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use aqueduct_avro::{Schema, Value as AvroValue};
use serde_json::{Value, json};

use crate::layout::types::Names;
use crate::load::compile::Origin;
use crate::load::registered::RegisteredSchema;
use crate::mapping::decode::decode;
use crate::mapping::encode::encode;
use crate::mapping::json::Json;
use crate::resolved::Resolved;

/// How many cases had which outcome.
type Counts = BTreeMap<&'static str, usize>;

/// The bytes and the value are those of the reference, or both refuse the value.
const EQUAL: &str = "equal";

/// Plays each case of a file.
fn count(file: &str, play: fn(&Value) -> &'static str) -> Counts {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../avro/tests/golden").join(file);
    let mut counts = Counts::new();
    for line in fs::read_to_string(path).unwrap().lines() {
        *counts.entry(play(&serde_json::from_str(line).unwrap())).or_default() += 1;
    }
    counts
}

fn event(of: &Value, origin: Origin) -> Result<RegisteredSchema, String> {
    let schema =
        json!({"type": "record", "name": "EventOfRecordings", "fields": [{"name": "x", "type": of}]});
    RegisteredSchema::parse(&schema.to_string(), origin)
}

fn bytes(case: &Value) -> Vec<u8> {
    let digits = case["bytes"].as_str().unwrap();
    let pairs = (0..digits.len()).step_by(2);
    pairs.map(|start| u8::from_str_radix(&digits[start..start + 2], 16).unwrap()).collect()
}

/// The recorded value, in Avro's own JSON encoding.
fn recorded(schema: &Schema, value: &Value) -> AvroValue {
    AvroValue::from_json(schema, &json!({"x": value})).unwrap()
}

/// The Avro of plain JSON, which must be canonical: what was read can be written.
fn written(schema: &RegisteredSchema, json: &Value, name: &Value) -> Vec<u8> {
    let encoded = encode(&schema.layout, &Json::from(json), Names::Avro);
    let encoded = encoded.unwrap_or_else(|error| panic!("{name}: {json} cannot be written: {error}"));
    assert!(encoded.canonical, "{name}: {json}");
    encoded.avro
}

/// Why a schema cannot be carried.
fn of_schema(problem: &str) -> &'static str {
    let reasons = [
        ("in JSON", "a union of branches of one kind of JSON"),
        ("is not supported: at most 38 digits", "a decimal of more than 38 digits"),
        ("big-decimal is not supported", "a big-decimal"),
        ("duration is not supported", "a duration"),
        ("its default does not fit", "a default that is not a value of the plain mapping"),
    ];
    let found = reasons.into_iter().find(|(text, _)| problem.contains(text));
    found.unwrap_or_else(|| panic!("another reason: {problem}")).1
}

/// Why a value cannot be carried.
fn of_value(problem: &str) -> &'static str {
    let reasons = [
        ("outside the years 0 to 9999", "a year outside of 0 to 9999"),
        ("not a decimal of at most", "a decimal of more digits than its type has"),
        ("is not a time of day", "a time outside of the day"),
        ("is not a UUID", "a text that is not a UUID"),
        ("not UTF-8", "a string of bytes that are not UTF-8"),
    ];
    let found = reasons.into_iter().find(|(text, _)| problem.contains(text));
    found.unwrap_or_else(|| panic!("another reason: {problem}")).1
}

#[test]
fn what_the_reference_wrote() {
    let expected = Counts::from([
        (EQUAL, 236),
        ("a union of branches of one kind of JSON", 30),
        ("a year outside of 0 to 9999", 26),
        ("a decimal with more bytes than it needs", 1),
    ]);
    assert_eq!(count("encode.jsonl", of_encoding), expected);
}

fn of_encoding(case: &Value) -> &'static str {
    let schema = match event(&case["schema"], Origin::Writer) {
        Ok(schema) => schema,
        Err(problem) => return of_schema(&problem),
    };
    let json = match decode(&schema.layout, &bytes(case), Names::Avro) {
        Ok(json) => json,
        Err(mismatch) => return of_value(&mismatch.to_string()),
    };
    let avro = written(&schema, &json, &case["name"]);
    if avro == bytes(case) {
        return EQUAL;
    }
    assert_eq!(decode(&schema.layout, &avro, Names::Avro).unwrap(), json, "{}", case["name"]);
    assert_eq!(case["schema"]["logicalType"], "decimal", "{}: other bytes", case["name"]);
    "a decimal with more bytes than it needs"
}

#[test]
fn what_the_reference_read() {
    let expected = Counts::from([
        (EQUAL, 348),
        ("a pair that the reference judges unreadable", 362),
        ("another logical type", 65),
        ("a union of branches of one kind of JSON", 107),
        ("a year outside of 0 to 9999", 9),
        ("a default that is not a value of the plain mapping", 6),
        ("a string of bytes that are not UTF-8", 2),
        ("a big-decimal", 1),
        ("a duration", 1),
    ]);
    assert_eq!(count("resolve.jsonl", of_resolution), expected);
}

fn of_resolution(case: &Value) -> &'static str {
    let writer = match event(&case["writer"], Origin::Writer) {
        Ok(schema) => schema,
        Err(problem) => return of_schema(&problem),
    };
    let reader = match event(&case["reader"], Origin::Reader) {
        Ok(schema) => schema,
        Err(problem) => return of_schema(&problem),
    };
    let resolved = match Resolved::new(&writer.avro, &reader.avro) {
        Ok(resolved) => resolved,
        Err(problem) if problem.contains("means something else") => return "another logical type",
        Err(problem) => {
            assert_eq!(case["readable"], false, "{}: {problem}", case["name"]);
            return "a pair that the reference judges unreadable";
        }
    };
    let json = resolved.to_json(&reader, &bytes(case));
    let is_error = !case["error"].is_null();
    match json {
        Err(_) if is_error => EQUAL,
        Err(problem) => of_value(&problem),
        Ok(json) => {
            assert!(!is_error, "{}: {json}", case["name"]);
            let read = reader.avro.decode(&written(&reader, &json, &case["name"])).unwrap();
            assert_eq!(read, recorded(&reader.avro, &case["result"]), "{}", case["name"]);
            EQUAL
        }
    }
}
