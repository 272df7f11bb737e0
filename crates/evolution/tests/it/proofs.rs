//! Generated and golden events.

use aqueduct_evolution::{Golden, Proof, prove};
use aqueduct_schema::SchemaSet;

use crate::support::Project;

const EVERYTHING: &str = r#"{"name": "id", "type": "string"},
    {"name": "n", "type": ["null", "long"], "default": null},
    {"name": "f", "type": "float"},
    {"name": "l", "type": {"type": "array", "items": {"type": "record", "name": "L", "fields": [
        {"name": "d", "type": {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}},
        {"name": "t", "type": {"type": "long", "logicalType": "timestamp-micros"}}]}}},
    {"name": "m", "type": {"type": "map", "values": "int"}},
    {"name": "e", "type": {"type": "enum", "name": "E", "symbols": ["A", "B"], "default": "A"}}"#;

fn proof(project: &Project) -> Proof {
    let set = SchemaSet::load(project.folder.path()).unwrap();
    prove(&set, &project.catalogue(), project.folder.path(), 50, 7).unwrap()
}

#[test]
fn resolution_is_that_of_avro() {
    let second = EVERYTHING
        .replace(r#""name": "f", "type": "float""#, r#""name": "g", "aliases": ["f"], "type": "double""#)
        .replace(r#""values": "int""#, r#""values": "double""#)
        .replace(r#"["A", "B"]"#, r#"["A"]"#)
        .replace(r#""precision": 9"#, r#""precision": 12"#);
    let project = Project::new(&[
        EVERYTHING,
        &second,
        &format!(r#"{second}, {{"name": "x", "type": "int", "default": 7}}"#),
    ]);
    let proof = proof(&project);
    assert_eq!((proof.proven, proof.refused_by_rules, &*proof.failures), (150, 0, &[][..]), "{proof}");
}

#[test]
fn a_rule_may_refuse_a_value_and_no_rule_may_not() {
    let text = r#"{"name": "pounds", "type": "string"}"#;
    let pence = r#"{"name": "pence", "type": {"type": "bytes", "logicalType": "decimal", "precision": 18, "scale": 3}, "upcast": "minorUnits(old.pounds)"}"#;
    let proof = proof(&Project::new(&[text, pence]));
    assert_eq!((proof.proven + proof.refused_by_rules, &*proof.failures), (100, &[][..]), "{proof}");
    assert!(proof.refused_by_rules > 25, "{proof}");
    // Some bytes are not UTF-8.
    let (bytes, string) = (r#"{"name": "a", "type": "bytes"}"#, r#"{"name": "a", "type": "string"}"#);
    let failures = self::proof(&Project::new(&[bytes, string])).failures;
    assert!(!failures.is_empty());
    assert_eq!(failures[0].version, "orders/Paid v1");
}

#[test]
fn golden_events_are_written_once_and_compared() {
    let project = Project::new(&[EVERYTHING]);
    let id = project.catalogue().events["Paid"].versions[0].id.clone();
    let set = SchemaSet::load(project.folder.path()).unwrap();
    Golden::write_new(project.folder.path(), &id, &set).unwrap();
    assert_eq!(proof(&project).golden, 16);
    // The same schema in another order of its fields.
    let fields: Vec<&str> = EVERYTHING.splitn(2, "},").collect();
    project.write(1, &format!("{}, {}}}", fields[1], fields[0]));
    let changed = proof(&project);
    assert!(
        changed.golden < 16 && changed.failures[0].problem.starts_with("a golden event: its bytes are"),
        "{changed}"
    );
    let set = SchemaSet::load(project.folder.path()).unwrap();
    Golden::write_new(project.folder.path(), &id, &set).unwrap();
    assert_eq!(proof(&project).golden, changed.golden, "they are not written again");
}
