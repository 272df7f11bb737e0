//! The events of a lane.

use std::collections::VecDeque;
use std::sync::Arc;

use aqueduct_core::{Position, RecordedEvent};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::lane_id::LaneId;
use crate::reader::filter::LaneFilter;
use crate::reader::reader_error::ReaderError;
use crate::reader::readers::{LaneKey, Taken};
use crate::reader::shared::SharedReaders;
use crate::reader::task;

/// What a lane receives, in the order of `$all`.
#[derive(Debug)]
pub(crate) enum Received {
    /// Its next event.
    Event(RecordedEvent),
    /// It has received all of its events up to this position, which is that of an event.
    Place(Position),
    /// Whether stored events are still to be read has changed.
    Progress,
}

/// The events of one session of a lane. When it is dropped, the lane has left its reader, and nothing of it remains.
pub(crate) struct LaneFeed {
    readers: SharedReaders,
    key: LaneKey,
    wake: Arc<Notify>,
    events: VecDeque<RecordedEvent>,
    /// Comes after the events.
    place: Option<Position>,
    /// What was last returned.
    returned: Option<Position>,
    behind: bool,
    paused: bool,
    /// Events were returned since the last pause of the task.
    busy: bool,
}

impl LaneFeed {
    /// The events of a lane after `place`.
    pub(crate) fn open(
        readers: &SharedReaders,
        id: &LaneId,
        filter: LaneFilter,
        place: Option<Position>,
    ) -> Self {
        let (key, wake, starts) = readers.lock().add(id, filter, place, Instant::now());
        task::spawn(readers, starts);
        let (readers, events) = (readers.clone(), VecDeque::new());
        let (behind, paused, busy) = (true, false, false);
        Self { readers, key, wake, events, place, returned: place, behind, paused, busy }
    }

    /// Whether stored events are still to be read.
    pub(crate) fn is_behind(&self) -> bool {
        self.behind
    }

    /// Events that are about to come.
    pub(crate) fn upcoming(&self) -> &VecDeque<RecordedEvent> {
        &self.events
    }

    /// What comes next. Can be cancelled without losing anything.
    ///
    /// # Errors
    /// The reader has ended, and everything before was returned. The lane must get a new feed.
    pub(crate) async fn next(&mut self) -> Result<Received, ReaderError> {
        loop {
            if let Some(event) = self.events.pop_front() {
                (self.returned, self.busy) = (Some(event.position), true);
                return Ok(Received::Event(event));
            }
            if let Some(place) = self.place.take().filter(|it| Some(*it) > self.returned) {
                self.returned = Some(place);
                return Ok(Received::Place(place));
            }
            if std::mem::take(&mut self.busy) {
                // A queue that is never empty would keep other lanes from running.
                tokio::task::yield_now().await;
            }
            let Taken { events, place, behind, starts } =
                self.readers.lock().take(self.key, Instant::now())?;
            task::spawn(&self.readers, starts);
            (self.events, self.place) = (events, place);
            if std::mem::replace(&mut self.behind, behind) != behind {
                return Ok(Received::Progress);
            }
            if self.events.is_empty() && self.place <= self.returned {
                self.wake.notified().await;
            }
        }
    }

    /// Leaves the reader and drops what waits, until [`resume`](Self::resume).
    pub(crate) fn pause(&mut self) {
        if !self.paused {
            self.paused = true;
            (self.events, self.place) = (VecDeque::new(), None);
            self.readers.lock().pause(self.key, Instant::now());
        }
    }

    /// Reads on after `place`, if the feed was paused.
    pub(crate) fn resume(&mut self, place: Option<Position>) {
        if self.paused {
            (self.paused, self.returned, self.behind) = (false, place, true);
            let starts = self.readers.lock().resume(self.key, place, Instant::now());
            task::spawn(&self.readers, starts);
        }
    }
}

impl Drop for LaneFeed {
    fn drop(&mut self) {
        self.readers.lock().remove(self.key);
    }
}
