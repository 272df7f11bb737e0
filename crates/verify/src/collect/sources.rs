//! The servers as the comparison reads them.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use aqueduct_core::{Position, RecordedEvent, Revision, StreamName};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::kafka::Consumer;
use super::registry::Registry;
use super::store::{Lookups, StoreReadError};
use crate::check::CheckError;
use crate::lockstep::{Beginning, Record, Sources};
use crate::payload::Schema;

/// Store, Kafka and registry. It blocks: use it on a thread of its own.
pub(crate) struct Servers {
    pub(crate) runtime: Handle,
    /// `$all` up to `end`, read ahead by a task of its own.
    pub(crate) batches: mpsc::Receiver<Vec<RecordedEvent>>,
    /// The task; none if there is no event.
    pub(crate) reader: Option<JoinHandle<Result<(), StoreReadError>>>,
    pub(crate) events: VecDeque<RecordedEvent>,
    pub(crate) end: Option<Position>,
    pub(crate) lookups: Lookups,
    pub(crate) consumer: Consumer,
    /// Of the topics that record exceptions.
    pub(crate) exceptions: Option<Consumer>,
    /// By topic, its place in `exceptions`.
    pub(crate) exceptions_of: Vec<Option<usize>>,
    pub(crate) registry: Registry,
    pub(crate) schemas: HashMap<u32, Result<Arc<Schema>, String>>,
}

impl Sources for Servers {
    fn next_event(&mut self) -> Result<Option<RecordedEvent>, CheckError> {
        while self.events.is_empty() {
            match self.batches.blocking_recv() {
                Some(batch) => self.events.extend(batch),
                None => {
                    if let Some(reader) = self.reader.take() {
                        self.runtime.block_on(reader)??;
                    }
                    return Ok(None);
                }
            }
        }
        Ok(self.events.pop_front())
    }

    fn find(
        &mut self,
        stream: &StreamName,
        revision: Revision,
        position: Option<u64>,
    ) -> Result<Option<RecordedEvent>, CheckError> {
        Ok(self.runtime.block_on(self.lookups.find(stream, revision, position))?)
    }

    fn beginning(&mut self, stream: &StreamName) -> Result<Beginning, CheckError> {
        Ok(self.runtime.block_on(self.lookups.beginning(stream))?)
    }

    fn next_record(
        &mut self,
        topic: usize,
        partition: i32,
        wait: bool,
    ) -> Result<Option<Record>, CheckError> {
        Ok(self.consumer.next(topic, partition, wait)?)
    }

    fn schema(&mut self, id: u32) -> Result<Result<Arc<Schema>, String>, CheckError> {
        if let Some(known) = self.schemas.get(&id) {
            return Ok(known.clone());
        }
        let schema = self.runtime.block_on(self.registry.schema(id))?.map(Arc::new);
        self.schemas.insert(id, schema.clone());
        Ok(schema)
    }

    fn has_exceptions(&self, topic: usize) -> bool {
        self.exceptions_of.get(topic).copied().flatten().is_some()
    }

    fn next_exception(&mut self, topic: usize) -> Result<Option<Record>, CheckError> {
        let place = self.exceptions_of.get(topic).copied().flatten();
        let (Some(consumer), Some(place)) = (&mut self.exceptions, place) else { return Ok(None) };
        Ok(consumer.next_of_any(place)?)
    }

    fn is_recent(&self, topic: usize, record: &Record) -> bool {
        self.consumer.is_recent(topic, record.partition, record.offset)
    }

    fn advance(&mut self) -> Result<(), CheckError> {
        // In this order: the record of an exception that is gone must be found.
        self.consumer.cover()?;
        if let Some(exceptions) = &mut self.exceptions {
            exceptions.advance()?;
        }
        Ok(self.consumer.advance()?)
    }

    fn end(&self) -> Option<Position> {
        self.end
    }
}
