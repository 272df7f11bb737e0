//! Readers with their tasks, on a store whose subscriptions the test plays.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aqueduct_core::mapping::Selection;
use aqueduct_core::{
    AllItem, AppendError, Appended, ContentType, ErrorKind, EventStore, ExpectedRevision, NewEvent, Position,
    RecordedEvent, Revision, StoreError, StreamName,
};
use async_trait::async_trait;
use futures::stream::{self, BoxStream, StreamExt as _};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::lane::route_selector::RouteSelector;
use crate::lane_id::LaneId;
use crate::reader::feed::{LaneFeed, Received};
use crate::reader::filter::LaneFilter;
use crate::reader::limits::Limits;
use crate::reader::reader_error::ReaderError;
use crate::reader::shared::SharedReaders;

type Item = Result<AllItem, StoreError>;

/// A subscription that the store was asked for.
struct Asked {
    after: Option<Position>,
    items: mpsc::UnboundedSender<Item>,
}

struct PlayedStore {
    asked: mpsc::UnboundedSender<Asked>,
    end: Mutex<Option<Position>>,
}

fn error(kind: ErrorKind, problem: &str) -> StoreError {
    let (subject, problem) = ("$all".to_owned(), problem.to_owned());
    StoreError { operation: "subscribe", subject, problem, kind, source: None }
}

#[async_trait]
impl EventStore for PlayedStore {
    async fn append(
        &self,
        _: &StreamName,
        _: ExpectedRevision,
        _: &[NewEvent],
    ) -> Result<Appended, AppendError> {
        unreachable!("readers append nothing")
    }

    async fn read_stream(
        &self,
        _: &StreamName,
        _: Revision,
        _: usize,
    ) -> Result<Vec<RecordedEvent>, StoreError> {
        unreachable!("readers read no stream")
    }

    async fn read_stream_back(
        &self,
        _: &StreamName,
        _: Revision,
        _: usize,
    ) -> Result<Vec<RecordedEvent>, StoreError> {
        unreachable!("readers read no stream")
    }

    fn subscribe_all(&self, after: Option<Position>) -> BoxStream<'static, Item> {
        let (items, received) = mpsc::unbounded_channel();
        self.asked.send(Asked { after, items }).unwrap();
        stream::unfold(received, |mut received| async move {
            let item: Item = received.recv().await?;
            if let Err(error) = &item {
                assert_ne!(error.problem, "panic");
            }
            Some((item, received))
        })
        .boxed()
    }

    async fn last_position(&self) -> Result<Option<Position>, StoreError> {
        Ok(*self.end.lock().unwrap())
    }
}

struct Play {
    readers: SharedReaders,
    store: Arc<PlayedStore>,
    subscriptions: mpsc::UnboundedReceiver<Asked>,
}

fn event(stream: &str, at: u64) -> AllItem {
    AllItem::Event(RecordedEvent {
        stream: stream.into(),
        revision: at,
        position: Position::at(at),
        id: Default::default(),
        event_type: "T".to_owned(),
        content_type: ContentType::Json,
        data: Default::default(),
        metadata: Default::default(),
        created: Default::default(),
    })
}

impl Play {
    fn start(limits: Limits) -> Self {
        let (asked, subscriptions) = mpsc::unbounded_channel();
        let store = Arc::new(PlayedStore { asked, end: Mutex::new(Some(Position::at(1_000))) });
        Self { readers: SharedReaders::new(store.clone(), limits, 1), store, subscriptions }
    }

    /// The only lane of a route that has the streams of a category.
    fn feed(&self, category: &str, place: Option<u64>) -> LaneFeed {
        let selection = Selection::of_categories([category]);
        let filter = LaneFilter { selector: RouteSelector::new(&selection, &BTreeMap::new()), lane: 0 };
        LaneFeed::open(&self.readers, &LaneId::new(category, 0), filter, place.map(Position::at))
    }

    async fn subscription(&mut self) -> Asked {
        soon(self.subscriptions.recv()).await.unwrap()
    }
}

async fn soon<T>(future: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(60), future).await.expect("in time")
}

async fn next(feed: &mut LaneFeed) -> Result<Received, ReaderError> {
    soon(feed.next()).await
}

async fn next_event(feed: &mut LaneFeed) -> u64 {
    loop {
        if let Received::Event(event) = next(feed).await.unwrap() {
            return event.revision;
        }
    }
}

