//! Events that were parked, skipped or discarded: each must have its exception, and each exception a reason.

use aqueduct_core::RecordedEvent;
use aqueduct_verify::testing::{Collected, Judged, Later, Record};
use aqueduct_verify::{Kind, Options};
use serde_json::{Value, json};

use crate::support::{TOPIC, accounts, event, options, place, record, records, relayed, texts};

/// No projection: what the topic lacks, it lacks too.
fn topics_only() -> Options {
    let mut options = options();
    options.projections.clear();
    options
}

fn judge(run: &Collected) -> Judged {
    run.judge(&topics_only(), None)
}

fn findings(run: &Collected) -> Vec<String> {
    texts(&judge(run))
}

fn exception(of: &RecordedEvent, state: &str, code: &str, last: Option<Value>) -> Record {
    let mut value = json!({
        "version": 1, "state": state, "code": code, "reason": "tested",
        "position": {"commit": of.position.commit, "prepare": of.position.prepare},
    });
    if let Some(last) = last {
        value["last"] = last;
    }
    let (key, value) = (Some(of.reference().into_bytes()), Some(serde_json::to_vec(&value).unwrap()));
    Record { key, value, ..Record::default() }
}

fn tombstone(of: &RecordedEvent) -> Record {
    Record { key: Some(of.reference().into_bytes()), ..Record::default() }
}

fn find(run: &Collected, reference: &str) -> RecordedEvent {
    run.events.iter().find(|event| event.reference() == reference).unwrap().clone()
}

fn remove(run: &mut Collected, reference: &str) -> Record {
    let at = place(run, reference);
    records(run).remove(at)
}

fn exceptions(run: &mut Collected) -> &mut Vec<Record> {
    run.exceptions.entry(TOPIC.to_owned()).or_default()
}

/// The third event of `account-2` is not an object; it is parked, and so are its followers.
fn parked() -> Collected {
    let mut events = accounts();
    let bad = events.iter_mut().find(|event| event.reference() == "2@account-2").unwrap();
    bad.data = b"[1]".to_vec().into();
    let mut run = relayed(accounts());
    run.events = events;
    for (revision, code) in [(2, "not_json"), (3, "blocked"), (4, "blocked")] {
        let reference = format!("{revision}@account-2");
        remove(&mut run, &reference);
        let last = (revision == 2).then(|| json!(1));
        let exception = exception(&find(&run, &reference), "parked", code, last);
        exceptions(&mut run).push(exception);
    }
    run
}

#[test]
fn parked_events_are_accounted_for() {
    let judged = judge(&parked());
    assert_eq!(
        texts(&judged),
        [
            "topics: parked: bank.accounts 2@account-2: is parked as not_json",
            "topics: parked: bank.accounts 3@account-2: is parked as blocked",
            "topics: parked: bank.accounts 4@account-2: is parked as blocked",
        ]
    );
    assert_eq!(judged.not_compared, 0);
}

#[test]
fn a_missing_exception_is_found() {
    for (n, text) in [
        (0, "2@account-2 has neither a record nor an exception: its data is not a JSON object"),
        (2, "4@account-2 has no record"),
    ] {
        let mut run = parked();
        exceptions(&mut run).remove(n);
        let found = findings(&run);
        assert!(found.contains(&format!("topics: missing: bank.accounts: {text}")), "{found:#?}");
    }
}

#[test]
fn a_forged_exception_is_found() {
    // Of an event that has its record.
    let mut run = parked();
    let forged = exception(&find(&run, "4@account-1"), "skipped", "requested", Some(json!(3)));
    exceptions(&mut run).push(forged);
    let expected = "topics: mismatch: bank.accounts 4@account-1: is skipped as requested, but its record is in the \
                    topic";
    let found = findings(&run);
    assert!(found.len() == 4 && found.contains(&expected.to_owned()), "{found:#?}");

    // Of an event whose record was taken away.
    for (code, text) in [
        ("not_json", "nothing is wrong with the event"),
        ("metadata", "nothing is wrong with the event"),
        ("blocked", "no earlier event of its stream is parked"),
    ] {
        let mut run = parked();
        remove(&mut run, "4@account-1");
        let forged = exception(&find(&run, "4@account-1"), "parked", code, Some(json!(3)));
        exceptions(&mut run).push(forged);
        let found = findings(&run);
        let expected =
            format!("topics: mismatch: bank.accounts 4@account-1: is parked as {code}, but {text}");
        assert!(found.len() == 4 && found.contains(&expected), "{found:#?}");
    }
}

#[test]
fn an_exception_of_no_event_of_the_topic_is_found() {
    for (stream, revision, text) in [
        ("account-2", 7, "the store has no such event"),
        ("loan-1", 0, "the route does not select the event"),
    ] {
        let mut run = parked();
        let other = event("loan-1", 0, 99, &json!({}), &Value::Null);
        run.events.push(other);
        let of = event(stream, revision, 99, &json!({}), &Value::Null);
        exceptions(&mut run).push(exception(&of, "skipped", "requested", None));
        let expected = format!(
            "topics: mismatch: bank.accounts {revision}@{stream}: is skipped as requested, but {text}"
        );
        assert!(findings(&run).contains(&expected), "{:#?}", findings(&run));
    }
    let mut run = parked();
    exceptions(&mut run).push(Record {
        key: Some(b"2@account-2".to_vec()),
        value: Some(b"{}".to_vec()),
        ..Record::default()
    });
    assert!(findings(&run)[0].contains("the exception of 2@account-2 cannot be read"));
}

