//! Pages of streams, read backwards.

use std::sync::Arc;

use aqueduct_core::{EventStore, RecordedEvent, Revision, StoreError, StreamName};

use crate::lane::route_selector::RouteSelector;

/// What the search for the previous record needs of some events of a stream.
#[derive(Debug, Default)]
pub(crate) struct StreamPage {
    /// Revisions of those that the route selects, descending.
    pub(crate) selected: Vec<Revision>,
    /// Revision of the last one; `None` if the page is empty.
    pub(crate) oldest: Option<Revision>,
    pub(crate) events: usize,
    /// Bytes of their data and metadata.
    pub(crate) bytes: usize,
}

impl StreamPage {
    fn of(events: &[RecordedEvent], selector: &RouteSelector) -> Self {
        Self {
            selected: events.iter().filter(|it| selector.selects(it)).map(|it| it.revision).collect(),
            oldest: events.last().map(|it| it.revision),
            events: events.len(),
            bytes: events.iter().map(|it| it.data.len() + it.metadata.len()).sum(),
        }
    }
}

/// Reads the streams of a lane.
#[derive(Clone)]
pub(crate) struct PageReader {
    pub(crate) store: Arc<dyn EventStore>,
    pub(crate) selector: Arc<RouteSelector>,
}

impl PageReader {
    /// Up to `limit` events of a stream from revision `from` on, descending. None of a stream that was tombstoned: its
    /// events are still in `$all` until the store is scavenged.
    pub(crate) async fn read(
        &self,
        stream: &StreamName,
        from: Revision,
        limit: usize,
    ) -> Result<StreamPage, StoreError> {
        match self.store.read_stream_back(stream, from, limit).await {
            Ok(events) => Ok(StreamPage::of(&events, &self.selector)),
            Err(error) if error.is_stream_deleted() => Ok(StreamPage::default()),
            Err(error) => Err(error),
        }
    }
}
