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
use crate::lockstep::{Record, Sources};
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

    fn end(&self) -> Option<Position> {
        self.end
    }
}