async fn next_place(feed: &mut LaneFeed) -> u64 {
    loop {
        match next(feed).await.unwrap() {
            Received::Place(place) => return place.commit,
            Received::Progress => {}
            Received::Event(event) => panic!("{}", event.reference()),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn lanes_that_start_together_share_one_subscription_from_the_lowest_place() {
    let mut play = Play::start(Limits::default());
    let announced = [play.readers.announce(LaneId::new("a", 0)), play.readers.announce(LaneId::new("b", 0))];
    let mut a = play.feed("a", Some(30));
    let mut b = play.feed("b", Some(10));
    let shared = play.subscription().await;
    assert_eq!(shared.after, Some(Position::at(10)));
    for item in [event("b-1", 20), event("a-1", 25), event("c-1", 30), event("a-1", 40), event("b-1", 50)] {
        shared.items.send(Ok(item)).unwrap();
    }
    assert_eq!(next_event(&mut b).await, 20);
    assert_eq!(next_event(&mut b).await, 50);
    assert_eq!(next_event(&mut a).await, 40, "25 is not beyond its place");
    assert_eq!(next_place(&mut a).await, 50, "a lane without events moves on");
    drop((a, b, announced));
    soon(shared.items.closed()).await;
    assert!(play.subscriptions.try_recv().is_err(), "there was one subscription");
}

#[tokio::test(start_paused = true)]
async fn a_lane_that_is_behind_reads_by_itself_until_it_meets_the_reader() {
    let mut play = Play::start(Limits { near: 0, ..Limits::default() });
    let mut ahead = play.feed("a", Some(100));
    let first = play.subscription().await;
    first.items.send(Ok(event("a-1", 120))).unwrap();
    first.items.send(Ok(AllItem::CaughtUp)).unwrap();
    assert_eq!(next_event(&mut ahead).await, 120);
    let mut behind = play.feed("a", None);
    let own = play.subscription().await;
    assert_eq!(own.after, None);
    for at in [60, 100, 120] {
        own.items.send(Ok(event("a-1", at))).unwrap();
        assert_eq!(next_event(&mut behind).await, at);
    }
    soon(own.items.closed()).await;
    first.items.send(Ok(event("a-1", 130))).unwrap();
    assert_eq!(next_event(&mut behind).await, 130);
    assert_eq!(next_event(&mut ahead).await, 130);
    assert!(!behind.is_behind());
}

#[tokio::test(start_paused = true)]
async fn a_lane_that_takes_nothing_holds_the_others_up_for_a_second_only() {
    let mut play = Play::start(Limits { buffer: 0, taken: 1, near: 0, ..Limits::default() });
    let mut slow = play.feed("a", None);
    let first = play.subscription().await;
    let mut quick = play.feed("b", None);
    for at in [10, 20, 30] {
        first.items.send(Ok(event("a-1", at))).unwrap();
    }
    first.items.send(Ok(event("b-1", 40))).unwrap();
    assert_eq!(next_event(&mut slow).await, 10);
    let begun = tokio::time::Instant::now();
    assert_eq!(next_event(&mut quick).await, 40);
    assert!(begun.elapsed() >= Duration::from_secs(1), "it waited for the slow lane");
    assert_eq!(next_event(&mut slow).await, 20, "what waited for it");
    // It left the reader before 30, and reads on by itself.
    let read_on = async {
        let own = play.subscription().await;
        assert_eq!(own.after, Some(Position::at(20)));
        own.items.send(Ok(event("a-1", 30))).unwrap();
        own
    };
    let (at, _own) = tokio::join!(next_event(&mut slow), read_on);
    assert_eq!(at, 30);
}

#[tokio::test(start_paused = true)]
async fn a_final_error_and_a_panic_are_shown_at_each_lane() {
    for problem in ["gone", "panic"] {
        let mut play = Play::start(Limits::default());
        let (mut a, mut b) = (play.feed("a", None), play.feed("b", None));
        let shared = play.subscription().await;
        shared.items.send(Ok(event("a-1", 10))).unwrap();
        assert_eq!(next_event(&mut a).await, 10);
        shared.items.send(Err(error(ErrorKind::Stop, problem))).unwrap();
        for feed in [&mut a, &mut b] {
            let ended = loop {
                match next(feed).await {
                    Ok(_) => {}
                    Err(error) => break error,
                }
            };
            match ended {
                ReaderError::Store(error) => assert_eq!((error.problem.as_str(), problem), ("gone", "gone")),
                ReaderError::Panicked => assert_eq!(problem, "panic"),
                other => panic!("{other:?}"),
            }
        }
        // The next session of a lane gets another reader.
        let mut again = play.feed("a", Some(10));
        let other = play.subscription().await;
        other.items.send(Ok(event("a-1", 20))).unwrap();
        assert_eq!(next_event(&mut again).await, 20);
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_ends_before_what_any_lane_has_received_is_refused() {
    let mut play = Play::start(Limits::default());
    let announced = [play.readers.announce(LaneId::new("a", 0)), play.readers.announce(LaneId::new("b", 0))];
    let (mut low, mut high) = (play.feed("a", Some(10)), play.feed("b", Some(900)));
    drop(announced);
    let shared = play.subscription().await;
    shared.items.send(Ok(event("a-1", 20))).unwrap();
    assert_eq!(next_event(&mut low).await, 20);
    // Restored from a backup: it has what the reader has read, but not what one lane has received.
    *play.store.end.lock().unwrap() = Some(Position::at(500));
    shared.items.send(Ok(AllItem::Resubscribed)).unwrap();
    shared.items.send(Ok(event("b-1", 600))).unwrap();
    for feed in [&mut low, &mut high] {
        let error = loop {
            match next(feed).await {
                Ok(Received::Event(event)) => panic!("{}", event.reference()),
                Ok(_) => {}
                Err(error) => break error,
            }
        };
        let ReaderError::StoreBehind { received, end } = error else { panic!("{error:?}") };
        assert_eq!((received, end), (Position::at(900), Some(Position::at(500))));
    }
}

#[tokio::test(start_paused = true)]
async fn a_paused_lane_keeps_nothing_and_reads_nothing() {
    let mut play = Play::start(Limits::default());
    let mut feed = play.feed("a", None);
    let first = play.subscription().await;
    for at in [10, 20, 30] {
        first.items.send(Ok(event("a-1", at))).unwrap();
    }
    assert_eq!(next_event(&mut feed).await, 10);
    feed.pause();
    soon(first.items.closed()).await;
    feed.resume(Some(Position::at(20)));
    let second = play.subscription().await;
    assert_eq!(second.after, Some(Position::at(20)));
    second.items.send(Ok(event("a-1", 30))).unwrap();
    assert_eq!(next_event(&mut feed).await, 30);
}
