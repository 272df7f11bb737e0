//! Each rule on events that are written out, and the properties that hold for all.

use serde_json::{Value, json};

mod fits;
mod histories;

use super::*;

/// Observes events of one type, by version. Their references are `0@order-1`, `1@order-1` ….
fn observed(events: &[(Option<u32>, &str)]) -> Evidence {
    let mut evidence = Evidence::new();
    for (revision, (version, event)) in events.iter().enumerate() {
        evidence.observe("OrderPlaced", *version, &format!("{revision}@order-1"), event.as_bytes());
    }
    evidence
}

fn drafted(evidence: &Evidence) -> Report {
    infer(evidence, "orders", "acme.orders", &SchemaFiles::default())
}

/// The drafted schema of a version of the one type.
fn schema(report: &Report, version: u32) -> Value {
    let path = format!("orders/OrderPlaced/v{version}.avsc");
    let file =
        report.files.iter().find(|file| file.path == path).unwrap_or_else(|| panic!("{path}: {report}"));
    serde_json::from_str(&file.text).unwrap()
}

/// The field's schema in the draft of unversioned events.
fn field(events: &[&str], name: &str) -> Value {
    let events: Vec<_> = events.iter().map(|event| (None, *event)).collect();
    field_of(&schema(&drafted(&observed(&events)), 1), name)
}

fn field_of(schema: &Value, name: &str) -> Value {
    let fields = schema["fields"].as_array().unwrap();
    fields.iter().find(|field| field["name"] == name).cloned().unwrap_or_else(|| panic!("{name}: {schema}"))
}

fn type_report(events: &[&str]) -> TypeReport {
    let events: Vec<_> = events.iter().map(|event| (None, *event)).collect();
    drafted(&observed(&events)).types.remove(0)
}

/// Loads the drafts as the relay would.
pub(super) fn loaded(report: &Report) -> crate::SchemaSet {
    crate::SchemaSet::compile(&report.merged(&SchemaFiles::default())).unwrap()
}

