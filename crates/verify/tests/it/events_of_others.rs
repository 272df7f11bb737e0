//! What other programs wrote: no metadata or other metadata, data of any form, and routes of any kind.

use aqueduct_core::RecordedEvent;
use aqueduct_verify::{Kind, Selection};
use serde_json::{Value, json};

use crate::support::{TOPIC, accounts, event, findings, options, place, record, records, relayed, texts};

fn deposits(data: &[(Value, Value)]) -> Vec<RecordedEvent> {
    let events = (0..).zip(data);
    events.map(|(n, (data, metadata))| event("account-1", n, n + 1, data, metadata)).collect()
}

#[test]
fn payloads_are_compared_by_value() {
    let data = [
        (json!({"account": "account-1", "amount": 7.0}), Value::Null),
        (json!({"account": "account-1", "amount": "8", "note": null}), json!({"schemaVersion": "1"})),
        (json!({"account": "account-1", "amount": 9e0}), json!({"schemaVersion": 1, "other": true})),
    ];
    let mut run = relayed(deposits(&data));
    let at = place(&run, "1@account-1");
    records(&mut run)[at].value = Some(crate::support::value("account-1", 8));
    let judged = run.judge(&options(), None);
    assert_eq!((texts(&judged), judged.not_compared, judged.stored), (vec![], 0, 3));
}

#[test]
fn what_a_rule_made_is_counted_and_not_compared() {
    let data = [(json!({"pounds": "0.07"}), json!({"schemaVersion": 1}))];
    let mut run = relayed(deposits(&data));
    let event = run.events[0].clone();
    records(&mut run)[0] = record(&event, None, 2);
    let judged = run.judge(&options(), None);
    assert_eq!((texts(&judged), judged.not_compared, judged.upcast), (vec![], 1, 1));

    // It must be readable all the same, and never of an older version than the store has.
    records(&mut run)[0].value.as_mut().unwrap().push(0);
    assert!(findings(&run)[0].ends_with("payload cannot be decoded: 1 bytes are left over"));
    records(&mut run)[0] = record(&event, None, 0);
    assert!(findings(&run)[0].contains("should have no record: its data does not fit its schema"));
}

#[test]
fn what_can_have_no_record_is_skipped_and_counted() {
    let good = json!({"account": "account-1", "amount": 7});
    let data = [(good.clone(), Value::Null), (json!([1]), Value::Null), (good, Value::Null)];
    let mut run = relayed(deposits(&data));
    let last = run.events[2].clone();
    *records(&mut run) = vec![record(&run.events[0].clone(), None, 1), record(&last, Some(0), 1)];
    let judged = run.judge(&options(), None);
    let expected = "topics: skipped: bank.accounts 1@account-1: has no record: its data is not a JSON object";
    assert_eq!(texts(&judged), [expected]);
    assert_eq!(judged.findings.count(Kind::Skipped), 1);

    // A record of it is one too many.
    let bad = run.events[1].clone();
    records(&mut run).insert(1, record(&bad, Some(0), 1));
    assert!(findings(&run).iter().any(|text| text.contains("1@account-1 should have no record")));
}

#[test]
fn the_metadata_that_is_there_must_be_in_the_headers() {
    let metadata = json!({"timestamp": "2020-01-01T00:00:00+01:00", "$correlationId": "order 7"});
    let mut run = relayed(deposits(&[(json!({"account": "account-1", "amount": 7}), metadata)]));
    let found = findings(&run);
    assert_eq!(found.len(), 2, "{found:#?}");
    assert!(found[0].ends_with("header ce_correlationid is none, expected order 7"), "{found:#?}");
    assert!(found[1].ends_with("header ce_time is 2026-11-28T10:00:00Z, expected 2019-12-31T23:00:00Z"));
    let headers = &mut records(&mut run)[0].headers;
    headers.retain(|(name, _)| name != "ce_time");
    headers.push(("ce_time".to_owned(), b"2019-12-31T23:00:00.000Z".to_vec()));
    headers.push(("ce_correlationid".to_owned(), b"order 7".to_vec()));
    assert_eq!(findings(&run), [] as [&str; 0]);
}

#[test]
fn a_truncated_stream_may_hide_the_previous_revision() {
    let events: Vec<_> = accounts().into_iter().filter(|event| event.revision >= 2).collect();
    let mut run = relayed(events);
    for (header, fits) in
        [(None, true), (Some("-1"), true), (Some("1"), true), (Some("2"), false), (Some("x"), false)]
    {
        let at = place(&run, "2@account-0");
        let headers = &mut records(&mut run)[at].headers;
        headers.retain(|(name, _)| name != "ce_previousrevision");
        headers.extend(header.map(|value| ("ce_previousrevision".to_owned(), value.as_bytes().to_vec())));
        assert_eq!(findings(&run).is_empty(), fits, "{header:?}");
    }
}

#[test]
fn a_route_of_types_skips_the_others_in_the_previous_revision() {
    let mut events = accounts();
    for event in events.iter_mut().filter(|event| event.revision == 1) {
        event.event_type = "Noted".to_owned();
    }
    let selected: Vec<_> = events.iter().filter(|event| event.event_type == "Deposited").cloned().collect();
    let mut run = relayed(selected);
    run.events = events;
    let mut options = options();
    let selection =
        Selection { event_types: vec!["Depos*".to_owned()], ..Selection::of_categories(["account"]) };
    options.topics.insert(TOPIC.to_owned(), selection.into());
    let judged = run.judge(&options, None);
    assert_eq!((texts(&judged), judged.stored), (vec![], 24));

    // Replayed records come late with an older position; only the order within the stream counts.
    let tail: Vec<_> = (2..5).map(|revision| format!("{revision}@account-5")).collect();
    let moved: Vec<_> = tail.iter().map(|reference| records_of(&mut run, reference)).collect();
    records(&mut run).extend(moved);
    assert_eq!(texts(&run.judge(&options, None)), [] as [&str; 0]);
}

fn records_of(
    run: &mut aqueduct_verify::testing::Collected,
    reference: &str,
) -> aqueduct_verify::testing::Record {
    let at = place(run, reference);
    records(run).remove(at)
}

#[test]
fn what_the_store_no_longer_has_is_counted_and_not_compared() {
    let mut run = relayed(accounts());
    // One stream was truncated and another deleted; the store was scavenged.
    run.events.retain(|event| event.stream.as_str() != "account-1" || event.revision >= 3);
    run.events.retain(|event| event.stream.as_str() != "account-4");
    run.deleted.push("account-4".into());
    let mut options = options();
    options.projections.clear();
    let judged = run.judge(&options, None);
    assert_eq!((texts(&judged), judged.gone, judged.stored), (vec![], 3 + 5, 22));

    // Without a trace of the stream its records are nobody's.
    run.deleted.clear();
    let judged = run.judge(&options, None);
    assert_eq!((judged.findings.count(Kind::Mismatch), judged.gone), (5, 3));
}

#[test]
fn a_store_that_is_being_scavenged_has_gaps_in_truncated_streams_only() {
    let mut run = relayed(accounts());
    run.events.retain(|event| event.reference() != "2@account-1");
    let found = findings(&run);
    let text = "store: missing: 3@account-1: the stream has no event 2 before it".to_owned();
    assert!(found.contains(&text), "{found:#?}");
}
