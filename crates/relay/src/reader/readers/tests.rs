//! Each lane receives exactly the filter of `$all`, whatever happens to its readers.

use std::time::Duration;

use aqueduct_core::ContentType;
use aqueduct_core::mapping::Selection;
use proptest::prelude::*;
use proptest::sample::Index;

use super::*;
use crate::lane::route_selector::RouteSelector;

const LANES: u32 = 2;
const ROUTES: [&[&str]; 2] = [&["a"], &["a", "b"]];

/// Something that happens. Numbers choose among what there is.
#[derive(Debug, Clone)]
enum Action {
    /// An event of a stream; with `same_commit` it shares the commit position of the one before.
    Append {
        stream: u8,
        same_commit: bool,
    },
    /// A lane is assigned.
    Announce(Index),
    /// A lane asks for events, after one of the places that it has seen.
    Add {
        lane: Index,
        back: usize,
    },
    Take(Index),
    /// A reader hands out up to so many events.
    Read {
        reader: Index,
        events: usize,
    },
    /// The store's client replaces its subscription.
    Cut(Index),
    Panic(Index),
    Revoke(Index),
    /// A lane is halted at the event that it took last, or resumes.
    PauseOrResume(Index),
    Wait {
        milliseconds: u64,
    },
}

fn action() -> impl Strategy<Value = Action> {
    let index = any::<Index>;
    prop_oneof![
        4 => (0_u8..12, any::<bool>())
            .prop_map(|(stream, same_commit)| Action::Append { stream, same_commit }),
        1 => index().prop_map(Action::Announce),
        3 => (index(), 0_usize..4).prop_map(|(lane, back)| Action::Add { lane, back }),
        8 => index().prop_map(Action::Take),
        8 => (index(), 1_usize..6).prop_map(|(reader, events)| Action::Read { reader, events }),
        1 => index().prop_map(Action::Cut),
        1 => index().prop_map(Action::Panic),
        1 => index().prop_map(Action::Revoke),
        1 => index().prop_map(Action::PauseOrResume),
        2 => (1_u64..700).prop_map(|milliseconds| Action::Wait { milliseconds }),
    ]
}

/// The subscription of a reader.
#[derive(Debug)]
struct Subscribed {
    key: ReaderKey,
    subscription: Option<u64>,
    /// The next event of the log.
    next: usize,
}

/// A lane as its session sees it.
#[derive(Debug)]
struct Session {
    key: LaneKey,
    /// Of its own events, how many it has received.
    received: usize,
    place: Option<Position>,
    paused: bool,
}

struct World {
    readers: Readers,
    now: Instant,
    log: Vec<RecordedEvent>,
    tasks: Vec<Subscribed>,
    lanes: Vec<(LaneId, Option<Session>)>,
    /// Places that each lane has seen.
    places: Vec<Vec<Option<Position>>>,
}

fn event(stream: &str, position: Position) -> RecordedEvent {
    RecordedEvent {
        stream: stream.into(),
        revision: position.prepare,
        position,
        id: Default::default(),
        event_type: "T".to_owned(),
        content_type: ContentType::Json,
        data: Default::default(),
        metadata: Default::default(),
        created: Default::default(),
    }
}

fn filter(lane: usize) -> LaneFilter {
    let selection = Selection::of_categories(ROUTES[lane / LANES as usize].iter().copied());
    LaneFilter { selector: RouteSelector::new(&selection, &BTreeMap::new()), lane: lane as u32 % LANES }
}

impl World {
    /// Each lane may have up to `waiting` events in its queue.
    fn new(waiting: usize) -> Self {
        let event_bytes = size_of::<RecordedEvent>() + 4;
        let lanes = ROUTES.len() * LANES as usize;
        let limits = Limits {
            buffer: event_bytes * waiting * lanes,
            readers: 2,
            taken: 2,
            near: 30,
            ..Limits::default()
        };
        let ids = (0..lanes).map(|lane| LaneId::new(["r", "s"][lane / 2], lane as u32 % LANES));
        Self {
            readers: Readers::new(limits, LANES),
            now: Instant::now(),
            log: Vec::new(),
            tasks: Vec::new(),
            lanes: ids.map(|id| (id, None)).collect(),
            places: vec![vec![None]; lanes],
        }
    }

