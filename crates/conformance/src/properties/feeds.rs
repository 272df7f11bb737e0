//! The properties that depend only on what is written.

use aqueduct_relay::header;
use fastrand::Rng;

use crate::cuts::{Cuts, Place};
use crate::record::Record;
use crate::script::{Script, Sent, Transaction, transactions};

/// An id that no registry hands out while the kit runs.
const UNKNOWN_SCHEMA: [u8; 4] = i32::MAX.to_be_bytes();
/// One of so many records is written again.
const REPEATED: usize = 3;

/// Records that come twice, next to each other and far apart.
pub(crate) fn duplicates(records: &[Record], random: &mut Rng) -> Script {
    let (first, second) = records.split_at(records.len() / 2);
    let mut strikes = 0;
    let mut repeat = |records: &[Record]| {
        let mut sent = Vec::new();
        for record in records {
            sent.push(Sent::applied(record));
            if random.usize(..REPEATED) == 0 {
                sent.push(Sent::applied(record));
                strikes += 1;
            }
        }
        sent
    };
    let (first, mut second) = (repeat(first), repeat(second));
    let again: Vec<_> = records.iter().step_by(REPEATED).map(Sent::applied).collect();
    strikes += again.len();
    second.extend(again);
    Script { phases: vec![transactions(first), transactions(second)], strikes }
}

/// All records again, at higher offsets.
pub(crate) fn replay(records: &[Record]) -> Script {
    let all = || transactions(records.iter().map(Sent::applied).collect());
    Script { phases: vec![all(), all()], strikes: records.len() }
}

/// Records are missing and never come.
pub(crate) fn gap(records: &[Record], cuts: &Cuts) -> Script {
    damaged(records, cuts, |_| None)
}

/// Records are missing and come later.
pub(crate) fn late_arrival(records: &[Record], cuts: &Cuts) -> Script {
    let is_late = |record: &&Record| cuts.place(record) == Place::Damaged;
    let (late, punctual): (Vec<_>, Vec<_>) = records.iter().partition(is_late);
    let strikes = late.len();
    let sent = |records: Vec<&Record>| transactions(records.into_iter().map(Sent::applied).collect());
    Script { phases: vec![sent(punctual), sent(late)], strikes }
}

/// Records of transactions that were aborted.
pub(crate) fn aborted_transactions(records: &[Record], cuts: &Cuts) -> Script {
    let (first, second) = records.split_at(records.len() / 2);
    let mut strikes = 0;
    let mut phase = |records: &[Record]| {
        let (committed, aborted): (Vec<_>, Vec<_>) =
            records.iter().partition(|record| cuts.place(record) == Place::Intact);
        strikes += aborted.len();
        let sent = |records: Vec<&Record>| records.into_iter().map(Sent::applied).collect::<Vec<_>>();
        let mut all = vec![Transaction::aborted(sent(aborted))];
        all.extend(transactions(sent(committed)));
        all
    };
    Script { phases: vec![phase(first), phase(second)], strikes }
}

/// Records that cannot be read.
pub(crate) fn poison(records: &[Record], cuts: &Cuts) -> Script {
    let mut kinds = POISONS.iter().cycle();
    damaged(records, cuts, |record| {
        let (damage, poison) = kinds.next()?;
        Some(Record { damage: Some(damage), ..poison(record.clone()) })
    })
}

/// Records whose schema the registry does not have.
pub(crate) fn unknown_schema(records: &[Record], cuts: &Cuts) -> Script {
    damaged(records, cuts, |record| {
        let mut record = Record { damage: Some("unknown schema id"), ..record.clone() };
        if let Some(id) = record.value.as_mut().and_then(|value| value.get_mut(1..5)) {
            id.copy_from_slice(&UNKNOWN_SCHEMA);
        }
        Some(record)
    })
}

/// Everything at once.
pub(crate) fn large_batch(records: &[Record]) -> Script {
    let all = Transaction::committed(records.iter().map(Sent::applied).collect());
    Script { phases: vec![vec![all]], strikes: 1 }
}

