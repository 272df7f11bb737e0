//! Events on disk, in fjall.
//!
//! | keyspace | key | value |
//! |---|---|---|
//! | `log` | position, 8 bytes big-endian | the record (`Record::encode`) |
//! | `streams` | length of the name, 2 bytes; name; revision, 8 bytes; big-endian | position, 8 bytes |
//!
//! Records and index go into one batch, so neither is ever there without the other.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use fjall::{Database, Guard, Keyspace, KeyspaceCreateOptions, PersistMode};

use super::{Direction, StorageError, Store};
use crate::event::{FIRST_POSITION, Record};

pub(crate) struct Durable {
    path: PathBuf,
    database: Database,
    log: Keyspace,
    streams: Keyspace,
    /// Readers see only what lies before it: fjall shows a batch key by key, so what lies behind may
    /// be half of one.
    end: AtomicU64,
}

impl Durable {
    /// Opens the log in folder `path`, which is made if it is missing. A second process is refused.
    pub(crate) fn open(path: &Path) -> Result<Self, StorageError> {
        let fail = |doing| move |source| StorageError::Engine { path: path.to_owned(), doing, source };
        let database = Database::builder(path).open().map_err(|source| match source {
            fjall::Error::Locked => StorageError::InUse { path: path.to_owned() },
            source => fail("opening")(source),
        })?;
        let log =
            database.keyspace("log", KeyspaceCreateOptions::default).map_err(fail("opening the log"))?;
        let streams = database
            .keyspace("streams", KeyspaceCreateOptions::default)
            .map_err(fail("opening the index"))?;
        let store = Self { path: path.to_owned(), database, log, streams, end: AtomicU64::new(0) };
        let end = match store.log.last_key_value() {
            None => FIRST_POSITION,
            Some(last) => store.record(last)?.end(),
        };
        store.end.store(end, Ordering::Release);
        Ok(store)
    }

    fn fail(&self, doing: &'static str) -> impl FnOnce(fjall::Error) -> StorageError {
        move |source| StorageError::Engine { path: self.path.clone(), doing, source }
    }

    fn damaged(&self, what: String) -> StorageError {
        StorageError::Damaged { path: self.path.clone(), what }
    }

    fn number(&self, bytes: &[u8]) -> Result<u64, StorageError> {
        let bytes = bytes.try_into().map_err(|_| self.damaged(format!("a key of {} bytes", bytes.len())))?;
        Ok(u64::from_be_bytes(bytes))
    }

    fn record(&self, entry: Guard) -> Result<Record, StorageError> {
        let (key, value) = entry.into_inner().map_err(self.fail("reading"))?;
        self.decode(self.number(&key)?, &value)
    }

    fn decode(&self, position: u64, value: &[u8]) -> Result<Record, StorageError> {
        Record::decode(position, Bytes::copy_from_slice(value)).map_err(|source| StorageError::Record {
            path: self.path.clone(),
            position,
            source,
        })
    }
}

impl Store for Durable {
    fn commit(&self, records: &[Arc<Record>]) -> Result<(), StorageError> {
        let Some(last) = records.last() else { return Ok(()) };
        let mut batch = self.database.batch().durability(Some(PersistMode::SyncData));
        for record in records {
            let position = record.position.to_be_bytes();
            batch.insert(&self.log, position, record.encode());
            batch.insert(&self.streams, stream_key(&record.stream, record.revision), position);
        }
        batch.commit().map_err(self.fail("writing"))?;
        self.end.store(last.end(), Ordering::Release);
        Ok(())
    }

    fn all(
        &self,
        from: u64,
        to: u64,
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<Arc<Record>>, StorageError> {
        let to = to.min(self.end());
        if from >= to {
            return Ok(Vec::new());
        }
        let range = self.log.range(from.to_be_bytes()..to.to_be_bytes());
        let record = |entry| self.record(entry).map(Arc::new);
        match direction {
            Direction::Forwards => range.take(limit).map(record).collect(),
            Direction::Backwards => range.rev().take(limit).map(record).collect(),
        }
    }

    fn stream(
        &self,
        stream: &str,
        first: u64,
        last: u64,
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<Arc<Record>>, StorageError> {
        if first > last {
            return Ok(Vec::new());
        }
        let end = self.end();
        let range = self.streams.range(stream_key(stream, first)..=stream_key(stream, last));
        // An entry at or past the end belongs to a commit under way.
        let record = |entry: Guard| -> Option<Result<Arc<Record>, StorageError>> {
            let position =
                match entry.value().map_err(self.fail("reading the index")).and_then(|v| self.number(&v)) {
                    Ok(position) if position >= end => return None,
                    Ok(position) => position,
                    Err(error) => return Some(Err(error)),
                };
            let value = match self.log.get(position.to_be_bytes()) {
                Ok(Some(value)) => value,
                Ok(None) => return Some(Err(self.damaged(format!("no event at position {position}")))),
                Err(error) => return Some(Err(self.fail("reading")(error))),
            };
            Some(self.decode(position, &value).map(Arc::new))
        };
        match direction {
            Direction::Forwards => range.filter_map(record).take(limit).collect(),
            Direction::Backwards => range.rev().filter_map(record).take(limit).collect(),
        }
    }

    fn last_revision(&self, stream: &str) -> Result<Option<u64>, StorageError> {
        let end = self.end();
        for entry in self.streams.range(stream_key(stream, 0)..=stream_key(stream, u64::MAX)).rev() {
            let (key, value) = entry.into_inner().map_err(self.fail("reading the index"))?;
            if self.number(&value)? < end {
                return self.number(&key[key.len().saturating_sub(8)..]).map(Some);
            }
        }
        Ok(None)
    }

    fn end(&self) -> u64 {
        self.end.load(Ordering::Acquire)
    }
}

/// The length comes first, so that no name is the beginning of another one's keys.
fn stream_key(stream: &str, revision: u64) -> Vec<u8> {
    let mut key = Vec::with_capacity(2 + stream.len() + 8);
    key.extend_from_slice(&(stream.len() as u16).to_be_bytes());
    key.extend_from_slice(stream.as_bytes());
    key.extend_from_slice(&revision.to_be_bytes());
    key
}