    fn append(&mut self, stream: u8, same_commit: bool) {
        let last = self.log.last().map(|it| it.position);
        let position = match last {
            // Written before the commit that made it visible, as the one before.
            Some(last) if same_commit => Position { prepare: last.prepare + 1, ..last },
            Some(last) => Position { commit: last.commit + 100, prepare: last.commit + 10 },
            None => Position { commit: 0, prepare: 0 },
        };
        let category = ["a", "b", "c"][usize::from(stream) % 3];
        self.log.push(event(&format!("{category}-{stream:02}"), position));
    }

    /// The events of a lane.
    fn own(&self, lane: usize) -> Vec<RecordedEvent> {
        let filter = filter(lane);
        let is_own = |it: &&RecordedEvent| filter.takes(it, partition_of(it.stream.as_str(), LANES));
        self.log.iter().filter(is_own).cloned().collect()
    }

    fn start_task(&mut self, starts: Option<ReaderKey>) {
        self.tasks.extend(starts.map(|key| Subscribed { key, subscription: None, next: 0 }));
    }

    fn add(&mut self, lane: usize, back: usize) {
        if self.lanes[lane].1.is_some() {
            return;
        }
        let places = &self.places[lane];
        let place = places[places.len().saturating_sub(back + 1)];
        let received = self.own(lane).iter().filter(|it| Some(it.position) <= place).count();
        let (key, _, starts) = self.readers.add(&self.lanes[lane].0.clone(), filter(lane), place, self.now);
        self.lanes[lane].1 = Some(Session { key, received, place, paused: false });
        self.start_task(starts);
    }

    /// Returns whether the lane got anything.
    fn take(&mut self, lane: usize) -> bool {
        let own = self.own(lane);
        let Some(session) = self.lanes[lane].1.as_mut().filter(|it| !it.paused) else { return false };
        let taken = match self.readers.take(session.key, self.now) {
            Ok(taken) => taken,
            Err(ReaderError::Panicked) => {
                self.revoke(lane);
                return true;
            }
            Err(error) => panic!("{error:?}"),
        };
        let mut got = false;
        for event in &taken.events {
            assert_eq!(Some(event), own.get(session.received), "the next event of lane {lane}");
            assert!(session.place < Some(event.position), "a place comes after the events before it");
            session.received += 1;
            session.place = Some(event.position);
            got = true;
        }
        if taken.place > session.place {
            session.place = taken.place;
            got = true;
        }
        let up_to_place = own.iter().filter(|it| Some(it.position) <= session.place).count();
        assert_eq!(session.received, up_to_place, "lane {lane} has received all events up to its place");
        assert!(self.log.iter().any(|it| Some(it.position) == session.place) || session.place.is_none());
        self.places[lane].push(session.place);
        let starts = taken.starts;
        self.start_task(starts);
        got
    }

    fn revoke(&mut self, lane: usize) {
        if let Some(session) = self.lanes[lane].1.take() {
            self.readers.remove(session.key);
            assert!(!self.readers.lanes.contains_key(&session.key));
        }
    }

    fn pause_or_resume(&mut self, lane: usize) {
        let Some(session) = &mut self.lanes[lane].1 else { return };
        session.paused = !session.paused;
        if session.paused {
            self.readers.pause(session.key, self.now);
            assert!(self.readers.lanes[&session.key].queue.is_empty(), "a halted lane keeps no events");
        } else {
            let starts = self.readers.resume(session.key, session.place, self.now);
            self.start_task(starts);
        }
    }

    /// Hands out up to `events`. Returns whether anything happened.
    fn read(&mut self, task: usize, events: usize) -> bool {
        let Self { readers, log, tasks, now, .. } = self;
        let task = &mut tasks[task];
        let Some(subscription) = task.subscription else {
            match readers.start(task.key, *now) {
                Start::Gather(_) => return false,
                Start::Ended => {
                    let key = task.key;
                    tasks.retain(|it| it.key != key);
                }
                Start::Subscribe { after, subscription } => {
                    task.subscription = Some(subscription);
                    task.next = log.iter().filter(|it| Some(it.position) <= after).count();
                }
            }
            return true;
        };
        let mut happened = false;
        for _ in 0..events {
            if !readers.is_current(task.key, subscription) {
                task.subscription = None;
                return true;
            }
            let Some(event) = log.get(task.next) else {
                let was_behind = readers.readers[&task.key].behind;
                readers.caught_up(task.key, subscription);
                return happened || was_behind;
            };
            match readers.dispatch(task.key, subscription, event.clone(), *now).unwrap() {
                Next::Read => {
                    task.next += 1;
                    happened = true;
                }
                Next::Restart => {
                    task.subscription = None;
                    return true;
                }
                Next::Wait(..) => return happened,
            }
        }
        happened
    }