#[test]
fn position_and_last_record_of_an_exception_are_checked() {
    let mut run = parked();
    let mut of = find(&run, "2@account-2");
    of.position.commit += 1;
    exceptions(&mut run)[0] = exception(&of, "parked", "not_json", Some(json!(1)));
    assert!(findings(&run)[0].contains("but says position"), "{:#?}", findings(&run));
    for (last, fits) in [(json!(0), false), (Value::Null, false), (json!(1), true)] {
        let mut run = parked();
        let of = find(&run, "2@account-2");
        exceptions(&mut run)[0] = exception(&of, "parked", "not_json", Some(last.clone()));
        assert_eq!(judge(&run).findings.count(Kind::Mismatch) == 0, fits, "{last}");
    }
}

#[test]
fn what_follows_a_skipped_event_names_the_record_before_it() {
    let mut run = relayed(accounts());
    remove(&mut run, "2@account-0");
    let skipped = exception(&find(&run, "2@account-0"), "skipped", "requested", Some(json!(1)));
    exceptions(&mut run).push(skipped);
    let at = place(&run, "3@account-0");
    let right = record(&find(&run, "3@account-0"), Some(1), 1);
    let wrong = std::mem::replace(&mut records(&mut run)[at], Record { offset: right.offset, ..right });
    assert_eq!(findings(&run), ["topics: skipped: bank.accounts 2@account-0: is skipped as requested"]);
    records(&mut run)[at] = wrong;
    assert!(
        findings(&run)[0].ends_with("header ce_previousrevision is 2, expected 1"),
        "{:#?}",
        findings(&run)
    );
}

#[test]
fn replayed_records_come_late_and_in_order() {
    let mut run = relayed(accounts());
    let tail: Vec<_> = (2..5).map(|revision| remove(&mut run, &format!("{revision}@account-2"))).collect();
    records(&mut run).extend(tail.clone());
    for revision in 2..5 {
        let of = find(&run, &format!("{revision}@account-2"));
        let code = if revision == 2 { "unknown_type" } else { "blocked" };
        let parked = exception(&of, "parked", code, None);
        exceptions(&mut run).extend([parked, tombstone(&of)]);
    }
    assert_eq!(findings(&run), [] as [&str; 0]);
    let last = records(&mut run).len() - 1;
    records(&mut run).swap(last, last - 1);
    assert_eq!(judge(&run).findings.count(Kind::OutOfOrder), 1);
}

#[test]
fn what_is_replayed_while_it_is_checked_is_no_finding() {
    let mut run = parked();
    run.events = accounts();
    let all = relayed(accounts()).records.remove(TOPIC).unwrap();
    let is_late = |record: &&Record| {
        let id = record.headers.iter().find(|(name, _)| name == "ce_id").unwrap();
        ["2@account-2", "3@account-2", "4@account-2"].iter().any(|late| late.as_bytes() == id.1)
    };
    let records: Vec<_> = all.iter().filter(is_late).cloned().collect();
    let exceptions: Vec<_> =
        (2..5).map(|revision| tombstone(&find(&run, &format!("{revision}@account-2")))).collect();
    let later = Later { records: records.clone(), exceptions: exceptions.clone() };
    run.later.insert(TOPIC.to_owned(), later);
    assert_eq!(findings(&run), [] as [&str; 0]);

    // Their exceptions are gone only after they were read.
    let mut unread = run.clone();
    unread.later.insert(TOPIC.to_owned(), Later { records: records.clone(), exceptions: Vec::new() });
    assert_eq!(findings(&unread), [] as [&str; 0]);

    // The record of one of them never comes.
    let later = Later { records: records[1..].to_vec(), exceptions };
    run.later.insert(TOPIC.to_owned(), later);
    assert!(findings(&run).contains(&"topics: missing: bank.accounts: 2@account-2 has no record".to_owned()));
}

/// A discard and a replay take several transactions: what follows in the stream is `blocked` until it is its turn.
#[test]
fn a_discard_of_which_the_replay_has_not_begun_is_no_fault() {
    let mut run = parked();
    let first = find(&run, "2@account-2");
    exceptions(&mut run).push(exception(&first, "discarded", "requested", None));
    let judged = judge(&run);
    let count = |kind| judged.findings.count(kind);
    assert_eq!(
        (count(Kind::Discarded), count(Kind::Parked), judged.findings.total()),
        (1, 2, 3),
        "{:#?}",
        texts(&judged)
    );
}

#[test]
fn what_is_parked_while_it_is_checked_is_accounted_for() {
    let mut run = parked();
    let exceptions = run.exceptions.insert(TOPIC.to_owned(), Vec::new()).unwrap();
    run.later.insert(TOPIC.to_owned(), Later { records: Vec::new(), exceptions });
    let judged = judge(&run);
    assert_eq!(
        (judged.findings.count(Kind::Parked), judged.findings.total()),
        (3, 3),
        "{:#?}",
        texts(&judged)
    );
}
