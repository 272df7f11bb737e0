//! The examples of upcast rules.

use std::path::Path;

use aqueduct_schema::{ExamplesReport, SchemaFiles, SchemaSet, check_examples};
use serde_json::{Value, json};

use crate::support::event;

/// Two versions with a rule in the event and one in its parts.
fn report(examples: &[(u32, String)]) -> (ExamplesReport, Vec<String>) {
    let part = |fields: Value| json!({"type": "record", "name": "Part", "fields": fields});
    let list = |of: Value| json!({"type": "array", "items": of});
    let old = part(json!([{"name": "n", "type": "int"}]));
    let new = part(json!([{"name": "m", "type": "int", "upcast": "old.n * 10"}]));
    let old = json!([{"name": "x", "type": "string"}, {"name": "parts", "type": list(old)}]);
    let new = json!([{"name": "size", "type": "long", "json": "the-size", "upcast": "size(old.x)"},
        {"name": "parts", "type": list(new)}]);
    let mut files = SchemaFiles::new("schemas");
    files.insert("a", "Happened", 1, event("Happened", &old));
    files.insert("a", "Happened", 2, event("Happened", &new));
    for (version, text) in examples {
        files.insert_examples("a", "Happened", *version, text.clone());
    }
    let report = check_examples(&files, &SchemaSet::compile(&files).unwrap());
    let failures = report.failures.iter().map(ToString::to_string);
    let lines = failures.chain(report.rules_without.iter().map(ToString::to_string));
    let lines = lines.map(|line| line.replace("schemas/a/Happened/", "")).collect();
    (report, lines)
}

#[test]
fn the_shops_rules_have_examples() {
    let files = SchemaFiles::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schemas")).unwrap();
    let report = check_examples(&files, &SchemaSet::compile(&files).unwrap());
    assert_eq!((report.failures, report.rules_without, report.passed), (vec![], vec![], 2));
}

#[test]
fn rules_that_no_example_runs_are_reported() {
    let of_event = "v2.avsc: field size of a.Happened: no example runs its upcast rule";
    let of_part = "v2.avsc: field m of a.Part: no example runs its upcast rule";
    assert_eq!(report(&[]).1, [of_event, of_part]);
    let empty = json!([{"input": {"x": "ab", "parts": []}, "result": {"the-size": "2", "parts": []}}]);
    let (passed, lines) = report(&[(2, empty.to_string())]);
    assert_eq!((passed.passed, lines), (1, vec![of_part.to_owned()]));
    let both =
        json!([{"input": {"x": "", "parts": [{"n": 2}]}, "result": {"the-size": 0, "parts": [{"m": 20}]}}]);
    let (passed, lines) = report(&[(2, both.to_string())]);
    assert_eq!((passed.passed, lines), (1, vec![]));
}

#[test]
fn an_example_that_fails_is_named() {
    let input = json!({"x": "a", "parts": [{"n": 1}, {"n": 2}]});
    let example = |input: &Value, result: Value| json!({"input": input, "result": result});
    let examples = json!([
        example(&input, json!({"the-size": 1, "parts": [{"m": 10}, {"m": 20}]})),
        example(&input, json!({"the-size": 1, "parts": [{"m": 10}, {"m": 2}]})),
        example(&input, json!({"the-size": 1, "parts": []})),
        example(&json!({"x": 1, "parts": []}), json!({"the-size": 1, "parts": []})),
        example(&input, json!({"size": 1, "parts": []})),
        example(&json!({"x": "", "parts": [{"n": 2_000_000_000}]}), json!({"the-size": 0, "parts": []})),
    ]);
    let (passed, lines) = report(&[(2, examples.to_string())]);
    let expected = [
        "v2.examples.json: example 1: parts[1].m: expected 2, found 20",
        "v2.examples.json: example 2: parts: expected [], found [{\"m\":10},{\"m\":20}]",
        "v2.examples.json: example 3: input: x: expected a string, found a number",
        "v2.examples.json: example 4: result: size: missing (stored as the-size)",
        "v2.examples.json: example 5: parts[0].m: 20000000000 does not fit an int (32 bits)",
    ];
    assert_eq!((passed.passed, lines), (1, expected.map(str::to_owned).to_vec()));
}

#[test]
fn files_that_cannot_be_used_are_named() {
    let example = json!([{"input": {}, "output": {}}]).to_string();
    let (_, lines) = report(&[(1, "[]".to_owned()), (2, example), (3, "[]".to_owned())]);
    assert_eq!(lines[0], "v1.examples.json: the first version has no older one to make examples of");
    assert!(lines[1].starts_with("v2.examples.json: expected a list of objects"), "{}", lines[1]);
    assert_eq!(lines[2], "v3.examples.json: there is no version 3 of Happened");
}
