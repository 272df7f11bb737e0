//! Which lanes share which reader of `$all`, and what each lane is due: decisions only, no I/O and no clock.
//!
//! A reader is one subscription to `$all`. It hands each event to those of its lanes whose event it is. A lane has a queue,
//! and at most one reader. A lane that reads alone is a reader with one lane. Every change happens under one lock, which
//! is what makes the moments exact at which a lane joins, leaves or changes its reader.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use aqueduct_core::{Position, RecordedEvent};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::lane_id::LaneId;
use crate::metrics;
use crate::reader::filter::LaneFilter;
use crate::reader::limits::Limits;
use crate::reader::queue::Queue;
use crate::reader::reader_error::ReaderError;
use crate::record::partition::partition_of;

mod placement;

/// A session of a lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct LaneKey(u64);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ReaderKey(u64);

/// The readers of a process and their lanes.
#[derive(Debug)]
pub(crate) struct Readers {
    limits: Limits,
    /// Lanes of each route.
    lanes_of_route: u32,
    lanes: BTreeMap<LaneKey, Lane>,
    readers: BTreeMap<ReaderKey, Reader>,
    /// Lanes that were assigned and have not asked for events yet.
    announced: BTreeSet<LaneId>,
    last_key: u64,
}

#[derive(Debug)]
struct Lane {
    filter: LaneFilter,
    queue: Queue,
    /// Events up to this position are not wanted: the lane has received them.
    floor: Option<Position>,
    source: Source,
    wake: Arc<Notify>,
}

/// Where a lane's next events come from.
#[derive(Debug)]
enum Source {
    Reader(ReaderKey),
    /// It was let go: it gets another reader when its queue is empty.
    None,
    /// It reads nothing.
    Paused,
    /// Its reader has ended.
    Failed(ReaderError),
}

#[derive(Debug)]
struct Reader {
    /// Waits for lanes until then, and has not subscribed; `None` once it has.
    gathers_until: Option<Instant>,
    /// Position of the last event that was handed out; before the first, where the subscription begins.
    last: Option<Position>,
    /// Not all stored events have been handed out.
    behind: bool,
    /// Counts subscriptions: what comes from an earlier one is not handed out.
    subscription: u64,
    lanes: BTreeSet<LaneKey>,
    /// The lane it waits for, and since when.
    stalled: Option<(LaneKey, Instant)>,
    /// Since when lanes without events may not know `last`, and when they were last woken for it.
    unshown: bool,
    shown_at: Instant,
    wake: Arc<Notify>,
}

/// What a reader's task must do first.
#[derive(Debug)]
pub(crate) enum Start {
    /// Wait for lanes until then.
    Gather(Instant),
    Subscribe {
        after: Option<Position>,
        subscription: u64,
    },
    /// It has no lanes any more.
    Ended,
}

/// What a reader's task must do next.
#[derive(Debug)]
pub(crate) enum Next {
    Read,
    /// Hand out the same event again when a lane has taken something, at the latest then.
    Wait(RecordedEvent, Instant),
    /// Subscribe again, or end: ask with [`Readers::start`].
    Restart,
}

/// What a lane has taken.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    pub(crate) events: VecDeque<RecordedEvent>,
    /// After these events: the lane has received all of its events up to this position.
    pub(crate) place: Option<Position>,
    /// Stored events are still to be read.
    pub(crate) behind: bool,
    /// The reader that must be started for the lane.
    pub(crate) starts: Option<ReaderKey>,
}

impl Readers {
    pub(crate) fn new(limits: Limits, lanes_of_route: u32) -> Self {
        Self {
            limits,
            lanes_of_route,
            lanes: BTreeMap::new(),
            readers: BTreeMap::new(),
            announced: BTreeSet::new(),
            last_key: 0,
        }
    }

    fn next_key(&mut self) -> u64 {
        self.last_key += 1;
        self.last_key
    }

    /// A lane was assigned and will ask for events: readers that have not begun wait for it, for a short time.
    pub(crate) fn announce(&mut self, id: LaneId) {
        self.announced.insert(id);
    }

    /// An announced lane has come, or will not come.
    pub(crate) fn forget(&mut self, id: &LaneId) -> bool {
        let was_announced = self.announced.remove(id);
        if self.announced.is_empty() {
            let gathering = self.readers.values().filter(|it| it.gathers_until.is_some());
            gathering.for_each(|it| it.wake.notify_one());
        }
        was_announced
    }

    /// Adds a lane that has received all of its events up to `place`. Returns its key, what wakes it, and the reader that
    /// must be started.
    pub(crate) fn add(
        &mut self,
        id: &LaneId,
        filter: LaneFilter,
        place: Option<Position>,
        now: Instant,
    ) -> (LaneKey, Arc<Notify>, Option<ReaderKey>) {
        let key = LaneKey(self.next_key());
        let wake = Arc::new(Notify::new());
        let lane = Lane {
            filter,
            queue: Queue::new(now),
            floor: place,
            source: Source::None,
            wake: Arc::clone(&wake),
        };
        self.lanes.insert(key, lane);
        let is_straggler = self.announced.contains(id);
        // Only then a reader that gathers may begin: this lane is one of those it waits for.
        let starts = self.place(key, is_straggler, now);
        self.forget(id);
        (key, wake, starts)
    }

