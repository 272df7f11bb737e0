//! Which record of a stream came before.

use std::collections::HashMap;
use std::num::NonZeroUsize;

use aqueduct_core::{EventStore, RecordedEvent, Revision, StoreError, StreamName};

use crate::lane::route_selector::RouteSelector;
use crate::record::exception::LastRelayed;

/// Events that a search backwards reads at first, and how much larger each further page is. The event below is
/// nearly always a record.
const FIRST_PAGE: usize = 1;
const PAGE_GROWTH: usize = 32;
const LARGEST_PAGE: usize = 1_000;

/// Events that a search backwards reads at most.
const MOST_EVENTS: usize = 10_000;

/// Whether an earlier event that the route selects is in the topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EarlierEvent {
    Relayed,
    /// It was parked, skipped or discarded; with the stream's record before it.
    NotRelayed {
        last: LastRelayed,
    },
}

/// Remembers the last relayed revision of streams, so that the store need not be asked. The answer is a function
/// of the store, the route and its exceptions: a lane that remembers nothing gives the same.
///
/// A stream was relayed lately, or before that. When half of the capacity is relayed lately, those of before are
/// forgotten, and the others become those of before. A list in the order of use moves three entries of memory at each
/// event, and most of the time was spent there.
pub(crate) struct KnownStreams {
    lately: HashMap<StreamName, Revision>,
    before: HashMap<StreamName, Revision>,
    half: usize,
}

impl KnownStreams {
    pub(crate) fn new(capacity: NonZeroUsize) -> Self {
        let half = capacity.get().div_ceil(2);
        Self { lately: HashMap::new(), before: HashMap::new(), half }
    }

    /// The record before this event. `earlier` tells whether an earlier event of the stream that the selector selects is in the
    /// topic.
    pub(crate) async fn before(
        &mut self,
        event: &RecordedEvent,
        store: &dyn EventStore,
        selector: &RouteSelector,
        earlier: impl Fn(&StreamName, Revision) -> EarlierEvent,
    ) -> Result<LastRelayed, StoreError> {
        let Some(below) = event.revision.checked_sub(1) else { return Ok(LastRelayed::None) };
        // Where the event below is an exception, the store need not be asked.
        if let EarlierEvent::NotRelayed { last } = earlier(&event.stream, below)
            && last != LastRelayed::Unknown
        {
            return Ok(last);
        }
        // Further back a search may not look, so memory must not either.
        let in_reach = |last: Revision| last < event.revision && event.revision - last <= MOST_EVENTS as u64;
        match self.lately.get(&event.stream).or_else(|| self.before.get(&event.stream)) {
            Some(last) if in_reach(*last) => Ok(LastRelayed::Revision(*last)),
            _ => search_back(event, store, selector, earlier).await,
        }
    }

    /// The event has become a record.
    pub(crate) fn relayed(&mut self, event: &RecordedEvent) {
        if let Some(last) = self.lately.get_mut(&event.stream) {
            *last = event.revision;
            return;
        }
        if self.lately.len() == self.half {
            std::mem::swap(&mut self.lately, &mut self.before);
            self.lately.clear();
        }
        self.lately.insert(event.stream.clone(), event.revision);
    }
}

