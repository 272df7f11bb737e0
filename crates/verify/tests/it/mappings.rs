//! Routes that map metadata, types and JSON habits.

use std::collections::BTreeMap;

use aqueduct_core::{ContentType, RecordedEvent};
use aqueduct_verify::testing::{Collected, Record};
use aqueduct_verify::{Kind, Options, Route};
use serde_json::{Value, json};

use crate::support::{SCHEMA, TOPIC, event, options, record, records, relayed, texts, value};

/// The schema of version 1, as its file has it.
const V1: &str = r#"{"type": "record", "name": "bank.Deposited", "unknownFields": "drop", "fields": [
    {"name": "account", "type": "string", "json": ["Account-Id", "account"]},
    {"name": "amount", "type": "long"}]}"#;

/// Version 2, whose registered form is the support's schema.
const V2: &str = r#"{"type": "record", "name": "bank.Deposited", "unknownFields": "drop", "fields": [
    {"name": "account", "type": "string", "json": ["Account-Id", "account"]},
    {"name": "amount", "type": "long"},
    {"name": "note", "type": ["null", "string"], "default": null}]}"#;

fn mapped() -> Options {
    let mut options = options();
    options.projections.clear();
    let route: Route = serde_json::from_value(json!({
        "categories": ["account"], "json_types": ["raw*"],
        "metadata": {"time": [{"pointer": "data:/at", "unit": "milliseconds"}]},
        "types": {"Bank.{event}V{version}, Bank": "{event}", "raw*": "Deposited"},
    }))
    .unwrap();
    options.events = serde_json::from_value(
        json!({"metadata": {"correlation_id": ["metadata:/request"]}, "types": {"raw*": "Nothing"}}),
    )
    .unwrap();
    options.topics.insert(TOPIC.to_owned(), route);
    options
}

/// An event of another program, of the amount 7.
fn foreign(n: u64, event_type: &str, data: &Value, metadata: &Value) -> RecordedEvent {
    let data = data.clone();
    RecordedEvent { event_type: event_type.to_owned(), ..event("account-1", n, n + 1, &data, metadata) }
}

/// The record of version 2, with these headers in place of those of the event itself.
fn relayed_as(event: &RecordedEvent, headers: &[(&str, &str)]) -> Record {
    let mut record = record(event, event.revision.checked_sub(1), 2);
    record.value = Some(value("account-1", 7));
    for (name, value) in headers {
        record.headers.retain(|(found, _)| found != name);
        record.headers.push(((*name).to_owned(), value.as_bytes().to_vec()));
    }
    record
}

fn run() -> Collected {
    let data = json!({"Account-Id": "account-1", "amount": 7.0, "$type": "x", "at": 1_600_000_000_000_i64});
    let events = vec![
        foreign(0, "Bank.DepositedV1, Bank", &data, &json!({"request": "r-1"})),
        RecordedEvent {
            content_type: ContentType::Binary,
            ..foreign(1, "rawDeposit", &json!({"account": "account-1", "amount": "7"}), &Value::Null)
        },
    ];
    let mut run = relayed(Vec::new());
    let at = [("ce_time", "2020-09-13T12:26:40Z"), ("ce_correlationid", "r-1")];
    *records(&mut run) = vec![relayed_as(&events[0], &at), relayed_as(&events[1], &[])];
    run.events = events;
    run.schemas = [(1, SCHEMA.to_owned())].into();
    run.files = BTreeMap::from([("Deposited".to_owned(), vec![V1.to_owned(), V2.to_owned()])]);
    run
}

#[test]
fn names_versions_headers_and_payloads_are_those_of_the_mapping() {
    let judged = run().judge(&mapped(), None);
    assert_eq!((texts(&judged), judged.not_compared, judged.upcast), (vec![], 0, 1));
    // Without the route's lines the types have no names, and the records are too many.
    let mut options = mapped();
    options.topics.get_mut(TOPIC).unwrap().types = Default::default();
    let judged = run().judge(&options, None);
    assert_eq!(judged.findings.count(Kind::Mismatch), 2, "{:#?}", texts(&judged));
}

#[test]
fn a_changed_digit_behind_a_new_version_is_found() {
    let mut run = run();
    records(&mut run)[0].value = Some(value("account-1", 8));
    let found = texts(&run.judge(&mapped(), None));
    assert!(found.len() == 1 && found[0].ends_with("payload.amount: 8 instead of 7"), "{found:#?}");
}

#[test]
fn what_a_rule_may_have_changed_is_not_compared() {
    let mut run = run();
    let with_rule = V2.replace(r#""name": "amount","#, r#""name": "amount", "upcast": "old.amount","#);
    run.files.insert("Deposited".to_owned(), vec![V1.to_owned(), with_rule]);
    let judged = run.judge(&mapped(), None);
    // The event without a version is read as the last one.
    assert_eq!((texts(&judged), judged.not_compared), (vec![], 1));
}

#[test]
fn a_schema_id_of_another_version_is_found() {
    let mut run = run();
    run.schemas.insert(1, SCHEMA.replace("amount", "amounts"));
    let found = texts(&run.judge(&mapped(), None));
    assert!(
        found.iter().any(|text| text.contains("does not belong to version 2 of Deposited")),
        "{found:#?}"
    );
}

#[test]
fn what_fits_no_schema_needs_an_exception() {
    for (data, event_type, code) in [
        (json!({"account": "account-1", "amount": "seven"}), "Bank.DepositedV1, Bank", "payload"),
        (json!({"account": "account-1", "amount": 7}), "Bank.DepositedV3, Bank", "unknown_version"),
        (json!({"account": "account-1", "amount": 7}), "Bank.WithdrawnV1, Bank", "unknown_type"),
        (json!({"account": "account-1", "amount": 7}), "Bank Deposited", "unmapped_type"),
    ] {
        let mut run = run();
        run.events[1] = foreign(1, event_type, &data, &Value::Null);
        records(&mut run).truncate(1);
        let position = run.events[1].position;
        let exception = |code: &str| {
            let value = json!({"version": 1, "state": "skipped", "code": code, "reason": "",
                "position": {"commit": position.commit, "prepare": position.prepare}, "last": 0});
            let (key, value) = (Some(b"1@account-1".to_vec()), Some(serde_json::to_vec(&value).unwrap()));
            vec![Record { key, value, ..Record::default() }]
        };
        let mut judge = |code: &str| {
            run.exceptions.insert(TOPIC.to_owned(), exception(code));
            let judged = run.judge(&mapped(), None);
            [Kind::Skipped, Kind::Mismatch].map(|kind| judged.findings.count(kind))
        };
        assert_eq!(judge(code), [1, 0], "{code}");
        assert_eq!(judge("versions_differ"), [0, 1], "{code}");
    }
}

#[test]
fn binary_data_is_not_json_unless_the_route_says_so() {
    let mut run = run();
    let mut options = mapped();
    options.topics.get_mut(TOPIC).unwrap().json_types.clear();
    let found = texts(&run.judge(&options, None));
    assert!(found[0].contains("should have no record: its content type is not JSON"), "{found:#?}");
    run.events[1].content_type = ContentType::Json;
    assert_eq!(texts(&run.judge(&options, None)), [] as [&str; 0]);
}
