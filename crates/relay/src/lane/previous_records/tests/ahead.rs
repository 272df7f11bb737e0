//! What is read ahead, and that it changes no answer.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use aqueduct_core::{AllItem, AppendError, Appended, Position};
use async_trait::async_trait;
use futures::future::pending;
use futures::stream::BoxStream;
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;
use tokio::sync::{Barrier, watch};
use tokio::task::yield_now;
use tokio::time::timeout;

use super::*;

const AT_ONCE: usize = PAGES_AT_ONCE as usize;

/// A store whose look-ups a test delays and makes fail, and in which the beginnings of streams are hidden.
struct Scripted<L> {
    store: MemoryStore,
    hidden_below: HashMap<StreamName, Revision>,
    look_up: L,
}

impl<L> Scripted<L> {
    fn new(store: MemoryStore, look_up: L) -> Self {
        Self { store, hidden_below: HashMap::new(), look_up }
    }
}

#[async_trait]
impl<L, F> EventStore for Scripted<L>
where
    L: Fn(&StreamName) -> F + Send + Sync + 'static,
    F: Future<Output = Result<(), StoreError>> + Send,
{
    async fn append(
        &self,
        _: &StreamName,
        _: ExpectedRevision,
        _: &[NewEvent],
    ) -> Result<Appended, AppendError> {
        unreachable!("look-ups append nothing")
    }

    async fn read_stream(
        &self,
        _: &StreamName,
        _: Revision,
        _: usize,
    ) -> Result<Vec<RecordedEvent>, StoreError> {
        unreachable!("look-ups read backwards")
    }

    async fn read_stream_back(
        &self,
        stream: &StreamName,
        from: Revision,
        limit: usize,
    ) -> Result<Vec<RecordedEvent>, StoreError> {
        (self.look_up)(stream).await?;
        let mut found = self.store.read_stream_back(stream, from, limit).await?;
        found.retain(|it| self.hidden_below.get(stream).is_none_or(|first| it.revision >= *first));
        Ok(found)
    }

    fn subscribe_all(&self, _: Option<Position>) -> BoxStream<'static, Result<AllItem, StoreError>> {
        unreachable!("look-ups read streams")
    }

    async fn last_position(&self) -> Result<Option<Position>, StoreError> {
        unreachable!("look-ups read streams")
    }
}

/// Two events of each of these streams: first the first one of each.
async fn pairs(
    streams: impl Iterator<Item = String> + Clone,
    data: &[u8],
) -> (MemoryStore, Vec<RecordedEvent>) {
    let names: Vec<_> = streams.clone().chain(streams).collect();
    let appends: Vec<_> = names.iter().map(|stream| (stream.as_str(), "E")).collect();
    let (store, mut events) = store_of(&appends, data).await;
    let second = events.split_off(names.len() / 2);
    (store, second)
}

fn streams(count: usize) -> impl Iterator<Item = String> + Clone {
    (0..count).map(|n| format!("a-{n}"))
}

fn open(_: &StreamName) -> bool {
    false
}

async fn soon<T>(future: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(60), future).await.expect("in time")
}

/// Relays all events. The lane sees all that are upcoming.
async fn relay(records: &mut PreviousRecords, events: Vec<RecordedEvent>) -> Vec<LastRelayed> {
    let (mut upcoming, mut found) = (VecDeque::from(events), Vec::new());
    while let Some(event) = upcoming.pop_front() {
        records.look_ahead(&event, &upcoming, relayed, open);
        found.push(records.before(&event, relayed).await.unwrap());
        records.relayed(&event);
    }
    found
}

#[tokio::test]
async fn look_ups_overlap() {
    let (memory, events) = pairs(streams(1 + 3 * AT_ONCE), b"").await;
    let barrier = Arc::new(Barrier::new(AT_ONCE));
    let store = Scripted::new(memory, move |stream: &StreamName| {
        // Without the first one, the lane does not know that the store is needed.
        let others = (stream.as_str() != "a-0").then(|| Arc::clone(&barrier));
        async move {
            if let Some(others) = others {
                others.wait().await;
            }
            Ok::<_, StoreError>(())
        }
    });
    let found = soon(relay(&mut forgetful(store), events)).await;
    assert_eq!(found, vec![LastRelayed::Revision(0); 1 + 3 * AT_ONCE]);
}

