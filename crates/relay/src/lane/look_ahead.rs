//! Reads ahead what a lane needs to know of its next events' streams.

use std::collections::{HashMap, VecDeque};
use std::iter;
use std::sync::Arc;

use aqueduct_core::{Position, RecordedEvent, Revision, StoreError, StreamName};
use futures::FutureExt as _;
use futures::future::RemoteHandle;
use tokio::sync::Semaphore;

use crate::lane::stream_page::{PageReader, StreamPage};

/// Pages that the lanes of a process read ahead at once. With one after the other, a relay that remembers none of its
/// streams relayed 2,000 events/s.
///
/// They are also the mebibytes that these pages should take. How large the event of a page is shows only when it was read:
/// a lane expects as much as of its page before.
pub(crate) const PAGES_AT_ONCE: u32 = 16;

/// Pages that a lane has read ahead, or is reading.
const MOST_PAGES: usize = 64;

/// Reads, for the next events of a lane, the event below each in its stream. A page is a function of store and route: when
/// it is read does not matter.
pub(crate) struct LookAhead {
    reader: PageReader,
    /// Of [`PAGES_AT_ONCE`].
    permits: Arc<Semaphore>,
    /// At most one of each stream: its later events will find their predecessor in memory.
    pages: HashMap<StreamName, PageAhead>,
    /// The last event that was considered.
    considered: Option<Position>,
    /// Permits for the next page.
    weight: u32,
}

/// The page below an event. The read ends when it is dropped.
struct PageAhead {
    position: Position,
    revision: Revision,
    page: RemoteHandle<Result<StreamPage, StoreError>>,
}

impl LookAhead {
    pub(crate) fn new(reader: PageReader, permits: Arc<Semaphore>) -> Self {
        Self { reader, permits, pages: HashMap::new(), considered: None, weight: 1 }
    }

    /// Begins to read pages of a single event for `event` and those after it, in their order, as far as they are wanted and
    /// there is room.
    pub(crate) fn begin(
        &mut self,
        event: &RecordedEvent,
        upcoming: &VecDeque<RecordedEvent>,
        is_wanted: impl Fn(&RecordedEvent) -> bool,
    ) {
        // The lane may have passed an event without using its page.
        self.pages.retain(|_, page| page.position >= event.position);
        let considered = self.considered;
        let events = iter::once(event).chain(upcoming).skip_while(|it| Some(it.position) <= considered);
        for event in events {
            if self.pages.len() == MOST_PAGES {
                break;
            }
            if !self.pages.contains_key(&event.stream) && is_wanted(event) && !self.read(event) {
                break;
            }
            self.considered = Some(event.position);
        }
    }

    /// Begins to read the page below an event. `false` if it must wait for others.
    fn read(&mut self, event: &RecordedEvent) -> bool {
        let Ok(permits) = Arc::clone(&self.permits).try_acquire_many_owned(self.weight) else { return false };
        let (reader, stream, below) = (self.reader.clone(), event.stream.clone(), below(event));
        let read = async move {
            let page = reader.read(&stream, below, 1).await;
            drop(permits);
            page
        };
        let (task, page) = read.remote_handle();
        tokio::spawn(task);
        let page = PageAhead { position: event.position, revision: event.revision, page };
        self.pages.insert(event.stream.clone(), page);
        true
    }

    /// The page below an event, read ahead or now.
    pub(crate) async fn page_below(&mut self, event: &RecordedEvent) -> Result<StreamPage, StoreError> {
        let page = match self.take(event).await {
            Some(page) => page,
            None => self.reader.read(&event.stream, below(event), 1).await?,
        };
        let mebibytes = u32::try_from(page.bytes >> 20).unwrap_or(u32::MAX);
        self.weight = mebibytes.saturating_add(1).min(PAGES_AT_ONCE);
        Ok(page)
    }

    /// The page below an event, if it was read ahead. One that could not be read is dropped: if the cause persists, reading
    /// it now reports it.
    async fn take(&mut self, event: &RecordedEvent) -> Option<StreamPage> {
        self.pages.get(&event.stream).filter(|it| it.revision == event.revision)?;
        self.pages.remove(&event.stream)?.page.await.ok()
    }

    /// Drops what was read ahead. The next events will come again.
    pub(crate) fn clear(&mut self) {
        self.pages.clear();
        self.considered = None;
    }
}

/// Revision of the event below, which every event that needs a page has.
fn below(event: &RecordedEvent) -> Revision {
    event.revision.saturating_sub(1)
}
