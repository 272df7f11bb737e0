use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use aqueduct_core::mapping::Selection;
use aqueduct_core::testing::{Call, ScriptedStore};
use aqueduct_core::{ErrorKind, EventStore, ExpectedRevision, MemoryStore, NewEvent, StreamDeleted};
use bytes::Bytes;
use futures::StreamExt as _;

use super::*;
use crate::lane::look_ahead::PAGES_AT_ONCE;
use crate::lane::route_selector::RouteSelector;

mod ahead;

/// For a route of the categories a, b and c.
fn remembering(capacity: usize, store: impl EventStore) -> PreviousRecords {
    let selector = RouteSelector::new(&Selection::of_categories(["a", "b", "c"]), &BTreeMap::new());
    let reader = PageReader { store: Arc::new(store), selector: Arc::new(selector) };
    let permits = Arc::new(Semaphore::new(PAGES_AT_ONCE as usize));
    PreviousRecords::new(NonZeroUsize::new(capacity).unwrap(), reader, permits)
}

fn forgetful(store: impl EventStore) -> PreviousRecords {
    remembering(1, store)
}

fn relayed(_: &StreamName, _: Revision) -> EarlierEvent {
    EarlierEvent::Relayed
}

async fn store_with(appends: &[(&str, &str)]) -> (MemoryStore, Vec<RecordedEvent>) {
    store_of(appends, b"").await
}

/// The same where each event has these data.
async fn store_of(appends: &[(&str, &str)], data: &[u8]) -> (MemoryStore, Vec<RecordedEvent>) {
    let (store, data) = (MemoryStore::default(), Bytes::copy_from_slice(data));
    for (stream, event_type) in appends {
        let event = NewEvent {
            id: Default::default(),
            event_type: (*event_type).to_owned(),
            data: data.clone(),
            metadata: Default::default(),
        };
        store.append(&(*stream).into(), ExpectedRevision::Any, &[event]).await.unwrap();
    }
    let all = store.subscribe_all(None).take(appends.len());
    let events = all.map(|item| match item.unwrap() {
        aqueduct_core::AllItem::Event(event) => event,
        _ => panic!("more events were appended"),
    });
    let events = events.collect().await;
    (store, events)
}

/// The store, and how many look-ups reach it.
fn counted(store: MemoryStore) -> (Arc<ScriptedStore<MemoryStore>>, Arc<AtomicUsize>) {
    let reads = Arc::new(AtomicUsize::new(0));
    let count = {
        let reads = Arc::clone(&reads);
        move |call: Call<'_>| {
            reads.fetch_add(usize::from(matches!(call, Call::ReadStreamBack(_))), Ordering::Relaxed);
            Ok(())
        }
    };
    (Arc::new(ScriptedStore::new(store).before(count)), reads)
}

#[tokio::test]
async fn the_result_is_the_same_with_and_without_memory() {
    let appends = ["a-1", "b-1", "a-1", "c-1", "a-1", "b-1"].map(|stream| (stream, "E"));
    let (store, events) = store_with(&appends).await;
    let expected = [None, None, Some(0), None, Some(1), Some(0)]
        .map(|it| it.map_or(LastRelayed::None, LastRelayed::Revision));
    for capacity in [1, 2, 9] {
        let mut records = remembering(capacity, store.clone());
        let mut found = Vec::new();
        for event in &events {
            found.push(records.before(event, relayed).await.unwrap());
            records.relayed(event);
        }
        assert_eq!(found, expected, "capacity {capacity}");
    }
}

/// Links and system events are not relayed, so they are not the previous record.
#[tokio::test]
async fn links_and_system_events_do_not_count() {
    let appends = [("a-1", "$>"), ("a-1", "E"), ("a-1", "$>"), ("a-1", "$x"), ("a-1", "E")];
    let (store, events) = store_with(&appends).await;
    let first = forgetful(store.clone()).before(&events[1], relayed).await.unwrap();
    assert_eq!(first, LastRelayed::None);

    let mut remembering = forgetful(store.clone());
    remembering.relayed(&events[1]);
    for mut records in [forgetful(store), remembering] {
        let second = records.before(&events[4], relayed).await.unwrap();
        assert_eq!(second, LastRelayed::Revision(1));
    }
}

