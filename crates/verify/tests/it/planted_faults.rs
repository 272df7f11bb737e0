//! One fault each, without any knowledge of the system: each is found, named with its place, and alone.

use aqueduct_verify::testing::{Collected, Record};

use crate::support::{accounts, findings, place, record, records, relayed, value};

fn honest() -> Collected {
    relayed(accounts())
}

#[test]
fn an_honest_run_has_no_findings() {
    assert_eq!(findings(&honest()), [] as [&str; 0]);
}

#[test]
fn a_changed_digit() {
    let mut run = honest();
    let at = place(&run, "3@account-2");
    records(&mut run)[at].value = Some(value("account-2", 33));
    let partition = run.records["bank.accounts"][at].partition;
    let expected = format!(
        "topics: mismatch: bank.accounts[{partition}]@2100: 3@account-2: payload.amount: 33 instead of 32"
    );
    assert_eq!(findings(&run), [expected]);
}

#[test]
fn two_records_of_a_stream_swapped() {
    let mut run = honest();
    let (first, second) = (place(&run, "1@account-4"), place(&run, "2@account-4"));
    records(&mut run).swap(first, second);
    let found = findings(&run);
    assert_eq!(found.len(), 1, "{found:#?}");
    assert!(found[0].contains("out of order") && found[0].ends_with("1@account-4 comes after 2@account-4"));
}

#[test]
fn each_header_missing_changed_or_twice() {
    let names: Vec<String> =
        honest().records["bank.accounts"][0].headers.iter().map(|(name, _)| name.clone()).collect();
    for name in names {
        let mut run = honest();
        let at = place(&run, "2@account-1");
        records(&mut run)[at].headers.retain(|(found, _)| *found != name);
        let found = findings(&run);
        assert!(found.iter().any(|text| text.contains(&name)), "{name} missing: {found:#?}");

        let mut run = honest();
        let (_, value) = records(&mut run)[at].headers.iter_mut().find(|(found, _)| *found == name).unwrap();
        value.push(b'7');
        // What version an event without one is read as, only the relay knows.
        assert_eq!(findings(&run).is_empty(), name == "ce_schemaversion", "{name} changed");

        let mut run = honest();
        records(&mut run)[at].headers.push((name.clone(), b"7".to_vec()));
        let found = findings(&run);
        assert!(found.iter().any(|text| text.contains(&format!("{name} is there 2 times"))), "{found:#?}");
    }
}

#[test]
fn an_extra_record() {
    // Of an event that is not in the store, wherever it claims to be.
    for position in [0, 1_250, 5_000_000] {
        for at in [0, 7, 30] {
            let mut run = honest();
            let mut extra = crate::support::event("account-3", 9, 1, &serde_json::json!({}), &().into());
            extra.position = aqueduct_core::Position::at(position);
            let extra = Record { offset: 1, ..record(&extra, Some(4), 1) };
            records(&mut run).insert(at, extra);
            let found = findings(&run);
            assert_eq!(found.len(), 1, "{position} {at}: {found:#?}");
            assert!(
                found[0].ends_with("9@account-3 is not an event of this topic in the store"),
                "{found:#?}"
            );
        }
    }
}

#[test]
fn any_record_missing() {
    let events = accounts();
    for event in &events {
        let mut run = honest();
        let at = place(&run, &event.reference());
        records(&mut run).remove(at);
        let found: Vec<_> = findings(&run).into_iter().filter(|text| text.starts_with("topics")).collect();
        let text = format!("topics: missing: bank.accounts: {} has no record", event.reference());
        assert_eq!(found, [text]);
    }
}

#[test]
fn any_record_twice() {
    for event in accounts() {
        let mut run = honest();
        let at = place(&run, &event.reference());
        let mut again = records(&mut run)[at].clone();
        again.offset = 10_000;
        for place in [at + 1, 30] {
            let mut run = run.clone();
            records(&mut run).insert(place, again.clone());
            let found: Vec<_> =
                findings(&run).into_iter().filter(|text| text.starts_with("topics")).collect();
            assert_eq!(found.len(), 1, "{found:#?}");
            assert!(found[0].starts_with("topics: duplicate") && found[0].contains(&event.reference()));
        }
    }
}

#[test]
fn a_topic_that_is_missing_as_a_whole_is_counted() {
    let mut run = honest();
    records(&mut run).clear();
    let missing = findings(&run).iter().filter(|text| text.starts_with("topics: missing")).count();
    assert_eq!(missing, 30);
}