    /// Removes a lane and its queue.
    pub(crate) fn remove(&mut self, key: LaneKey) {
        self.leave(key);
        self.lanes.remove(&key);
    }

    /// The lane reads nothing until [`resume`](Self::resume). What waits for it is dropped.
    pub(crate) fn pause(&mut self, key: LaneKey, now: Instant) {
        self.leave(key);
        let Some(lane) = self.lanes.get_mut(&key) else { return };
        lane.queue = Queue::new(now);
        if !matches!(lane.source, Source::Failed(_)) {
            lane.source = Source::Paused;
        }
    }

    /// The lane reads on after `place`. Returns the reader that must be started.
    pub(crate) fn resume(
        &mut self,
        key: LaneKey,
        place: Option<Position>,
        now: Instant,
    ) -> Option<ReaderKey> {
        let lane = self.lanes.get_mut(&key)?;
        if !matches!(lane.source, Source::Paused) {
            return None;
        }
        (lane.source, lane.floor) = (Source::None, place);
        self.place(key, false, now)
    }

    /// Takes the first events of a lane's queue, and behind the last one the place up to which its reader has looked.
    /// What was taken before has been dealt with.
    ///
    /// # Errors
    /// Its reader has ended and the queue is empty.
    pub(crate) fn take(&mut self, key: LaneKey, now: Instant) -> Result<Taken, ReaderError> {
        let Some(lane) = self.lanes.get_mut(&key) else { return Ok(Taken::default()) };
        let events = lane.queue.take(self.limits.taken, now);
        let mut taken = Taken { behind: true, ..Taken::default() };
        if lane.queue.is_empty() {
            match &lane.source {
                Source::Failed(error) if events.is_empty() => return Err(error.clone()),
                Source::None if events.is_empty() => taken.starts = self.place(key, false, now),
                Source::Reader(_) | Source::None | Source::Paused | Source::Failed(_) => {}
            }
        }
        let Some(lane) = self.lanes.get(&key) else { return Ok(taken) };
        let reader = match lane.source {
            Source::Reader(reader) => self.readers.get(&reader),
            Source::None | Source::Paused | Source::Failed(_) => None,
        };
        if let Some(reader) = reader {
            taken.behind = reader.behind;
            if reader.stalled.is_some_and(|(stalled, _)| stalled == key) {
                reader.wake.notify_one();
            }
        }
        if lane.queue.is_empty() {
            taken.place = lane.floor.max(reader.and_then(|it| it.last));
        }
        taken.events = events;
        Ok(taken)
    }

    /// What the task of a reader begins with.
    pub(crate) fn start(&mut self, key: ReaderKey, now: Instant) -> Start {
        let Some(reader) = self.readers.get_mut(&key) else { return Start::Ended };
        match reader.gathers_until {
            Some(until) if now < until && !self.announced.is_empty() => return Start::Gather(until),
            Some(_) | None => reader.gathers_until = None,
        }
        // Another one may have come to its place meanwhile.
        if self.merge(key) {
            return Start::Ended;
        }
        let Some(reader) = self.readers.get(&key) else { return Start::Ended };
        Start::Subscribe { after: reader.last, subscription: reader.subscription }
    }

    /// The highest position that a lane of the reader has received.
    pub(crate) fn highest(&self, key: ReaderKey) -> Option<Position> {
        let reader = self.readers.get(&key)?;
        let floors = reader.lanes.iter().filter_map(|lane| self.lanes.get(lane)?.floor);
        floors.max().max(reader.last)
    }

    /// What wakes the task of a reader.
    pub(crate) fn wake(&self, key: ReaderKey) -> Option<Arc<Notify>> {
        self.readers.get(&key).map(|it| Arc::clone(&it.wake))
    }

    /// Whether the reader still reads this subscription.
    pub(crate) fn is_current(&self, key: ReaderKey, subscription: u64) -> bool {
        self.readers.get(&key).is_some_and(|it| it.subscription == subscription)
    }

    /// Hands out the next event of a reader's subscription.
    pub(crate) fn dispatch(
        &mut self,
        key: ReaderKey,
        subscription: u64,
        event: RecordedEvent,
        now: Instant,
    ) -> Result<Next, ReaderError> {
        let Some(reader) = self.readers.get(&key).filter(|it| it.subscription == subscription) else {
            return Ok(Next::Restart);
        };
        let position = event.position;
        if let Some(from) = reader.last
            && position <= from
        {
            return Err(ReaderError::Disorder { from, to: position, reference: event.reference() });
        }
        let mut takers = self.takers(reader, &event);
        while let Some(full) = self.first_full(&takers, &event) {
            if let Some(until) = self.patience_with(key, full, now) {
                return Ok(Next::Wait(event, until));
            }
            metrics::lane_let_go(self.readers.get(&key).is_some_and(|it| it.behind));
            self.leave(full);
            takers.retain(|it| *it != full);
        }
        self.push(&takers, event);
        let Some(reader) = self.readers.get_mut(&key) else { return Ok(Next::Restart) };
        (reader.last, reader.unshown, reader.stalled) = (Some(position), true, None);
        Ok(if self.merge(key) { Next::Restart } else { Next::Read })
    }

