//! The streams that are damaged.

use std::collections::BTreeMap;

use fastrand::Rng;

use crate::record::{Record, StreamId};

/// Share of the streams that are damaged: one of so many.
const DAMAGED: usize = 4;
/// Fewest streams that are damaged, if it is no more than half of them: each has another kind of damage.
const FEWEST: usize = 8;

/// Streams that a correct consumer applies only in part, each with the first revision that it does not apply.
#[derive(Debug)]
pub(crate) struct Cuts(BTreeMap<StreamId, u64>);

/// Where a record is in its stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// Before the damage, or in another stream.
    Intact,
    /// The first event that is not applied.
    Damaged,
    /// After it.
    Follower,
}

impl Cuts {
    /// Chooses among the streams with at least two events, so that each damaged event has a follower.
    pub(crate) fn choose(records: &[Record], random: &mut Rng) -> Self {
        let mut lengths: BTreeMap<StreamId, u64> = BTreeMap::new();
        for record in records {
            *lengths.entry(record.stream_id()).or_default() += 1;
        }
        let mut streams: Vec<_> = lengths.into_iter().filter(|(_, length)| *length > 1).collect();
        random.shuffle(&mut streams);
        streams.truncate(streams.len().div_ceil(DAMAGED).max(FEWEST.min(streams.len() / 2)));
        Self(streams.into_iter().map(|(stream, length)| (stream, random.u64(..length - 1))).collect())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn place(&self, record: &Record) -> Place {
        match self.0.get(&record.stream_id()) {
            Some(cut) if record.revision == *cut => Place::Damaged,
            Some(cut) if record.revision > *cut => Place::Follower,
            _ => Place::Intact,
        }
    }
}
