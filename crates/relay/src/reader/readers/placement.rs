//! Which reader a lane gets, and when readers become one.

use aqueduct_core::Position;
use std::sync::Arc;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::reader::readers::{LaneKey, Reader, ReaderKey, Readers, Source};

impl Readers {
    /// Gives a lane a reader that has not passed its place. Returns the reader if it must be started.
    ///
    /// 1. A lane that was assigned with others joins the reader that waits for them, which begins at the lowest place.
    /// 2. A lane joins a reader that is a little behind its place.
    /// 3. A lane that was assigned with others and comes late moves a reader back that is a little ahead: otherwise both
    ///    would read all stored events.
    /// 4. It gets a reader of its own, while there are few.
    /// 5. It joins the nearest one behind it; if all are ahead, the last one is moved back, so that no lane waits for
    ///    another.
    pub(crate) fn place(&mut self, lane: LaneKey, is_straggler: bool, now: Instant) -> Option<ReaderKey> {
        let place = self.lanes.get(&lane)?.floor;
        let gathering = self.find(|it| it.gathers_until.is_some() && is_straggler).map(|(key, _)| key);
        if let Some(reader) = gathering {
            self.move_back(reader, place);
            self.join(lane, reader);
            return None;
        }
        let behind = self.nearest_behind(place);
        let near = self.limits.near;
        if let Some((reader, last)) = behind
            && distance(last, place) <= near
        {
            self.join(lane, reader);
            return None;
        }
        let ahead = self.find(|it| is_straggler && it.behind && distance(place, it.last) <= near);
        if let Some((reader, _)) = ahead.filter(|(_, last)| *last > place) {
            self.move_back(reader, place);
            self.join(lane, reader);
            return None;
        }
        if self.readers.len() < self.limits.readers {
            return Some(self.new_reader(lane, place, now));
        }
        let reader = behind.map(|(reader, _)| reader).or_else(|| self.find(|_| true).map(|(key, _)| key))?;
        self.move_back(reader, place);
        self.join(lane, reader);
        None
    }

    /// The rearmost of these readers, with its place.
    fn find(&self, is_meant: impl Fn(&Reader) -> bool) -> Option<(ReaderKey, Option<Position>)> {
        let meant = self.readers.iter().filter(|(_, it)| is_meant(it)).map(|(key, it)| (*key, it.last));
        meant.min_by_key(|(_, last)| *last)
    }

    /// The foremost reader that has not passed the place.
    fn nearest_behind(&self, place: Option<Position>) -> Option<(ReaderKey, Option<Position>)> {
        let readers = self.readers.iter().map(|(key, it)| (*key, it.last));
        readers.filter(|(_, last)| *last <= place).max_by_key(|(_, last)| *last)
    }

    fn new_reader(&mut self, lane: LaneKey, place: Option<Position>, now: Instant) -> ReaderKey {
        let key = ReaderKey(self.next_key());
        let reader = Reader {
            gathers_until: Some(now + self.limits.gather),
            last: place,
            behind: true,
            subscription: 0,
            lanes: Default::default(),
            stalled: None,
            unshown: false,
            shown_at: now,
            wake: Arc::new(Notify::new()),
        };
        self.readers.insert(key, reader);
        self.join(lane, key);
        key
    }

    fn join(&mut self, lane: LaneKey, reader: ReaderKey) {
        if let (Some(it), Some(joined)) = (self.lanes.get_mut(&lane), self.readers.get_mut(&reader)) {
            it.source = Source::Reader(reader);
            joined.lanes.insert(lane);
            it.wake.notify_one();
        }
    }

    /// Makes a reader continue after `place`, if it has passed it. Its lanes ignore what they have received.
    fn move_back(&mut self, key: ReaderKey, place: Option<Position>) {
        let Some(reader) = self.readers.get_mut(&key).filter(|it| it.last > place) else { return };
        for lane in &reader.lanes {
            if let Some(lane) = self.lanes.get_mut(lane) {
                lane.floor = lane.floor.max(reader.last);
            }
        }
        (reader.last, reader.behind, reader.stalled) = (place, true, None);
        reader.subscription += 1;
        reader.wake.notify_one();
    }

    /// Unites a reader with another one that is at the same place. Returns whether it has ended: its lanes then continue with
    /// the other one. A reader that comes from behind always meets the other one, because each step of both is under the
    /// same lock.
    pub(crate) fn merge(&mut self, key: ReaderKey) -> bool {
        let Some(reader) = self.readers.get(&key) else { return true };
        let met = self.readers.iter().find(|(other, it)| **other != key && it.last == reader.last);
        let Some((met, other)) = met.map(|(met, other)| (*met, other)) else { return false };
        // One that is live need not read stored events again.
        let (ends, stays) = if other.behind && !reader.behind { (met, key) } else { (key, met) };
        if let Some(ended) = self.readers.remove(&ends) {
            ended.wake.notify_one();
            for lane in ended.lanes {
                self.join(lane, stays);
            }
        }
        if let Some(stays) = self.readers.get_mut(&stays) {
            stays.unshown = true;
        }
        ends == key
    }
}

/// Bytes of the store's log between two places.
fn distance(from: Option<Position>, to: Option<Position>) -> u64 {
    let commit = |place: Option<Position>| place.map_or(0, |it| it.commit);
    commit(to).saturating_sub(commit(from))
}