/// Reads the stream backwards, in pages, to the event that became the previous record.
async fn search_back(
    event: &RecordedEvent,
    store: &dyn EventStore,
    selector: &RouteSelector,
    earlier: impl Fn(&StreamName, Revision) -> EarlierEvent,
) -> Result<LastRelayed, StoreError> {
    let (mut next, mut page, mut read) = (event.revision.checked_sub(1), FIRST_PAGE, 0);
    while let Some(from) = next {
        let limit = page.min(MOST_EVENTS - read);
        if limit == 0 {
            return Ok(LastRelayed::Unknown);
        }
        let found = match store.read_stream_back(&event.stream, from, limit).await {
            // Its events are still in `$all` until the store is scavenged.
            Err(error) if error.is_stream_deleted() => return Ok(LastRelayed::Unknown),
            found => found?,
        };
        for event in found.iter().filter(|it| selector.selects(it)) {
            match earlier(&event.stream, event.revision) {
                EarlierEvent::Relayed => return Ok(LastRelayed::Revision(event.revision)),
                EarlierEvent::NotRelayed { last: LastRelayed::Unknown } => {}
                EarlierEvent::NotRelayed { last } => return Ok(last),
            }
        }
        // Truncation hides the beginning of the stream.
        let Some(oldest) = found.last() else { return Ok(LastRelayed::Unknown) };
        next = oldest.revision.checked_sub(1);
        read += found.len();
        page = (page * PAGE_GROWTH).min(LARGEST_PAGE);
    }
    Ok(LastRelayed::None)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use aqueduct_core::mapping::Selection;
    use aqueduct_core::testing::{Call, ScriptedStore};
    use aqueduct_core::{ErrorKind, ExpectedRevision, MemoryStore, NewEvent, StreamDeleted};
    use futures::StreamExt as _;

    use super::*;

    fn selector() -> RouteSelector {
        RouteSelector::new(&Selection::of_categories(["a", "b", "c"]), &BTreeMap::new())
    }

    fn relayed(_: &StreamName, _: Revision) -> EarlierEvent {
        EarlierEvent::Relayed
    }

    async fn store_with(appends: &[(&str, &str)]) -> (MemoryStore, Vec<RecordedEvent>) {
        let store = MemoryStore::default();
        for (stream, event_type) in appends {
            let event = NewEvent {
                id: Default::default(),
                event_type: (*event_type).to_owned(),
                data: Default::default(),
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

    fn forgetful() -> KnownStreams {
        KnownStreams::new(NonZeroUsize::MIN)
    }

    #[tokio::test]
    async fn the_result_is_the_same_with_and_without_memory() {
        let appends = ["a-1", "b-1", "a-1", "c-1", "a-1", "b-1"].map(|stream| (stream, "E"));
        let (store, events) = store_with(&appends).await;
        let expected = [None, None, Some(0), None, Some(1), Some(0)]
            .map(|it| it.map_or(LastRelayed::None, LastRelayed::Revision));
        for capacity in [1, 2, 9] {
            let mut known = KnownStreams::new(NonZeroUsize::new(capacity).unwrap());
            let mut found = Vec::new();
            for event in &events {
                found.push(known.before(event, &store, &selector(), relayed).await.unwrap());
                known.relayed(event);
            }
            assert_eq!(found, expected, "capacity {capacity}");
        }
    }

    /// Links and system events are not relayed, so they are not the previous record.
    #[tokio::test]
    async fn links_and_system_events_do_not_count() {
        let appends = [("a-1", "$>"), ("a-1", "E"), ("a-1", "$>"), ("a-1", "$x"), ("a-1", "E")];
        let (store, events) = store_with(&appends).await;
        let first = forgetful().before(&events[1], &store, &selector(), relayed).await.unwrap();
        assert_eq!(first, LastRelayed::None);

        let mut remembering = forgetful();
        remembering.relayed(&events[1]);
        for mut known in [forgetful(), remembering] {
            let second = known.before(&events[4], &store, &selector(), relayed).await.unwrap();
            assert_eq!(second, LastRelayed::Revision(1));
        }
    }

    #[tokio::test]
    async fn the_search_reads_at_most_ten_thousand_events() {
        let mut appends = vec![("a-1", "$>"); MOST_EVENTS + 1];
        appends[0] = ("a-1", "E");
        appends.push(("a-1", "E"));
        let (memory, events) = store_with(&appends).await;
        let reads = Arc::new(AtomicUsize::new(0));
        let store = {
            let reads = Arc::clone(&reads);
            ScriptedStore::new(memory).before(move |call| {
                reads.fetch_add(usize::from(matches!(call, Call::ReadStreamBack(_))), Ordering::Relaxed);
                Ok(())
            })
        };
        let found = forgetful().before(&events[MOST_EVENTS + 1], &store, &selector(), relayed).await.unwrap();
        assert_eq!(found, LastRelayed::Unknown);
        assert_eq!(reads.load(Ordering::Relaxed), 12, "1, 32, nine times 1,000 and the rest");

        let mut nearer = events[MOST_EVENTS + 1].clone();
        nearer.revision -= 1;
        let mut remembering = forgetful();
        remembering.relayed(&events[0]);
        let far = remembering.before(&events[MOST_EVENTS + 1], &store, &selector(), relayed).await.unwrap();
        assert_eq!(far, LastRelayed::Unknown, "with memory too");
        for mut known in [forgetful(), remembering] {
            let found = known.before(&nearer, &store, &selector(), relayed).await.unwrap();
            assert_eq!(found, LastRelayed::Revision(0));
        }
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
            let (store, event) = (&store, &events[3]);
            async move { forgetful().before(event, store, &selector(), not_relayed(last)).await.unwrap() }
        };
        assert_eq!(
            found(LastRelayed::Unknown).await,
            LastRelayed::Revision(0),
            "the search continues past it"
        );
        assert_eq!(found(LastRelayed::None).await, LastRelayed::None, "what is recorded ends it");
    }

    #[tokio::test]
    async fn truncation_hides_it() {
        let (_, mut events) = store_with(&[("a-1", "E")]).await;
        let mut event = events.remove(0);
        event.revision = 7;
        let before = forgetful().before(&event, &MemoryStore::default(), &selector(), relayed).await.unwrap();
        assert_eq!(before, LastRelayed::Unknown);
    }

    /// Its earlier events are still in `$all`, and no operator could undo the tombstone.
    #[tokio::test]
    async fn a_tombstone_hides_it_but_no_other_refusal_does() {
        let (memory, events) = store_with(&[("a-1", "E"), ("a-1", "E")]).await;
        let refusing = |call: Call<'_>, source| {
            Err(StoreError { kind: ErrorKind::Park, source, ..call.fails("refused") })
        };
        let tombstone = move |call: Call<'_>| refusing(call, Some(StreamDeleted.into()));
        let store = ScriptedStore::new(memory.clone()).before(tombstone);
        let found = forgetful().before(&events[1], &store, &selector(), relayed).await.unwrap();
        assert_eq!(found, LastRelayed::Unknown);

        let store = ScriptedStore::new(memory).before(move |call| refusing(call, None));
        forgetful().before(&events[1], &store, &selector(), relayed).await.unwrap_err();
    }
}
