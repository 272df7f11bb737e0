//! Counts of what happened to the records of a batch.

use std::time::Duration;

use crate::inbox::verdict::Verdict;
use crate::metrics;

/// Counts of what happened to the records of a committed batch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Applied, including those that the projection ignores.
    pub applied: u64,
    /// Of those applied, how many have an unknown previous revision, so that gaps before them are not detected.
    pub unchecked: u64,
    /// Applied or parked before.
    pub duplicates: u64,
    /// Gaps detected.
    pub gaps: u64,
    /// Parked, including gaps and the later events of blocked streams.
    pub parked: u64,
}

impl Outcome {
    pub(crate) fn count(&mut self, verdict: Verdict) {
        self.applied += u64::from(verdict.applies());
        self.unchecked += u64::from(verdict == Verdict::Unchecked);
        self.duplicates += u64::from(verdict == Verdict::Duplicate);
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.applied += other.applied;
        self.unchecked += other.unchecked;
        self.duplicates += other.duplicates;
        self.gaps += other.gaps;
        self.parked += other.parked;
    }

    pub(crate) fn record_metrics(&self, projection: &'static str, took: Duration) {
        metrics::batch_seconds(projection, took);
        for (name, count) in [
            (metrics::EVENTS_APPLIED, self.applied),
            (metrics::DUPLICATES, self.duplicates),
            (metrics::GAPS, self.gaps),
            (metrics::PARKED, self.parked),
            (metrics::UNCHECKED, self.unchecked),
        ] {
            metrics::count(name, projection, count);
        }
    }
}
