//! What is written to the topics in the course of a trial.

use crate::record::Record;

/// Records of a transaction, about as many as the relay writes under low load.
const USUAL: usize = 20;

/// A record that is written.
#[derive(Debug, Clone)]
pub(crate) struct Sent {
    pub(crate) record: Record,
    /// A correct consumer parks it, and it stays parked.
    pub(crate) is_parked: bool,
}

impl Sent {
    /// A record that is applied, or dropped as a duplicate.
    pub(crate) fn applied(record: &Record) -> Self {
        Self { record: record.clone(), is_parked: false }
    }
}

/// Records that are written in one transaction of Kafka.
#[derive(Debug)]
pub(crate) struct Transaction {
    pub(crate) records: Vec<Sent>,
    pub(crate) is_committed: bool,
}

impl Transaction {
    pub(crate) fn committed(records: Vec<Sent>) -> Self {
        Self { records, is_committed: true }
    }

    pub(crate) fn aborted(records: Vec<Sent>) -> Self {
        Self { records, is_committed: false }
    }
}

/// The tables that a correct consumer has in the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expected {
    /// Those of the whole history.
    All,
    /// Those of the history without the damaged events and their followers.
    Intact,
}

/// What is written. The first phase is there when the consumer starts; each other one is written when it has applied those
/// before.
#[derive(Debug)]
pub(crate) struct Script {
    pub(crate) phases: Vec<Vec<Transaction>>,
    /// How often something was done that a consumer must withstand.
    pub(crate) strikes: usize,
}

/// Committed transactions of the usual size.
pub(crate) fn transactions(records: Vec<Sent>) -> Vec<Transaction> {
    records.chunks(USUAL).map(|records| Transaction::committed(records.to_vec())).collect()
}