    fn panic(&mut self, task: usize) {
        let key = self.tasks.remove(task).key;
        self.readers.fail(key, &ReaderError::Panicked);
    }

    fn run(&mut self, action: Action) {
        let lane = |it: &Index| it.index(ROUTES.len() * LANES as usize);
        let tasks = self.tasks.len();
        match action {
            Action::Append { stream, same_commit } => self.append(stream, same_commit),
            Action::Announce(it) => {
                let (id, session) = &self.lanes[lane(&it)];
                if session.is_none() {
                    self.readers.announce(id.clone());
                }
            }
            Action::Add { lane: it, back } => self.add(lane(&it), back),
            Action::Take(it) => {
                self.take(lane(&it));
            }
            Action::Read { reader, events } if tasks > 0 => {
                self.read(reader.index(tasks), events);
            }
            Action::Cut(it) if tasks > 0 => {
                let Subscribed { key, subscription, .. } = &self.tasks[it.index(tasks)];
                if let Some(subscription) = subscription {
                    self.readers.resubscribed(*key, *subscription);
                }
            }
            Action::Panic(it) if tasks > 0 => self.panic(it.index(tasks)),
            Action::Read { .. } | Action::Cut(_) | Action::Panic(_) => {}
            Action::Revoke(it) => self.revoke(lane(&it)),
            Action::PauseOrResume(it) => self.pause_or_resume(lane(&it)),
            Action::Wait { milliseconds } => self.now += Duration::from_millis(milliseconds),
        }
        self.check_structure();
    }

    /// Lanes and readers know each other, and buffers are bounded.
    fn check_structure(&self) {
        let limits = &self.readers.limits;
        assert!(self.readers.readers.len() <= limits.readers);
        for (key, reader) in &self.readers.readers {
            assert!(!reader.lanes.is_empty());
            for lane in &reader.lanes {
                assert!(matches!(self.readers.lanes[lane].source, Source::Reader(it) if it == *key));
            }
            let mut others = self.readers.readers.iter().filter(|(other, _)| *other != key);
            let begun = |it: &Reader| it.gathers_until.is_none();
            assert!(
                !begun(reader) || others.all(|(_, it)| !begun(it) || it.last != reader.last),
                "two readers are at the same place"
            );
        }
        for (key, lane) in &self.readers.lanes {
            if let Source::Reader(reader) = lane.source {
                assert!(self.readers.readers[&reader].lanes.contains(key));
            }
        }
    }

    /// All lanes work until there is nothing left: each must then have all of its events.
    fn finish(&mut self) {
        let lanes = self.lanes.len();
        for lane in 0..lanes {
            if self.lanes[lane].1.as_ref().is_some_and(|it| it.paused) {
                self.pause_or_resume(lane);
            }
        }
        let mut quiet = 0;
        for _ in 0..10_000 {
            let mut happened = false;
            for lane in 0..lanes {
                self.add(lane, 0);
                happened |= self.take(lane);
            }
            for task in (0..self.tasks.len()).rev() {
                happened |= self.read(task, 3);
            }
            self.now += Duration::from_millis(100);
            self.check_structure();
            quiet = if happened { 0 } else { quiet + 1 };
            if quiet > 3 {
                break;
            }
        }
        assert!(quiet > 3, "it never ends");
        let end = self.log.last().map(|it| it.position);
        for lane in 0..lanes {
            let session = self.lanes[lane].1.as_ref().unwrap();
            assert_eq!(session.received, self.own(lane).len(), "lane {lane} has received all of its events");
            assert_eq!(session.place, end, "lane {lane} has no lag");
        }
        if end.is_some() {
            assert_eq!(self.readers.readers.len(), 1, "at the head all share one reader");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn each_lane_receives_exactly_its_events(
        waiting in 1_usize..4,
        actions in prop::collection::vec(action(), 0..200),
    ) {
        let mut world = World::new(waiting);
        for action in actions {
            world.run(action);
        }
        world.finish();
    }
}
