//! Where events, records and schemas come from.

use std::sync::Arc;

use aqueduct_core::{Position, RecordedEvent, Revision, StreamName};

use super::record::Record;
use crate::check::CheckError;
use crate::payload::Schema;

/// The servers, or what a test has made up. The calls block.
pub(crate) trait Sources {
    /// The next event of `$all`; none behind the end that was fixed at the start.
    fn next_event(&mut self) -> Result<Option<RecordedEvent>, CheckError>;

    /// An event by its place in its stream. Where the stream does not show it, what is at `position` counts too.
    fn find(
        &mut self,
        stream: &StreamName,
        revision: Revision,
        position: Option<u64>,
    ) -> Result<Option<RecordedEvent>, CheckError>;

    /// The next record of a partition; none at its end. With `wait` the end is where no record came for the
    /// time that the options allow.
    fn next_record(&mut self, topic: usize, partition: i32, wait: bool)
    -> Result<Option<Record>, CheckError>;

    /// The writer's schema, or why there is none.
    fn schema(&mut self, id: u32) -> Result<Result<Arc<Schema>, String>, CheckError>;

    /// Position of the last event that [`Self::next_event`] gives; none if the store is empty.
    fn end(&self) -> Option<Position>;
}
