//! Where events, records and schemas come from.

use std::sync::Arc;

use aqueduct_core::{Position, RecordedEvent, Revision, StreamName};

use super::record::Record;
use crate::check::CheckError;
use crate::payload::Schema;

/// Where a stream begins: it may have been truncated, or deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Beginning {
    /// Its first event that can still be read.
    At(Revision),
    /// None of its events can be read, but it was there: it was deleted, or has metadata that may have hidden them.
    Gone,
    /// There never was such a stream.
    Never,
}

impl Beginning {
    /// Whether the store may have had an event of the stream that it no longer has.
    pub(crate) fn hides(self, revision: Revision) -> bool {
        match self {
            Self::At(first) => revision < first,
            Self::Gone => true,
            Self::Never => false,
        }
    }
}

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

    /// What the store still has of a stream.
    fn beginning(&mut self, stream: &StreamName) -> Result<Beginning, CheckError>;

    /// The next record of a partition; none at its end. With `wait` the end is where no record came for the
    /// time that the options allow.
    fn next_record(&mut self, topic: usize, partition: i32, wait: bool)
    -> Result<Option<Record>, CheckError>;

    /// The writer's schema, or why there is none.
    fn schema(&mut self, id: u32) -> Result<Result<Arc<Schema>, String>, CheckError>;

    /// Whether exceptions are recorded for a topic.
    fn has_exceptions(&self, topic: usize) -> bool;

    /// The next record of a topic's exceptions; none at the end.
    fn next_exception(&mut self, topic: usize) -> Result<Option<Record>, CheckError>;

    /// Whether the record may have been written after the exceptions were read: the one of its event may be gone.
    fn is_recent(&self, topic: usize, record: &Record) -> bool;

    /// Moves the ends of the exceptions, and then those of the topics, to where they are now.
    fn advance(&mut self) -> Result<(), CheckError>;

    /// Position of the last event that [`Self::next_event`] gives; none if the store is empty.
    fn end(&self) -> Option<Position>;
}