/// Counts itself among those of a channel while it exists.
struct Counted(watch::Sender<usize>);

impl Counted {
    fn new(counter: &watch::Sender<usize>) -> Self {
        counter.send_modify(|count| *count += 1);
        Self(counter.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

/// A lane that has looked up the stream a-0, whose other look-ups never end; how many are in flight; the other events.
async fn held(data: &[u8]) -> (PreviousRecords, watch::Receiver<usize>, VecDeque<RecordedEvent>) {
    let (memory, mut events) = pairs(streams(300), data).await;
    let (sender, in_flight) = watch::channel(0);
    let store = Scripted::new(memory, move |stream: &StreamName| {
        let counted = (stream.as_str() != "a-0").then(|| Counted::new(&sender));
        async move {
            match counted {
                Some(_counted) => pending().await,
                None => Ok::<_, StoreError>(()),
            }
        }
    });
    let mut records = forgetful(store);
    let first = events.remove(0);
    assert_eq!(records.before(&first, relayed).await.unwrap(), LastRelayed::Revision(0));
    (records, in_flight, events.into())
}

/// How many look-ups are in flight if the lane looks ahead again and again.
async fn look_ahead(
    records: &mut PreviousRecords,
    in_flight: &watch::Receiver<usize>,
    upcoming: &VecDeque<RecordedEvent>,
) -> usize {
    for _ in 0..100 {
        records.look_ahead(&upcoming[0], upcoming, relayed, open);
        yield_now().await;
    }
    *in_flight.borrow()
}

#[tokio::test]
async fn look_ups_in_flight_are_bounded_and_end_with_the_session() {
    let (mut records, mut in_flight, upcoming) = held(b"").await;
    assert_eq!(look_ahead(&mut records, &in_flight, &upcoming).await, AT_ONCE);
    records.drop_read_ahead();
    soon(in_flight.wait_for(|count| *count == 0)).await.unwrap();
    assert_eq!(look_ahead(&mut records, &in_flight, &upcoming).await, AT_ONCE, "the events have come again");
    drop(records);
    soon(in_flight.wait_for(|count| *count == 0)).await.unwrap();
}

#[tokio::test]
async fn fewer_large_events_are_read_at_once() {
    let (mut records, in_flight, upcoming) = held(&vec![b' '; 3 << 20]).await;
    assert_eq!(look_ahead(&mut records, &in_flight, &upcoming).await, 4);
}

#[tokio::test]
async fn what_was_read_is_bounded() {
    let (memory, mut events) = pairs(streams(300), b"").await;
    let (store, reads) = counted(memory);
    let mut records = forgetful(store);
    let first = events.remove(0);
    records.before(&first, relayed).await.unwrap();
    let upcoming = VecDeque::from(events);
    let (_sender, in_flight) = watch::channel(0);
    look_ahead(&mut records, &in_flight, &upcoming).await;
    assert_eq!(reads.load(Ordering::Relaxed), 1 + 64);
}

#[tokio::test]
async fn only_what_the_lane_will_ask_for_is_looked_up() {
    let names = ["a-asks", "a-blocked", "a-skipped", "a-known", "a-other"].map(str::to_owned);
    let (memory, mut seconds) = pairs(names.into_iter(), b"").await;
    let [first, blocked, skipped, known] = [0, 0, 0, 0].map(|_| seconds.remove(0));
    let (store, reads) = counted(memory);
    let earlier = |stream: &StreamName, _: Revision| match stream.as_str() {
        "a-skipped" => EarlierEvent::NotRelayed { last: LastRelayed::None },
        _ => EarlierEvent::Relayed,
    };
    let mut records = forgetful(store);
    let other = seconds.remove(0);
    let new = RecordedEvent { revision: 0, stream: "a-new".into(), ..other.clone() };
    let again = RecordedEvent { revision: 2, ..other.clone() };
    let mut upcoming: VecDeque<_> = [blocked, skipped, known.clone(), new, other, again].into();
    for (event, position) in upcoming.iter_mut().zip(100..) {
        event.position = Position::at(position);
    }
    records.relayed(&RecordedEvent { revision: 0, ..known });
    records.before(&first, earlier).await.unwrap();
    assert_eq!(reads.load(Ordering::Relaxed), 1);
    let blocked = upcoming.pop_front().unwrap();
    for _ in 0..100 {
        records.look_ahead(&blocked, &upcoming, earlier, |stream| stream.as_str() == "a-blocked");
        yield_now().await;
    }
    assert_eq!(reads.load(Ordering::Relaxed), 2, "of a-other");
}

#[tokio::test]
async fn a_failed_look_up_fails_its_own_event_only() {
    let (memory, events) = pairs(streams(20), b"").await;
    let fails = Arc::new(Mutex::new(HashMap::from([("a-3".to_owned(), 3), ("a-7".to_owned(), 1)])));
    let store = ScriptedStore::new(memory).before(move |call: Call<'_>| {
        let Call::ReadStreamBack(stream) = call else { return Ok(()) };
        match fails.lock().unwrap().get_mut(stream.as_str()) {
            Some(times) if *times > 0 => {
                *times -= 1;
                Err(call.fails("not now"))
            }
            _ => Ok(()),
        }
    });
    let (mut records, mut upcoming, mut errors) = (forgetful(store), VecDeque::from(events), Vec::new());
    while let Some(event) = upcoming.pop_front() {
        records.look_ahead(&event, &upcoming, relayed, open);
        while let Err(error) = records.before(&event, relayed).await {
            errors.push((event.stream.to_string(), error.kind));
        }
        records.relayed(&event);
    }
    // The first failures were those of the look-ups ahead.
    assert_eq!(errors, vec![("a-3".to_owned(), ErrorKind::Retry); 2]);
}

/// What becomes of an event that the route selects.
#[derive(Debug, Clone, Copy)]
enum Fate {
    Relayed,
    Skipped,
    /// An exception that tells nothing of what came before.
    NotRelayed,
}

#[derive(Debug, Clone)]
struct History {
    events: Vec<(u8, &'static str, Fate)>,
    hidden_below: Vec<Revision>,
    capacity: usize,
    /// Events that the lane receives at once.
    taken: usize,
    /// Which of the first look-ups fail, and before which events what was read ahead is dropped.
    failing: Vec<bool>,
    dropped: Vec<bool>,
}

const STREAMS: usize = 6;

fn history() -> impl Strategy<Value = History> {
    let event_type = prop_oneof![6 => Just("E"), 1 => Just("$>"), 1 => Just("$x")];
    let fate = prop_oneof![6 => Just(Fate::Relayed), 1 => Just(Fate::Skipped), 1 => Just(Fate::NotRelayed)];
    let event = (0..STREAMS as u8, event_type, fate);
    (
        prop::collection::vec(event, 1..80),
        prop::collection::vec(prop_oneof![2 => Just(0), 1 => 0_u64..6], STREAMS),
        1_usize..8,
        1_usize..30,
        prop::collection::vec(prop::bool::weighted(0.2), 40),
        prop::collection::vec(prop::bool::weighted(0.1), 80),
    )
        .prop_map(|(events, hidden_below, capacity, taken, failing, dropped)| History {
            events,
            hidden_below,
            capacity,
            taken,
            failing,
            dropped,
        })
}

type Exceptions = HashMap<(StreamName, Revision), LastRelayed>;

fn earlier_in(exceptions: &Exceptions, stream: &StreamName, revision: Revision) -> EarlierEvent {
    match exceptions.get(&(stream.clone(), revision)) {
        Some(last) => EarlierEvent::NotRelayed { last: *last },
        None => EarlierEvent::Relayed,
    }
}

/// What `answer` gives for each event that the route selects, with the exceptions so far.
async fn answers(
    history: &History,
    events: &[RecordedEvent],
    mut answer: impl AsyncFnMut(usize, &RecordedEvent, Fate, &Exceptions) -> LastRelayed,
) -> Vec<LastRelayed> {
    let (mut exceptions, mut answers) = (Exceptions::new(), Vec::new());
    for (n, (event, (_, _, fate))) in events.iter().zip(&history.events).enumerate() {
        if event.event_type != "E" {
            continue;
        }
        let last = answer(n, event, *fate, &exceptions).await;
        answers.push(last);
        let exception = match fate {
            Fate::Relayed => None,
            Fate::Skipped => Some(last),
            Fate::NotRelayed => Some(LastRelayed::Unknown),
        };
        exceptions.extend(exception.map(|it| ((event.stream.clone(), event.revision), it)));
    }
    answers
}

/// The definition: one event after the other, without memory.
fn defined(
    event: &RecordedEvent,
    events: &[RecordedEvent],
    hidden_below: &HashMap<StreamName, Revision>,
    exceptions: &Exceptions,
) -> LastRelayed {
    for revision in (0..event.revision).rev() {
        let exception = exceptions.get(&(event.stream.clone(), revision)).copied();
        // What is recorded of the event directly below needs no look-up.
        if revision + 1 == event.revision
            && let Some(last) = exception.filter(|it| *it != LastRelayed::Unknown)
        {
            return last;
        }
        if revision < hidden_below[&event.stream] {
            return LastRelayed::Unknown;
        }
        let below = events.iter().find(|it| it.stream == event.stream && it.revision == revision);
        if below.is_some_and(|it| it.event_type == "E") {
            match exception {
                None => return LastRelayed::Revision(revision),
                Some(LastRelayed::Unknown) => {}
                Some(last) => return last,
            }
        }
    }
    LastRelayed::None
}

/// What the lane finds, if it looks ahead or not.
async fn found(
    history: &History,
    (memory, events): &(MemoryStore, Vec<RecordedEvent>),
    hidden_below: &HashMap<StreamName, Revision>,
    looks_ahead: bool,
) -> Vec<LastRelayed> {
    let (reads, failing) = (AtomicUsize::new(0), history.failing.clone());
    let store = Scripted {
        store: memory.clone(),
        hidden_below: hidden_below.clone(),
        look_up: move |stream: &StreamName| {
            let read = reads.fetch_add(1, Ordering::Relaxed);
            let fails = failing.get(read).copied().unwrap_or_default();
            let result = if fails { Err(Call::ReadStreamBack(stream).fails("not now")) } else { Ok(()) };
            async move {
                for _ in 0..read % 3 {
                    yield_now().await;
                }
                result
            }
        },
    };
    let mut records = remembering(history.capacity, store);
    answers(history, events, async |n, event, fate, exceptions| {
        let earlier = |stream: &StreamName, revision| earlier_in(exceptions, stream, revision);
        if looks_ahead {
            if history.dropped[n] {
                records.drop_read_ahead();
            }
            let taken = &events[n + 1..events.len().min((n / history.taken + 1) * history.taken)];
            let upcoming = taken.iter().filter(|it| it.event_type == "E").cloned().collect();
            records.look_ahead(event, &upcoming, earlier, open);
        }
        let last = loop {
            if let Ok(last) = records.before(event, earlier).await {
                break last;
            }
        };
        if matches!(fate, Fate::Relayed) {
            records.relayed(event);
        }
        last
    })
    .await
}

proptest! {
    #[test]
    fn it_answers_the_same_whether_it_remembers_or_looks_ahead(history in history()) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let names: Vec<_> = (0..STREAMS).map(|n| format!("a-{n}")).collect();
            let appends: Vec<_> =
                history.events.iter().map(|(stream, of, _)| (names[usize::from(*stream)].as_str(), *of)).collect();
            let stored = store_with(&appends).await;
            let hidden_below: HashMap<StreamName, _> =
                names.iter().map(|it| it.as_str().into()).zip(history.hidden_below.clone()).collect();
            let defined = answers(&history, &stored.1, async |_, event, _, exceptions| {
                defined(event, &stored.1, &hidden_below, exceptions)
            })
            .await;
            let without = found(&history, &stored, &hidden_below, false).await;
            let ahead = found(&history, &stored, &hidden_below, true).await;
            prop_assert_eq!(&without, &ahead);
            for (defined, found) in defined.iter().zip(&ahead) {
                // A lane may remember what truncation hides by now.
                prop_assert!(defined == found || *defined == LastRelayed::Unknown, "{:?} {:?}", defined, found);
            }
            Ok::<_, TestCaseError>(())
        })?;
    }
}
