//! Both kinds of storage, one set of expectations.

use super::*;
use crate::event::{FIRST_POSITION, TOMBSTONE_REVISION};

fn record(position: u64, stream: &str, revision: u64) -> Arc<Record> {
    Arc::new(Record {
        position,
        stream: stream.into(),
        revision,
        id: uuid::Uuid::from_u128(position.into()),
        kind: "happened".into(),
        is_json: true,
        created: 0,
        custom_metadata: Default::default(),
        data: Default::default(),
    })
}

/// Streams `a` and `ab`, interleaved; `a` ends in a tombstone.
fn fill(store: &dyn Store) -> Vec<Arc<Record>> {
    let mut position = FIRST_POSITION;
    let mut records = Vec::new();
    for (stream, revision) in [("a", 0), ("ab", 0), ("a", 1), ("ab", 1), ("a", TOMBSTONE_REVISION)] {
        records.push(record(position, stream, revision));
        position = records.last().unwrap().end();
    }
    let (first, second) = records.split_at(2);
    store.commit(first).unwrap();
    store.commit(second).unwrap();
    records
}

fn check(store: &dyn Store, records: &[Arc<Record>]) {
    use Direction::{Backwards, Forwards};
    assert_eq!(store.end(), records[4].end());
    assert_eq!(store.all(0, u64::MAX, Forwards, 10).unwrap(), records);
    let second = records[1].position;
    assert_eq!(store.all(second, u64::MAX, Forwards, 2).unwrap(), records[1..3]);
    assert_eq!(store.all(0, second, Backwards, 9).unwrap(), records[..1]);
    assert_eq!(store.all(0, u64::MAX, Backwards, 1).unwrap(), records[4..]);

    let a = [&records[0], &records[2], &records[4]].map(Clone::clone);
    assert_eq!(store.stream("a", 0, u64::MAX, Forwards, 9).unwrap(), a);
    assert_eq!(store.stream("a", 1, 1, Forwards, 9).unwrap(), a[1..2]);
    assert_eq!(store.stream("a", 0, u64::MAX, Backwards, 1).unwrap(), a[2..]);
    assert_eq!(store.stream("a", 5, 9, Forwards, 9).unwrap(), []);
    assert_eq!(store.stream("a", 5, 4, Forwards, 9).unwrap(), []);
    assert_eq!(store.stream("missing", 0, u64::MAX, Forwards, 9).unwrap(), []);

    assert_eq!(store.last_revision("a").unwrap(), Some(TOMBSTONE_REVISION));
    assert_eq!(store.last_revision("ab").unwrap(), Some(1));
    assert_eq!(store.last_revision("missing").unwrap(), None);
}

#[test]
fn in_memory() {
    let store = Memory::default();
    assert_eq!(store.end(), FIRST_POSITION);
    let records = fill(&store);
    check(&store, &records);
}

#[test]
fn on_disk_also_after_opening_again() {
    let folder = tempfile::tempdir().unwrap();
    let store = Durable::open(folder.path()).unwrap();
    assert_eq!(store.end(), FIRST_POSITION);
    let records = fill(&store);
    check(&store, &records);
    drop(store);
    check(&Durable::open(folder.path()).unwrap(), &records);
}

#[test]
fn a_second_server_on_the_same_folder_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let _first = Durable::open(folder.path()).unwrap();
    let Err(error) = Durable::open(folder.path()) else { panic!("opened twice") };
    assert!(matches!(error, StorageError::InUse { .. }), "{error:?}");
}