#[test]
fn a_field_that_every_event_has_is_required() {
    let events = [r#"{"a":1,"b":true}"#, r#"{"a":2}"#, r#"{"a":3,"b":null}"#];
    assert_eq!(field(&events, "a"), json!({"name": "a", "type": "long"}));
    assert_eq!(field(&events, "b"), json!({"name": "b", "type": ["null", "boolean"], "default": null}));
    let report = type_report(&events);
    let facts: Vec<_> = report.findings[1].facts.iter().map(ToString::to_string).collect();
    let expected = ["1 of 3 events have no \"b\" (1@order-1)", "1 of 2 values are null (2@order-1)"];
    assert_eq!(facts, expected);
}

#[test]
fn digits_in_text_beside_numbers_are_numbers() {
    assert_eq!(field(&[r#"{"a":75570}"#, r#"{"a":"895721"}"#], "a")["type"], "long");
    let money = [r#"{"a":12.5}"#, r#"{"a":"12.50"}"#, r#"{"a":"100"}"#];
    let decimal = json!({"type": "bytes", "logicalType": "decimal", "precision": 18, "scale": 2});
    assert_eq!(field(&money, "a")["type"], decimal);
    assert_eq!(field(&[r#"{"a":1.5}"#, r#"{"a":"NaN"}"#], "a")["type"], "double");
}

#[test]
fn digits_in_text_beside_numbers_and_another_kind_are_text() {
    let events = [[r#"{"a":0}"#; 4], [r#"{"a":"12.50"}"#; 4], [r#"{"a":true}"#; 4]].concat();
    assert_eq!(field(&events, "a")["type"], json!(["boolean", "long", "string"]));
}

#[test]
fn a_leading_zero_keeps_digits_text() {
    let events = [[r#"{"a":75570}"#; 4], [r#"{"a":"0895721"}"#; 4]].concat();
    assert_eq!(field(&events, "a")["type"], json!(["long", "string"]));
}

#[test]
fn kinds_that_recur_are_a_union_and_doubtful() {
    let events = [[r#"{"a":20}"#; 4], [r#"{"a":"ups"}"#; 4]].concat();
    assert_eq!(field(&events, "a")["type"], json!(["long", "string"]));
    let report = type_report(&events);
    assert!(report.doubtful().any(|finding| finding.path == "a"));
    assert!(report.dirt.is_empty());
    let with_null = [&events[..], &[r#"{"a":null}"#, "{}"]].concat();
    let expected = json!({"name": "a", "type": ["null", "long", "string"], "default": null});
    assert_eq!(field(&with_null, "a"), expected);
}

#[test]
fn three_events_do_not_bend_the_schema_and_a_fourth_does() {
    let numbers = [r#"{"a":1}"#; 20];
    let events = [&numbers[..], &[r#"{"a":"x"}"#; 3]].concat();
    assert_eq!(field(&events, "a")["type"], "long");
    let dirt = &type_report(&events).dirt[0];
    assert_eq!((&*dirt.what, dirt.events), ("text where others have a number", 3));
    assert_eq!(dirt.references, ["20@order-1", "21@order-1", "22@order-1"]);
    let events = [&numbers[..], &[r#"{"a":"x"}"#; 4]].concat();
    assert_eq!(field(&events, "a")["type"], json!(["long", "string"]));
}

#[test]
fn in_a_large_type_one_in_a_thousand_does_not_bend_the_schema() {
    let with = |conflicts: usize| {
        let events = [vec![r#"{"a":1}"#; 5_000 - conflicts], vec![r#"{"a":[]}"#; conflicts]].concat();
        field(&events, "a")["type"].clone()
    };
    assert_eq!(with(5), "long");
    assert_eq!(with(6), json!(["long", {"type": "array", "items": "string"}]));
}

#[test]
fn a_sample_is_weighed_against_all_events() {
    let sample = [vec![r#"{"a":1}"#; 100], vec![r#"{"a":"x"}"#; 9]].concat();
    let sample: Vec<_> = sample.into_iter().map(|event| (None, event)).collect();
    let mut evidence = observed(&sample);
    assert_eq!(field_of(&schema(&drafted(&evidence), 1), "a")["type"], json!(["long", "string"]));
    (0..10_000).for_each(|_| evidence.pass_over("OrderPlaced"));
    let report = drafted(&evidence);
    assert_eq!(field_of(&schema(&report, 1), "a")["type"], "long");
    assert!(
        report.to_string().starts_with("OrderPlaced: 109 events of a sample, 10,000 more exist\n"),
        "{report}"
    );
}

#[test]
fn a_few_texts_that_are_no_numbers_are_dirt_among_digits() {
    let events = [vec![r#"{"a":1}"#; 10], vec![r#"{"a":"2"}"#; 10], vec![r#"{"a":"n/a"}"#; 2]].concat();
    assert_eq!(field(&events, "a")["type"], "long");
    let dirt = &type_report(&events).dirt[0];
    assert_eq!(
        (dirt.events, &dirt.references[..]),
        (2, &["20@order-1".to_owned(), "21@order-1".to_owned()][..])
    );
}

#[test]
fn what_is_neither_drift_nor_dirt_writes_no_file() {
    let events = [(None, r#"{"a":1}"#), (None, r#"{"a":"x"}"#)];
    let report = drafted(&observed(&events));
    assert!(report.files.is_empty());
    let problem = report.types[0].problem.as_ref().unwrap().to_string();
    let expected =
        "events contradict each other at a: a number in 1 event (0@order-1), text in 1 event (1@order-1)";
    assert_eq!(problem, expected);
}

#[test]
fn a_rare_field_does_not_contradict_a_whole_type() {
    let events =
        [vec![r#"{"b":1}"#; 20], vec![r#"{"b":1,"a":1}"#, r#"{"b":1,"a":1}"#, r#"{"b":1,"a":"x"}"#]].concat();
    assert_eq!(field(&events, "a")["type"], json!(["null", "long"]));
    assert_eq!(type_report(&events).dirt[0].references, ["22@order-1"]);
}

#[test]
fn what_has_no_evidence_is_doubtful() {
    let events = [r#"{"a":null,"b":[],"c":{}}"#; 2];
    assert_eq!(field(&events, "a"), json!({"name": "a", "type": ["null", "string"], "default": null}));
    assert_eq!(field(&events, "b")["type"], json!({"type": "array", "items": "string"}));
    assert_eq!(field(&events, "c")["type"], json!({"type": "record", "name": "OrderPlacedC", "fields": []}));
    let doubtful: Vec<_> = type_report(&events).doubtful().map(|finding| finding.path.clone()).collect();
    assert_eq!(doubtful, ["a", "b", "c"]);
}

#[test]
fn objects_with_keys_that_are_no_names_are_maps() {
    let events = [r#"{"a":{"A/B":0.015,"ÆØÅ":0.015}}"#, r#"{"a":{"SUMMER-24":2}}"#];
    let values = json!({"type": "bytes", "logicalType": "decimal", "precision": 18, "scale": 3});
    assert_eq!(field(&events, "a")["type"], json!({"type": "map", "values": values}));
    let mixed = [r#"{"a":{"A/B":1,"c":true}}"#];
    assert_eq!(field(&mixed, "a")["type"]["type"], "record");
}

#[test]
fn objects_with_many_sparse_keys_are_maps() {
    let event = |key: usize| format!(r#"{{"a":{{"user{key}":{key}}}}}"#);
    let events: Vec<_> = (0..20).map(event).collect();
    let events: Vec<_> = events.iter().map(String::as_str).collect();
    assert_eq!(field(&events, "a")["type"], json!({"type": "map", "values": "long"}));
    assert_eq!(field(&events[..19], "a")["type"]["type"], "record");
}

#[test]
fn spellings_of_different_writers_are_one_field() {
    let events = [r#"{"OrderId":1,"$type":"A"}"#, r#"{"orderId":2}"#, r#"{"orderId":3}"#];
    assert_eq!(
        field(&events, "orderId"),
        json!({"name": "orderId", "type": "long", "json": ["orderId", "OrderId"]})
    );
    let expected = json!({"name": "type", "type": ["null", "string"], "default": null, "json": "$type"});
    assert_eq!(field(&events, "type"), expected);
    let together = [r#"{"OrderId":1,"orderId":2}"#];
    assert_eq!(field(&together, "OrderId"), json!({"name": "OrderId", "type": "long"}));
    assert_eq!(field(&together, "orderId2"), json!({"name": "orderId2", "type": "long", "json": "orderId"}));
}

#[test]
fn what_no_spelling_has_is_absent() {
    let events = [
        r#"{"OrderId":1,"Note":"a"}"#,
        r#"{"orderId":2}"#,
        r#"{"orderId":3,"note":"b"}"#,
        r#"{"orderId":4}"#,
    ];
    let report = type_report(&events);
    let finding = report.findings.iter().find(|finding| finding.path == "note").unwrap();
    assert_eq!(finding.decision, "string or null");
    assert_eq!(finding.facts[0].to_string(), "2 of 4 events have no \"note\" (1@order-1, 3@order-1)");
    assert!(!report.findings.iter().any(|finding| finding.decision == "long or null"));
}

#[test]
fn versions_share_types_and_what_is_new_or_gone_is_nullable() {
    let events = [
        (Some(1), r#"{"id":"a","name":"x","price":1.5}"#),
        (Some(1), r#"{"id":"b","name":"y","price":2}"#),
        (Some(3), r#"{"id":"c","first":"x","price":1.255,"address":{"city":"c"}}"#),
        (Some(3), r#"{"id":"d","first":"y","price":3,"address":null}"#),
    ];
    let report = drafted(&observed(&events));
    assert_eq!(report.files.len(), 3);
    let first = schema(&report, 1);
    let second = schema(&report, 2);
    let third = schema(&report, 3);
    assert_eq!(first, second);
    assert_eq!(field_of(&first, "name"), json!({"name": "name", "type": "string"}));
    assert_eq!(
        field_of(&third, "name"),
        json!({"name": "name", "type": ["null", "string"], "default": null})
    );
    assert_eq!(
        field_of(&third, "first"),
        json!({"name": "first", "type": ["null", "string"], "default": null})
    );
    assert_eq!(field_of(&first, "price")["type"]["scale"], 3);
    assert_eq!(field_of(&first, "price"), field_of(&third, "price"));
    let lines: Vec<_> = report.types[0].versions.iter().map(ToString::to_string).collect();
    let expected = [
        "version 1: 2 events",
        "version 2: not met, a copy",
        "version 3: 2 events; adds first, address; no event has name",
    ];
    assert_eq!(lines, expected);
    loaded(&report);
}

#[test]
fn a_nested_record_that_grows_later_resolves_in_every_step() {
    let events = [
        (Some(1), r#"{"a":null}"#),
        (Some(2), r#"{"a":{"x":1}}"#),
        (Some(3), r#"{"a":{"y":1}}"#),
        (Some(4), r#"{"a":{"x":1,"y":2,"z":[{"k":1},{"l":2}]}}"#),
    ];
    let report = drafted(&observed(&events));
    let set = loaded(&report);
    for (revision, (version, event)) in events.iter().enumerate() {
        let latest = set.to_avro("OrderPlaced", version.unwrap(), event.as_bytes());
        latest.unwrap_or_else(|error| panic!("{revision}: {error}"));
    }
}

#[test]
fn events_without_a_version_are_of_the_latest() {
    let events = [(Some(2), r#"{"a":1}"#), (None, r#"{"b":1}"#)];
    let report = drafted(&observed(&events));
    let second = schema(&report, 2);
    assert_eq!(field_of(&second, "a")["type"], json!(["null", "long"]));
    assert_eq!(field_of(&second, "b")["type"], json!(["null", "long"]));
}

#[test]
fn types_without_objects_or_a_name_have_no_file() {
    let mut evidence = Evidence::new();
    evidence.observe("Heartbeat", None, "0@device-1", b"\"alive\"");
    evidence.observe("ticket.opened", None, "0@ticket-1", b"{\"a\":1}");
    evidence.observe("Late", Some(1_677_657_678), "0@late-1", b"{\"a\":1}");
    let report = drafted(&evidence);
    assert!(report.files.is_empty());
    let problems: Vec<_> = report.types.iter().map(|seen| seen.problem.as_ref().unwrap()).collect();
    assert_eq!(*problems[0], Problem::NoObjects);
    assert_eq!(report.types[0].no_records[0].reason, "text, not an object");
    assert!(matches!(problems[1], Problem::Version { version: 1_677_657_678, .. }));
    assert_eq!(*problems[2], Problem::NoName);
    assert!(drafted(&Evidence::new()).types.is_empty());
}

#[test]
fn a_file_that_exists_is_compared() {
    let evidence = observed(&[(None, r#"{"a":1}"#)]);
    let first = drafted(&evidence);
    let existing = first.merged(&SchemaFiles::default());
    let again = infer(&evidence, "orders", "acme.orders", &existing);
    assert_eq!(again.files[0].state, FileState::Same);
    let grown = observed(&[(None, r#"{"a":1}"#), (None, r#"{"a":2,"b":1}"#)]);
    let changed = infer(&grown, "orders", "acme.orders", &existing);
    let expected = "orders/OrderPlaced/v1.avsc: exists and is kept; the events say otherwise:\n  OrderPlaced.b: \
                    [\"null\",\"long\"] would be added";
    assert_eq!(changed.files[0].to_string(), expected);
}

/// A type that another context has stays there, in its namespace, so that all files load together.
#[test]
fn a_type_of_another_context_stays_there() {
    let mut existing = SchemaFiles::default();
    let schema = r#"{"type": "record", "name": "OrderPlaced", "namespace": "shop.sales", "fields": [
        {"name": "a", "type": "long"}]}"#;
    existing.insert("sales", "OrderPlaced", 1, schema.to_owned());
    let mut evidence = observed(&[(Some(1), r#"{"a":1}"#), (Some(2), r#"{"a":2}"#)]);
    evidence.observe("OrderPaid", None, "3@order-1", b"{}");
    let report = infer(&evidence, "orders", "acme.orders", &existing);
    let paths: Vec<_> =
        report.files.iter().map(|file| (&*file.path, file.state == FileState::Same)).collect();
    let expected = [
        ("orders/OrderPaid/v1.avsc", false),
        ("sales/OrderPlaced/v1.avsc", true),
        ("sales/OrderPlaced/v2.avsc", false),
    ];
    assert_eq!(paths, expected);
    let set = crate::SchemaSet::compile(&report.merged(&existing)).unwrap();
    assert_eq!(set.event("OrderPlaced").unwrap().full_name(), "shop.sales.OrderPlaced");
}

#[test]
fn values_appear_only_for_enums() {
    let secret =
        r#"{"name":"SECRET 1","n":424242,"m":{"SECRET/1":"SECRET"},"u":["SECRET",424242],"state":"open"}"#;
    let other = r#"{"name":"other","n":"424242","m":{},"u":[],"state":"closed"}"#;
    let events = [[secret; 30], [other; 30]].concat();
    let report = drafted(&observed(&events.iter().map(|event| (None, *event)).collect::<Vec<_>>()));
    let told = format!("{report}{}", serde_json::to_string(&report).unwrap());
    assert!(!told.contains("SECRET") && !told.contains("424242"), "{told}");
    assert!(told.contains("enum (closed, open)"), "{told}");
}

#[test]
fn the_check_counts_what_does_not_fit() {
    let events = [&[(None, r#"{"a":1}"#); 9][..], &[(None, r#"{"a":true}"#)]].concat();
    let report = drafted(&observed(&events));
    let set = loaded(&report);
    let mut check = Check::new(&set);
    for (revision, (version, event)) in events.iter().enumerate() {
        check.event("OrderPlaced", *version, &format!("{revision}@order-1"), event.as_bytes());
    }
    let checked = check.report();
    assert_eq!((checked.events, checked.refused_events()), (10, 1));
    assert_eq!(checked.refused[0].references, report.types[0].dirt[0].references);
}
