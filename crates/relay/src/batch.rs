//! What becomes one transaction.

use std::collections::BTreeMap;
use std::time::Instant;

use aqueduct_core::Position;

use crate::pump::Record;
use crate::trace::BatchSpan;

/// Records of which everything is decided, with the checkpoint that goes with them.
#[derive(Debug)]
pub(crate) struct Batch {
    /// The checkpoint is the last.
    pub(crate) records: Vec<Record>,
    /// Keys, headers and values of the records.
    pub(crate) bytes: usize,
    /// Position of the checkpoint.
    pub(crate) position: Option<Position>,
    /// Events that became records.
    pub(crate) events: u64,
    /// Events that were brought to a later version, by type.
    pub(crate) upcast: BTreeMap<String, u64>,
    /// Records without a previous revision.
    pub(crate) hidden: u64,
    pub(crate) opened: Instant,
    pub(crate) span: BatchSpan,
}

impl Batch {
    pub(crate) fn new(route: &str, lane: u32) -> Self {
        Self {
            records: Vec::new(),
            bytes: 0,
            position: None,
            events: 0,
            upcast: BTreeMap::new(),
            hidden: 0,
            opened: Instant::now(),
            span: BatchSpan::new(route, lane),
        }
    }
}
