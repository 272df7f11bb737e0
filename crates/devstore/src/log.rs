//! The log as the writing thread sees it: what is stored and what is staged for the next commit.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use uuid::Uuid;

use crate::change::{Change, NewEvent, Refused, Written};
use crate::event::{METADATA_TYPE, Record, TOMBSTONE_REVISION, TOMBSTONE_TYPE};
use crate::expected::{Decision, Expected, Head, decide};
use crate::metadata::{self, StreamMetadata, described_by, metadata_stream};
use crate::reader;
use crate::recent::{self, RecentIds};
use crate::storage::{Direction, StorageError, Store};

/// Stream states held in memory; beyond it they are dropped and read again when needed.
const HEADS: usize = 200_000;

pub(crate) struct Log {
    store: Arc<dyn Store>,
    recent: RecentIds,
    /// State of streams, staged events included. When an event is staged for a metadata stream, the
    /// stream it describes is in here.
    heads: HashMap<Arc<str>, Head>,
    staged: Vec<Arc<Record>>,
    /// The position of the next event.
    end: u64,
}

impl Log {
    pub(crate) fn open(store: Arc<dyn Store>) -> Result<Self, StorageError> {
        let mut recent = RecentIds::default();
        let last = store.all(0, u64::MAX, Direction::Backwards, recent::CAPACITY)?;
        last.iter().rev().for_each(|record| recent.insert(record));
        let end = store.end();
        Ok(Self { store, recent, heads: HashMap::new(), staged: Vec::new(), end })
    }

    /// The position after the last event, staged ones included.
    pub(crate) fn end(&self) -> u64 {
        self.end
    }

    pub(crate) fn staged_bytes(&self) -> u64 {
        self.end - self.store.end()
    }

    /// Makes all that is staged durable. After an error the log must not be used again.
    pub(crate) fn commit(&mut self) -> Result<(), StorageError> {
        if !self.staged.is_empty() {
            self.store.commit(&self.staged)?;
            self.staged.clear();
        }
        Ok(())
    }

    /// Gives memory back. Only when nothing is staged: what is staged is known from here alone.
    pub(crate) fn forget_streams(&mut self) {
        if self.heads.len() > HEADS && self.staged.is_empty() {
            self.heads.clear();
        }
    }

    /// Decides about one change and stages its events. The answer holds once they are committed.
    pub(crate) fn stage(
        &mut self,
        stream: &Arc<str>,
        expected: Expected,
        change: Change,
    ) -> Result<Result<Written, Refused>, StorageError> {
        let ids = match &change {
            Change::Append(events) => events.iter().map(|event| event.id).collect(),
            Change::Delete | Change::Tombstone => vec![Uuid::new_v4()],
        };
        let head = self.head(stream)?.clone();
        let decision = match self.decide(stream, &head, expected, &ids)? {
            Decision::Write if matches!(change, Change::Delete) && !self.exists(stream, &head)? => {
                Decision::WrongVersion
            }
            decision => decision,
        };
        Ok(match decision {
            Decision::Deleted => Err(Refused::Deleted),
            Decision::WrongVersion => Err(Refused::WrongVersion { current: head.last }),
            Decision::Duplicate { last } => {
                self.commit()?;
                let original = reader::readable(&*self.store, stream, last, now())?;
                Ok(Written { revision: Some(last), position: original.map(|record| record.position) })
            }
            Decision::Write => Ok(match change {
                Change::Append(events) => self.append(stream, &head, events)?,
                Change::Delete => match self.delete(stream)? {
                    Some(written) => written,
                    None => return Ok(Err(Refused::Deleted)),
                },
                Change::Tombstone => {
                    let event = made_here(TOMBSTONE_TYPE, false, Vec::new());
                    self.push(stream, TOMBSTONE_REVISION, event)
                }
            }),
        })
    }

    fn decide(
        &mut self,
        stream: &Arc<str>,
        head: &Head,
        expected: Expected,
        ids: &[Uuid],
    ) -> Result<Decision, StorageError> {
        if expected.is_behind(head) {
            // Older events are looked up in the store, so all must be there.
            self.commit()?;
        }
        let exists = expected != Expected::StreamExists || self.exists(stream, head)?;
        let store = &*self.store;
        decide(stream, head, expected, ids, &self.recent, exists, |revision| {
            Ok(store
                .stream(stream, revision, revision, Direction::Forwards, 1)?
                .first()
                .map(|record| record.id))
        })
    }

