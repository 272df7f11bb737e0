//! The inbox of a projection against the store.

use aqueduct_verify::Kind;
use aqueduct_verify::testing::{InboxStream, ParkedEvent};

use crate::support::{TOPIC, accounts, findings, options, relayed};

fn parked(revisions: &[i64]) -> Vec<ParkedEvent> {
    let row = |revision: &i64| ParkedEvent {
        projection: "balances".to_owned(),
        source: "aqueduct/eventstore".to_owned(),
        topic: TOPIC.to_owned(),
        stream: "account-0".to_owned(),
        revision: Some(*revision),
        is_discarded: false,
        reason: "failed".to_owned(),
    };
    revisions.iter().map(row).collect()
}

#[test]
fn a_row_too_low_too_high_missing_or_of_no_stream() {
    for (revision, text) in [
        (3, "missing: balances account-0: has applied up to revision 3, the last is 4"),
        (5, "mismatch: balances account-0: has applied up to revision 5, the last is only 4"),
    ] {
        let mut run = relayed(accounts());
        run.inbox.streams[0].revision = revision;
        assert_eq!(findings(&run), [format!("inbox: {text}")]);
    }
    let mut run = relayed(accounts());
    run.inbox.streams[0].stream = "account-77".to_owned();
    assert_eq!(
        findings(&run),
        [
            "inbox: missing: balances account-0: has applied up to revision -1, the last is 4",
            "inbox: mismatch: balances account-77: bank.accounts has no such stream in the store",
        ]
    );
}

#[test]
fn parked_events_account_for_a_row_that_is_behind() {
    let mut run = relayed(accounts());
    run.inbox.streams[0].revision = 2;
    run.inbox.parked = parked(&[3, 4]);
    let judged = run.judge(&options(), None);
    assert_eq!((judged.findings.count(Kind::Parked), judged.findings.total()), (2, 2));
    assert_eq!(judged.applied["balances"], 28);
    for not_all in [&[3][..], &[4]] {
        run.inbox.parked = parked(not_all);
        assert_eq!(run.judge(&options(), None).findings.count(Kind::Missing), 1, "{not_all:?}");
    }
}

#[test]
fn discarded_events_are_accounted_for_and_counted_apart() {
    let mut run = relayed(accounts());
    run.inbox.parked = parked(&[3, 4]);
    run.inbox.parked[0].is_discarded = true;
    // Event 4 failed again after 3 was discarded.
    for (reached, applied) in [(2, 28), (3, 28)] {
        run.inbox.streams[0].revision = reached;
        let judged = run.judge(&options(), None);
        let counts = [Kind::Discarded, Kind::Parked, Kind::Missing].map(|kind| judged.findings.count(kind));
        assert_eq!((counts, judged.findings.total()), ([1, 1, 0], 2), "{reached}");
        assert_eq!(judged.applied["balances"], applied, "{reached}");
    }
    run.inbox.parked.remove(1);
    assert_eq!(run.judge(&options(), None).findings.count(Kind::Missing), 1);
    run.inbox.streams[0].revision = 4;
    assert_eq!(findings(&run), ["inbox: discarded: balances 3@account-0: failed"]);
    assert_eq!(run.judge(&options(), None).applied["balances"], 29);
}

#[test]
fn a_parked_event_of_another_topic_or_source_accounts_for_nothing() {
    let mut run = relayed(accounts());
    run.inbox.streams[0].revision = 3;
    run.inbox.parked = parked(&[4]);
    assert_eq!(run.judge(&options(), None).findings.count(Kind::Missing), 0);
    let of_other = |change: fn(&mut ParkedEvent)| {
        let mut run = run.clone();
        change(&mut run.inbox.parked[0]);
        let findings = run.judge(&options(), None).findings;
        [Kind::Missing, Kind::Parked].map(|kind| findings.count(kind))
    };
    assert_eq!(of_other(|event| event.topic = "bank.loans".to_owned()), [1, 0]);
    // A projection parks the records of other stores, so the event is still reported.
    assert_eq!(of_other(|event| event.source = "another".to_owned()), [1, 1]);
}

#[test]
fn rows_of_other_stores_and_topics_are_ignored() {
    let mut run = relayed(accounts());
    let row = run.inbox.streams[0].clone();
    run.inbox.streams.push(InboxStream { source: "another".to_owned(), revision: 9, ..row.clone() });
    run.inbox.streams.push(InboxStream { topic: "bank.loans".to_owned(), revision: 9, ..row.clone() });
    assert_eq!(findings(&run), [] as [&str; 0]);
    run.inbox.streams.push(row);
    assert_eq!(findings(&run), ["inbox: duplicate: balances account-0: is there more than once"]);
}

#[test]
fn a_stream_of_which_nothing_was_applied_needs_no_event() {
    let mut run = relayed(accounts());
    let row = InboxStream { stream: "account-77".to_owned(), revision: -1, ..run.inbox.streams[0].clone() };
    run.inbox.streams.push(row);
    assert_eq!(findings(&run), [] as [&str; 0]);
    run.inbox.streams[6].revision = 0;
    assert_eq!(findings(&run).len(), 1);
}
