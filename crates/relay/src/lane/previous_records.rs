//! Which record of a stream came before.

use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::sync::Arc;

use aqueduct_core::{RecordedEvent, Revision, StoreError, StreamName};
use tokio::sync::Semaphore;

use crate::lane::known_streams::KnownStreams;
use crate::lane::look_ahead::LookAhead;
use crate::lane::stream_page::{PageReader, StreamPage};
use crate::record::exception::LastRelayed;

/// How much larger than the page before a page of a search backwards is. The first one has one event, which is nearly
/// always a record.
const PAGE_GROWTH: usize = 32;
const LARGEST_PAGE: usize = 1_000;

/// Bytes that a page should not exceed, if its events are as large as those of the page before.
const PAGE_BYTES: usize = 16 << 20;

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

/// Tells which record of a stream came before. The answer is a function of the store, the route and its exceptions: a lane
/// that remembers nothing gives the same, and so does one that reads ahead.
pub(crate) struct PreviousRecords {
    known: KnownStreams,
    reader: PageReader,
    ahead: LookAhead,
    /// The store was needed for the last event.
    is_searching: bool,
}

impl PreviousRecords {
    /// Remembers so many streams. `permits` are for reading ahead.
    pub(crate) fn new(capacity: NonZeroUsize, reader: PageReader, permits: Arc<Semaphore>) -> Self {
        Self {
            known: KnownStreams::new(capacity),
            ahead: LookAhead::new(reader.clone(), permits),
            reader,
            is_searching: false,
        }
    }

    /// The record before this event. `earlier` tells whether an earlier event of the stream that the route selects is in the
    /// topic.
    pub(crate) async fn before(
        &mut self,
        event: &RecordedEvent,
        earlier: impl Fn(&StreamName, Revision) -> EarlierEvent,
    ) -> Result<LastRelayed, StoreError> {
        let known = known_before(&self.known, event, &earlier);
        self.is_searching = known.is_none();
        match known {
            Some(last) => Ok(last),
            None => self.search_back(event, earlier).await,
        }
    }

    /// Reads the stream backwards, in pages, to the event that became the previous record.
    async fn search_back(
        &mut self,
        event: &RecordedEvent,
        earlier: impl Fn(&StreamName, Revision) -> EarlierEvent,
    ) -> Result<LastRelayed, StoreError> {
        let mut page = self.ahead.page_below(event).await?;
        let mut read = 0;
        loop {
            for revision in page.selected.iter().copied() {
                match earlier(&event.stream, revision) {
                    EarlierEvent::Relayed => return Ok(LastRelayed::Revision(revision)),
                    EarlierEvent::NotRelayed { last: LastRelayed::Unknown } => {}
                    EarlierEvent::NotRelayed { last } => return Ok(last),
                }
            }
            // Truncation hides the beginning of the stream.
            let Some(oldest) = page.oldest else { return Ok(LastRelayed::Unknown) };
            let Some(next) = oldest.checked_sub(1) else { return Ok(LastRelayed::None) };
            read += page.events;
            if read >= MOST_EVENTS {
                return Ok(LastRelayed::Unknown);
            }
            let limit = next_limit(&page).min(MOST_EVENTS - read);
            page = self.reader.read(&event.stream, next, limit).await?;
        }
    }

    /// Begins to read what the search for the records before `event` and the events after it will need, if the event before
    /// them needed the store: it answers several requests in about the time of one. Events of streams that are blocked get
    /// no records.
    pub(crate) fn look_ahead(
        &mut self,
        event: &RecordedEvent,
        upcoming: &VecDeque<RecordedEvent>,
        earlier: impl Fn(&StreamName, Revision) -> EarlierEvent,
        is_blocked: impl Fn(&StreamName) -> bool,
    ) {
        let Self { known, ahead, is_searching, .. } = self;
        if *is_searching {
            ahead.begin(event, upcoming, |event| {
                !is_blocked(&event.stream) && known_before(known, event, &earlier).is_none()
            });
        }
    }

    /// Drops what was read ahead: the events after the last one will come again.
    pub(crate) fn drop_read_ahead(&mut self) {
        self.ahead.clear();
    }

    /// The event has become a record.
    pub(crate) fn relayed(&mut self, event: &RecordedEvent) {
        self.known.relayed(event);
    }
}

/// Events of the page after this one, which is not empty.
fn next_limit(page: &StreamPage) -> usize {
    let average = page.bytes / page.events.max(1);
    (page.events * PAGE_GROWTH).min(LARGEST_PAGE).min(PAGE_BYTES / average.max(1)).max(1)
}

/// The record before an event, where the store is not needed to tell.
fn known_before(
    known: &KnownStreams,
    event: &RecordedEvent,
    earlier: impl Fn(&StreamName, Revision) -> EarlierEvent,
) -> Option<LastRelayed> {
    let Some(below) = event.revision.checked_sub(1) else { return Some(LastRelayed::None) };
    if let EarlierEvent::NotRelayed { last } = earlier(&event.stream, below)
        && last != LastRelayed::Unknown
    {
        return Some(last);
    }
    // Further back a search may not look, so memory must not either.
    let in_reach = |last: &Revision| *last < event.revision && event.revision - last <= MOST_EVENTS as u64;
    known.last(&event.stream).filter(in_reach).map(LastRelayed::Revision)
}

#[cfg(test)]
mod tests;