    /// Whether a stream has events or at least metadata.
    fn exists(&mut self, stream: &str, head: &Head) -> Result<bool, StorageError> {
        Ok(head.last.is_some() || self.head(&metadata_stream(stream).into())?.last.is_some())
    }

    fn head(&mut self, stream: &Arc<str>) -> Result<&mut Head, StorageError> {
        // A stream that is not in here has nothing staged, nor has its metadata stream.
        if !self.heads.contains_key(stream) {
            let head = Head {
                last: self.store.last_revision(stream)?,
                metadata: StreamMetadata::load(&*self.store, stream)?,
            };
            self.heads.insert(stream.clone(), head);
        }
        Ok(self.heads.entry(stream.clone()).or_default())
    }

    fn append(
        &mut self,
        stream: &Arc<str>,
        head: &Head,
        events: Vec<NewEvent>,
    ) -> Result<Written, StorageError> {
        let Some(last) = events.last() else {
            return Ok(Written { revision: head.last, position: Some(self.end) });
        };
        let reopened = match self.reopened_by(stream, head, last)? {
            Some((metadata, first)) => metadata::reopen(&metadata, first),
            None => None,
        };
        let mut written = Written { revision: None, position: None };
        for (revision, event) in (head.events()..).zip(events) {
            written = self.push(stream, revision, event);
        }
        if let Some(data) = reopened {
            let name =
                described_by(stream).map_or_else(|| metadata_stream(stream).into(), |_| stream.clone());
            self.push_metadata(&name, data)?;
        }
        Ok(written)
    }

    /// Whether an append opens a soft-deleted stream again: an append to itself, or to its metadata
    /// stream. Returns the metadata to go by and the first revision to be seen.
    fn reopened_by(
        &mut self,
        stream: &Arc<str>,
        head: &Head,
        last: &NewEvent,
    ) -> Result<Option<(Bytes, u64)>, StorageError> {
        if let Some(described) = described_by(stream) {
            // Also keeps the promise of `heads`.
            let described = self.head(&described.into())?;
            return Ok(described.metadata.is_soft_deleted().then(|| (last.data.clone(), described.events())));
        }
        if !head.metadata.is_soft_deleted() {
            return Ok(None);
        }
        self.commit()?;
        let metadata = self.store.stream(&metadata_stream(stream), 0, u64::MAX, Direction::Backwards, 1)?;
        Ok(metadata.first().map(|record| (record.data.clone(), head.events())))
    }

    /// Nothing if the metadata stream has a tombstone: no event can come after it.
    fn delete(&mut self, stream: &Arc<str>) -> Result<Option<Written>, StorageError> {
        let name: Arc<str> = metadata_stream(stream).into();
        if self.head(&name)?.is_tombstoned() {
            return Ok(None);
        }
        self.push_metadata(&name, metadata::soft_delete()).map(Some)
    }

    fn push_metadata(&mut self, stream: &Arc<str>, data: Vec<u8>) -> Result<Written, StorageError> {
        let revision = self.head(stream)?.events();
        Ok(self.push(stream, revision, made_here(METADATA_TYPE, true, data)))
    }

    fn push(&mut self, stream: &Arc<str>, revision: u64, event: NewEvent) -> Written {
        let record = Arc::new(Record {
            position: self.end,
            stream: stream.clone(),
            revision,
            id: event.id,
            kind: event.kind,
            is_json: event.is_json,
            created: now(),
            custom_metadata: event.custom_metadata,
            data: event.data,
        });
        if let Some(described) = described_by(stream)
            && let Some(head) = self.heads.get_mut(described)
            && described_by(described).is_none()
        {
            head.metadata = StreamMetadata::parse(&record);
        }
        if let Some(head) = self.heads.get_mut(stream) {
            head.last = Some(revision);
        }
        self.end = record.end();
        self.recent.insert(&record);
        let position = record.position;
        self.staged.push(record);
        Written { revision: Some(revision), position: Some(position) }
    }
}

fn made_here(kind: &str, is_json: bool, data: Vec<u8>) -> NewEvent {
    NewEvent {
        id: Uuid::new_v4(),
        kind: kind.into(),
        is_json,
        custom_metadata: Bytes::new(),
        data: data.into(),
    }
}

/// The time in ticks of 100 ns since the Unix epoch.
pub(crate) fn now() -> i64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since_epoch.as_nanos() / 100).unwrap_or(i64::MAX)
}