    /// The reader's lanes whose event this is.
    fn takers(&self, reader: &Reader, event: &RecordedEvent) -> Vec<LaneKey> {
        let number = partition_of(event.stream.as_str(), self.lanes_of_route);
        let takes = |key: &&LaneKey| {
            self.lanes
                .get(key)
                .is_some_and(|lane| lane.floor < Some(event.position) && lane.filter.takes(event, number))
        };
        reader.lanes.iter().filter(takes).copied().collect()
    }

    fn first_full(&self, takers: &[LaneKey], event: &RecordedEvent) -> Option<LaneKey> {
        let share = self.limits.buffer / self.lanes.len().max(1);
        let is_full = |key: &&LaneKey| self.lanes.get(key).is_some_and(|it| it.queue.is_full(event, share));
        takers.iter().find(is_full).copied()
    }

    /// Until when a reader waits for a lane whose queue is full; `None` if it must not wait any longer.
    fn patience_with(&mut self, key: ReaderKey, full: LaneKey, now: Instant) -> Option<Instant> {
        let took_at = self.lanes.get(&full)?.queue.took_at();
        let reader = self.readers.get_mut(&key)?;
        if !reader.behind {
            return None;
        }
        let since = match reader.stalled {
            Some((stalled, since)) if stalled == full => since,
            Some(_) | None => now,
        };
        reader.stalled = Some((full, since));
        if reader.lanes.len() == 1 {
            // Nobody else waits.
            return Some(now + self.limits.patience);
        }
        let until = since.max(took_at) + self.limits.patience;
        (now < until).then_some(until)
    }

    /// Gives the event to all takers.
    fn push(&mut self, takers: &[LaneKey], event: RecordedEvent) {
        let Some((last, others)) = takers.split_last() else { return };
        for key in others {
            if let Some(lane) = self.lanes.get_mut(key) {
                lane.queue.push(event.clone());
                lane.wake.notify_one();
            }
        }
        if let Some(lane) = self.lanes.get_mut(last) {
            lane.queue.push(event);
            lane.wake.notify_one();
        }
    }

    /// The lane has no reader any more; what waits for it remains. A reader without lanes ends.
    fn leave(&mut self, key: LaneKey) {
        let Some(lane) = self.lanes.get_mut(&key) else { return };
        let Source::Reader(left) = lane.source else { return };
        lane.source = Source::None;
        lane.wake.notify_one();
        let Some(reader) = self.readers.get_mut(&left) else { return };
        lane.floor = lane.floor.max(reader.last);
        reader.lanes.remove(&key);
        // It may wait for this lane, or have none to read for.
        reader.wake.notify_one();
        if reader.lanes.is_empty() {
            self.readers.remove(&left);
        }
    }

    /// All stored events have been handed out.
    pub(crate) fn caught_up(&mut self, key: ReaderKey, subscription: u64) {
        let Some(reader) = self.readers.get_mut(&key).filter(|it| it.subscription == subscription) else {
            return;
        };
        if reader.behind {
            reader.behind = false;
            self.wake_lanes(key);
        }
    }

    /// The subscription was replaced: stored events come again before live ones.
    pub(crate) fn resubscribed(&mut self, key: ReaderKey, subscription: u64) {
        let reader = self.readers.get_mut(&key).filter(|it| it.subscription == subscription);
        reader.into_iter().for_each(|it| it.behind = true);
    }

    /// Shows lanes without events how far the reader is, or returns when that is due.
    pub(crate) fn show_place(&mut self, key: ReaderKey, now: Instant) -> Option<Instant> {
        let reader = self.readers.get_mut(&key).filter(|it| it.unshown)?;
        let due = reader.shown_at + self.limits.show_place;
        if now < due {
            return Some(due);
        }
        (reader.unshown, reader.shown_at) = (false, now);
        self.wake_lanes(key);
        None
    }

    fn wake_lanes(&self, key: ReaderKey) {
        let lanes = self.readers.get(&key).into_iter().flat_map(|it| &it.lanes);
        lanes.filter_map(|lane| self.lanes.get(lane)).for_each(|lane| lane.wake.notify_one());
    }

    /// A reader has failed: each of its lanes gets the error after what waits for it.
    pub(crate) fn fail(&mut self, key: ReaderKey, error: &ReaderError) {
        let Some(reader) = self.readers.remove(&key) else { return };
        for lane in reader.lanes {
            if let Some(lane) = self.lanes.get_mut(&lane) {
                lane.floor = lane.floor.max(reader.last);
                lane.source = Source::Failed(error.clone());
                lane.wake.notify_one();
            }
        }
    }
}

#[cfg(test)]
mod tests;
