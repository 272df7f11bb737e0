//! The inbox of a projection against the store.

use aqueduct_verify::Kind;
use aqueduct_verify::testing::ParkedEvent;

use crate::support::{accounts, findings, options, relayed};

fn parked(revisions: &[i64]) -> Vec<ParkedEvent> {
    let row = |revision: &i64| ParkedEvent {
        projection: "balances".to_owned(),
        stream: "account-0".to_owned(),
        revision: Some(*revision),
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
