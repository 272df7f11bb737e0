//! Recordings of Avro Java 1.12.2 and of Apicurio Registry 3.3.3.

use std::fs;
use std::path::{Path, PathBuf};

use aqueduct_avro::Schema;
use aqueduct_avro::recordings::{Kind, Rule, play};
use serde_json::{Value as Json, json};

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

#[test]
fn every_answer_is_that_of_the_reference_or_right_by_a_rule() {
    let report = play(&directory()).unwrap();
    assert!(report.is_clean(), "{report}");
    let counts: Vec<_> = report.kinds.iter().map(|(kind, it)| (*kind, it.equal)).collect();
    let expected = [
        (Kind::Compat, 930),
        (Kind::Resolve, 891),
        (Kind::Encode, 293),
        (Kind::Valid, 142),
        (Kind::Invalid, 200),
        (Kind::Registry, 342),
    ];
    assert_eq!(counts, expected, "{report}");
    let departed = [(Rule::NotUtf8, 5), (Rule::UnfitDefault, 2), (Rule::LaterBranch, 3)];
    assert_eq!(report.kinds[&Kind::Resolve].departed, departed.into(), "{report}");
    assert_eq!(report.kinds[&Kind::Registry].departed, [(Rule::KnownSchema, 8)].into(), "{report}");
}

/// Aliases that swap names, name several types, or are the names of others: recorded from Avro Java 1.12.2.
#[test]
fn aliases_are_applied_as_in_the_reference() {
    let report = play(&directory().with_file_name("aliases")).unwrap();
    assert!(report.is_clean(), "{report}");
    assert_eq!((report.kinds[&Kind::Compat].equal, report.kinds[&Kind::Resolve].equal), (13, 13), "{report}");
}

/// Each text that is a schema, printed and read again.
#[test]
fn a_schema_is_printed_with_all_that_it_says() {
    let text = fs::read_to_string(directory().join("valid.jsonl")).unwrap();
    for line in text.lines() {
        let case: Json = serde_json::from_str(line).unwrap();
        let schema = Schema::parse(case["schema"].as_str().unwrap()).unwrap();
        let again = Schema::from_json(&schema.to_json()).unwrap();
        assert_eq!(again.to_json(), schema.to_json(), "{line}");
        assert_eq!(again.canonical_form(), schema.canonical_form(), "{line}");
    }
}

/// A recording that says something else must fail, of each kind.
#[test]
fn a_falsified_recording_is_noticed() {
    type Falsify = fn(&mut Json);
    let falsify: [(Kind, Falsify); 6] = [
        (Kind::Compat, |case| case["readable"] = (!case["readable"].as_bool().unwrap()).into()),
        (Kind::Resolve, |case| case["error"] = json!("AvroTypeException: none")),
        (Kind::Encode, |case| case["fingerprint_crc64"] = json!("0000000000000000")),
        (Kind::Valid, |case| case["canonical"] = json!("\"bytes\"")),
        (Kind::Invalid, |case| case["schema"] = json!("\"int\"")),
        (Kind::Registry, |case| case["compatible"] = (!case["compatible"].as_bool().unwrap()).into()),
    ];
    for (kind, falsify) in falsify {
        let file = format!("{}.jsonl", kind.name());
        let text = fs::read_to_string(directory().join(&file)).unwrap();
        let mut case: Json = serde_json::from_str(text.lines().next().unwrap()).unwrap();
        falsify(&mut case);
        let falsified = tempfile::tempdir().unwrap();
        fs::write(falsified.path().join(&file), format!("{case}\n")).unwrap();
        let report = play(falsified.path()).unwrap();
        assert!(!report.is_clean(), "{file}: {report}");
    }
}

#[test]
fn what_is_no_recording_is_named() {
    let empty = tempfile::tempdir().unwrap();
    let error = play(empty.path()).unwrap_err().to_string();
    assert!(error.contains("has no recordings"), "{error}");
    fs::write(empty.path().join("compat.jsonl"), "{\"writer\":\"int\",\"reader\":\"int\"}\n").unwrap();
    let error = play(empty.path()).unwrap_err().to_string();
    assert!(error.contains("compat.jsonl, line 1: readable is missing"), "{error}");
}
