//! Reading a stream as its metadata lets it be seen, a page at a time.

use std::sync::Arc;

use crate::event::{Record, TOMBSTONE_REVISION};
use crate::metadata::{StreamMetadata, described_by};
use crate::storage::{Direction, StorageError, Store};

/// One page of a stream.
#[derive(Debug)]
pub(crate) enum StreamPage {
    /// Never written, or soft-deleted.
    NotFound,
    Deleted,
    Events(Page),
}

#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) events: Vec<Arc<Record>>,
    /// Where the next page starts; nothing if this was the last one.
    pub(crate) next: Option<u64>,
    /// Where the next page would start. After the end of the stream: the revision to be written next.
    pub(crate) continues_at: u64,
    /// The stream's last revision, seen or not.
    pub(crate) last: u64,
}

/// A page of at most `size` revisions from `from` on. Truncated revisions are jumped over, but a page
/// that consists of nothing else comes back empty, with the first readable revision as `next`: that is
/// how the real server does it, and clients can tell.
pub(crate) fn forwards(
    store: &dyn Store,
    stream: &str,
    from: u64,
    size: u64,
    now: i64,
) -> Result<StreamPage, StorageError> {
    let (last, metadata) = match visible(store, stream)? {
        Ok(found) => found,
        Err(page) => return Ok(page),
    };
    let until = from.saturating_add(size - 1);
    let first_readable = metadata.first_readable(last);
    if until < first_readable {
        let events = Vec::new();
        let next = Some(first_readable);
        return Ok(StreamPage::Events(Page { events, next, continues_at: first_readable, last }));
    }
    let from = from.max(first_readable);
    let mut events = store.stream(stream, from, until.min(last), Direction::Forwards, size as usize)?;
    events.retain(|record| !metadata.is_too_old(record, now));
    let continues_at = until.min(last) + 1;
    let next = (until < last).then_some(continues_at);
    Ok(StreamPage::Events(Page { events, next, continues_at, last }))
}

/// A page of at most `size` revisions from `from` down.
pub(crate) fn backwards(
    store: &dyn Store,
    stream: &str,
    from: u64,
    size: u64,
    now: i64,
) -> Result<StreamPage, StorageError> {
    let (last, metadata) = match visible(store, stream)? {
        Ok(found) => found,
        Err(page) => return Ok(page),
    };
    let from = from.min(last);
    let down_to = from.saturating_sub(size - 1).max(metadata.first_readable(last));
    let mut events = store.stream(stream, down_to, from, Direction::Backwards, size as usize)?;
    let read = events.len();
    events.retain(|record| !metadata.is_too_old(record, now));
    // Events only get older from here on.
    let next = if events.len() < read { None } else { down_to.checked_sub(1) };
    let next = next.filter(|next| *next >= metadata.first_readable(last));
    Ok(StreamPage::Events(Page { events, next, continues_at: last + 1, last }))
}

/// The revision of the last event as a reader sees it: a tombstone also hides the metadata of its stream,
/// though that can still be written.
pub(crate) fn last_revision(store: &dyn Store, stream: &str) -> Result<Option<u64>, StorageError> {
    // One level, whatever else the name begins with: its length is the client's choice.
    if let Some(described) = described_by(stream)
        && let Some(TOMBSTONE_REVISION) = store.last_revision(described)?
    {
        return Ok(Some(TOMBSTONE_REVISION));
    }
    store.last_revision(stream)
}

/// The event at `revision`, if a reader can see it.
pub(crate) fn readable(
    store: &dyn Store,
    stream: &str,
    revision: u64,
    now: i64,
) -> Result<Option<Arc<Record>>, StorageError> {
    let Ok((last, metadata)) = visible(store, stream)? else { return Ok(None) };
    if revision < metadata.first_readable(last) {
        return Ok(None);
    }
    let found = store.stream(stream, revision, revision, Direction::Forwards, 1)?.pop();
    Ok(found.filter(|record| !metadata.is_too_old(record, now)))
}

/// The last revision and the rules of a stream that can be read, or the page that says why not.
fn visible(
    store: &dyn Store,
    stream: &str,
) -> Result<Result<(u64, StreamMetadata), StreamPage>, StorageError> {
    let last = match last_revision(store, stream)? {
        None => return Ok(Err(StreamPage::NotFound)),
        Some(TOMBSTONE_REVISION) => return Ok(Err(StreamPage::Deleted)),
        Some(last) => last,
    };
    let metadata = StreamMetadata::load(store, stream)?;
    if metadata.is_soft_deleted() {
        return Ok(Err(StreamPage::NotFound));
    }
    Ok(Ok((last, metadata)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::FIRST_POSITION;
    use crate::storage::Memory;

    fn tombstone(position: u64, stream: &str) -> Arc<Record> {
        Arc::new(Record {
            position,
            stream: stream.into(),
            revision: TOMBSTONE_REVISION,
            id: uuid::Uuid::from_u128(position.into()),
            kind: crate::event::TOMBSTONE_TYPE.into(),
            is_json: false,
            created: 0,
            custom_metadata: Default::default(),
            data: Default::default(),
        })
    }

    #[test]
    fn a_tombstone_hides_the_metadata_of_its_stream() {
        let store = Memory::default();
        store.commit(&[tombstone(FIRST_POSITION, "order-1")]).unwrap();
        assert_eq!(last_revision(&store, "$$order-1").unwrap(), Some(TOMBSTONE_REVISION));
        assert_eq!(last_revision(&store, "$$order-2").unwrap(), None);
        assert_eq!(last_revision(&store, "$$$$order-1").unwrap(), None, "and no more than that");
    }

    /// One read of such a stream once ended the server: it went one call deeper for each `$$`.
    #[test]
    fn a_name_of_nothing_but_dollars_is_a_name() {
        let store = Memory::default();
        let name = "$".repeat(1 << 20);
        assert_eq!(last_revision(&store, &name).unwrap(), None);
        assert!(matches!(forwards(&store, &name, 0, 1, 0), Ok(StreamPage::NotFound)));
    }
}
