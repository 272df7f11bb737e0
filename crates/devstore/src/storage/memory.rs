//! Events in memory: gone when the server ends.

use std::{collections::HashMap, sync::Arc};

use parking_lot::RwLock;

use super::{Direction, StorageError, Store};
use crate::event::{FIRST_POSITION, Record, TOMBSTONE_REVISION};

#[derive(Default)]
pub(crate) struct Memory(RwLock<Inner>);

#[derive(Default)]
struct Inner {
    log: Vec<Arc<Record>>,
    streams: HashMap<Arc<str>, Stream>,
}

#[derive(Default)]
struct Stream {
    /// By revision: they have no holes, except the one before a tombstone.
    events: Vec<Arc<Record>>,
    tombstone: Option<Arc<Record>>,
}

impl Store for Memory {
    fn commit(&self, records: &[Arc<Record>]) -> Result<(), StorageError> {
        let mut inner = self.0.write();
        for record in records {
            inner.log.push(record.clone());
            let stream = inner.streams.entry(record.stream.clone()).or_default();
            if record.is_tombstone() {
                stream.tombstone = Some(record.clone());
            } else {
                stream.events.push(record.clone());
            }
        }
        Ok(())
    }

    fn all(
        &self,
        from: u64,
        to: u64,
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<Arc<Record>>, StorageError> {
        let inner = self.0.read();
        let start = inner.log.partition_point(|r| r.position < from);
        let end = inner.log.partition_point(|r| r.position < to).max(start);
        Ok(pick(&inner.log[start..end], direction, limit))
    }

    fn stream(
        &self,
        stream: &str,
        first: u64,
        last: u64,
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<Arc<Record>>, StorageError> {
        let inner = self.0.read();
        let Some(stream) = inner.streams.get(stream) else { return Ok(Vec::new()) };
        let length = stream.events.len() as u64;
        let range =
            first.min(length) as usize..last.saturating_add(1).clamp(first.min(length), length) as usize;
        let mut found = pick(&stream.events[range], direction, limit);
        if let Some(tombstone) = &stream.tombstone
            && (first..=last).contains(&TOMBSTONE_REVISION)
        {
            match direction {
                Direction::Forwards => found.push(tombstone.clone()),
                Direction::Backwards => found.insert(0, tombstone.clone()),
            }
            found.truncate(limit);
        }
        Ok(found)
    }

    fn last_revision(&self, stream: &str) -> Result<Option<u64>, StorageError> {
        let inner = self.0.read();
        Ok(inner.streams.get(stream).and_then(|stream| match stream.tombstone {
            Some(_) => Some(TOMBSTONE_REVISION),
            None => (stream.events.len() as u64).checked_sub(1),
        }))
    }

    fn end(&self) -> u64 {
        self.0.read().log.last().map_or(FIRST_POSITION, |r| r.end())
    }
}

fn pick(records: &[Arc<Record>], direction: Direction, limit: usize) -> Vec<Arc<Record>> {
    match direction {
        Direction::Forwards => records.iter().take(limit).cloned().collect(),
        Direction::Backwards => records.iter().rev().take(limit).cloned().collect(),
    }
}