#[tokio::test]
async fn the_search_reads_at_most_ten_thousand_events() {
    let mut appends = vec![("a-1", "$>"); MOST_EVENTS + 1];
    appends[0] = ("a-1", "E");
    appends.push(("a-1", "E"));
    let (memory, events) = store_with(&appends).await;
    let (store, reads) = counted(memory);
    let found = forgetful(Arc::clone(&store)).before(&events[MOST_EVENTS + 1], relayed).await.unwrap();
    assert_eq!(found, LastRelayed::Unknown);
    assert_eq!(reads.load(Ordering::Relaxed), 12, "1, 32, nine times 1,000 and the rest");

    let mut nearer = events[MOST_EVENTS + 1].clone();
    nearer.revision -= 1;
    let mut remembering = forgetful(Arc::clone(&store));
    remembering.relayed(&events[0]);
    let far = remembering.before(&events[MOST_EVENTS + 1], relayed).await.unwrap();
    assert_eq!(far, LastRelayed::Unknown, "with memory too");
    for mut records in [forgetful(store), remembering] {
        let found = records.before(&nearer, relayed).await.unwrap();
        assert_eq!(found, LastRelayed::Revision(0));
    }
}

/// A thousand of them would take two gigabytes.
#[tokio::test]
async fn pages_of_large_events_are_short() {
    let appends = [vec![("a-1", "E")], vec![("a-1", "$>"); 99], vec![("a-1", "E")]].concat();
    let (memory, events) = store_of(&appends, &vec![b' '; 2 << 20]).await;
    let (store, reads) = counted(memory);
    let found = forgetful(store).before(&events[100], relayed).await.unwrap();
    assert_eq!(found, LastRelayed::Revision(0));
    assert_eq!(reads.load(Ordering::Relaxed), 14, "1, twelve times 8 and the rest");
}

#[tokio::test]
async fn an_event_that_was_not_relayed_does_not_count() {
    let (store, events) = store_with(&[("a-1", "E"); 4]).await;
    let not_relayed = |last| {
        move |_: &StreamName, revision: Revision| match revision {
            0 => EarlierEvent::Relayed,
            _ => EarlierEvent::NotRelayed { last },
        }
    };
    let found = |last| {
        let (mut records, event) = (forgetful(store.clone()), &events[3]);
        async move { records.before(event, not_relayed(last)).await.unwrap() }
    };
    assert_eq!(found(LastRelayed::Unknown).await, LastRelayed::Revision(0), "the search continues past it");
    assert_eq!(found(LastRelayed::None).await, LastRelayed::None, "what is recorded ends it");
}

#[tokio::test]
async fn truncation_hides_it() {
    let (_, mut events) = store_with(&[("a-1", "E")]).await;
    let mut event = events.remove(0);
    event.revision = 7;
    let before = forgetful(MemoryStore::default()).before(&event, relayed).await.unwrap();
    assert_eq!(before, LastRelayed::Unknown);
}

/// Its earlier events are still in `$all`, and no operator could undo the tombstone.
#[tokio::test]
async fn a_tombstone_hides_it_but_no_other_refusal_does() {
    let (memory, events) = store_with(&[("a-1", "E"), ("a-1", "E")]).await;
    let refusing =
        |call: Call<'_>, source| Err(StoreError { kind: ErrorKind::Park, source, ..call.fails("refused") });
    let tombstone = move |call: Call<'_>| refusing(call, Some(StreamDeleted.into()));
    let store = ScriptedStore::new(memory.clone()).before(tombstone);
    let found = forgetful(store).before(&events[1], relayed).await.unwrap();
    assert_eq!(found, LastRelayed::Unknown);

    let store = ScriptedStore::new(memory).before(move |call| refusing(call, None));
    forgetful(store).before(&events[1], relayed).await.unwrap_err();
}