/// The history with other records in place of the damaged ones; none: it is left out. They and their followers are parked.
fn damaged(records: &[Record], cuts: &Cuts, mut replace: impl FnMut(&Record) -> Option<Record>) -> Script {
    let mut strikes = 0;
    let mut sent = Vec::new();
    for record in records {
        match cuts.place(record) {
            Place::Intact => sent.push(Sent::applied(record)),
            Place::Follower => sent.push(Sent { record: record.clone(), is_parked: true }),
            Place::Damaged => {
                strikes += 1;
                sent.extend(replace(record).map(|record| Sent { record, is_parked: true }));
            }
        }
    }
    let second = sent.split_off(sent.len() / 2);
    Script { phases: vec![transactions(sent), transactions(second)], strikes }
}

/// A kind of damage, and what does it.
type Poison = (&'static str, fn(Record) -> Record);

pub(crate) const KINDS_OF_POISON: usize = 8;

const POISONS: [Poison; KINDS_OF_POISON] = [
    ("truncated Avro", |mut record| {
        if let Some(value) = &mut record.value {
            value.pop();
        }
        record
    }),
    ("null value", |record| Record { value: None, ..record }),
    ("wrong magic byte", |mut record| {
        if let Some(first) = record.value.as_mut().and_then(|value| value.first_mut()) {
            *first = 1;
        }
        record
    }),
    ("header ce_eventid is not UTF-8", |record| record.with_header(header::EVENT_ID, &[0xff])),
    ("empty value", |record| Record { value: Some(Vec::new()), ..record }),
    ("no headers", |record| Record { headers: Vec::new(), ..record }),
    ("header ce_revision is not a number", |record| record.with_header(header::REVISION, b"first")),
    ("the key is not ce_subject", |mut record| {
        record.key.extend_from_slice(b"-other");
        record
    }),
];

#[cfg(test)]
mod tests {
    use super::*;

    /// Twelve streams of three events each.
    fn records() -> Vec<Record> {
        let record = |index: u64| Record {
            topic: 0,
            stream: format!("s-{}", index % 12),
            revision: index / 12,
            event_type: "T".to_owned(),
            key: format!("s-{}", index % 12).into_bytes(),
            value: Some(vec![0, 0, 0, 0, 1, 2, 3]),
            headers: vec![(header::REVISION, b"0".to_vec())],
            damage: None,
        };
        (0..36).map(record).collect()
    }

    fn sent(script: &Script) -> Vec<&Sent> {
        script.phases.iter().flatten().flat_map(|transaction| &transaction.records).collect()
    }

    #[test]
    fn what_is_not_applied_is_parked_or_never_committed() {
        let records = records();
        let cuts = Cuts::choose(&records, &mut Rng::with_seed(1));
        let intact = records.iter().filter(|record| cuts.place(record) == Place::Intact).count();
        let damaged = records.iter().filter(|record| cuts.place(record) == Place::Damaged).count();
        assert_eq!(damaged, 6);
        for (script, missing) in
            [(gap(&records, &cuts), 6), (poison(&records, &cuts), 0), (unknown_schema(&records, &cuts), 0)]
        {
            let applied = sent(&script).into_iter().filter(|sent| !sent.is_parked).count();
            assert_eq!(applied, intact);
            assert_eq!(sent(&script).len(), records.len() - missing);
            assert_eq!(script.strikes, 6);
        }
        let script = aborted_transactions(&records, &cuts);
        let committed = script.phases.iter().flatten().filter(|transaction| transaction.is_committed);
        assert_eq!(committed.map(|transaction| transaction.records.len()).sum::<usize>(), intact);
        assert_eq!(sent(&script).len(), records.len());
    }

    #[test]
    fn a_late_record_comes_after_its_followers() {
        let records = records();
        let cuts = Cuts::choose(&records, &mut Rng::with_seed(1));
        let script = late_arrival(&records, &cuts);
        let late: Vec<_> = script.phases[1].iter().flat_map(|transaction| &transaction.records).collect();
        assert_eq!(late.len(), 6);
        for sent in late {
            let follows =
                |it: &&Record| it.stream == sent.record.stream && it.revision > sent.record.revision;
            assert!(records.iter().any(|it| follows(&it)));
        }
        assert_eq!(sent(&script).len(), records.len());
    }

    #[test]
    fn repeated_records_are_counted() {
        let records = records();
        for script in [duplicates(&records, &mut Rng::with_seed(1)), replay(&records)] {
            assert_eq!(sent(&script).len(), records.len() + script.strikes);
        }
    }
}
