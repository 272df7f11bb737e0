//! What a consumer must withstand.

use std::fmt;

use clap::ValueEnum as _;
use serde::Serialize;

/// A kind of disturbance that must not change the tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Property {
    /// Records come twice
    Duplicates,
    /// All records come again, at higher offsets
    Replay,
    /// Records are missing
    Gap,
    /// Records are missing at first
    LateArrival,
    /// Transactions of Kafka are aborted
    AbortedTransactions,
    /// Records cannot be read
    Poison,
    /// The registry does not have the schema of a record
    UnknownSchema,
    /// All records are there at once
    LargeBatch,
    /// The consumer is killed while a transaction is open, and at its COMMIT
    Kill,
    /// A second instance comes and the first one leaves
    TwoInstances,
    /// The consumer is frozen in a transaction, until another one has taken over
    Freeze,
    /// The connection is lost while a transaction commits
    CommitUnknown,
    /// A topic is deleted and created again
    TopicRecreated,
    /// Postgres is stopped and started while a transaction is open
    PostgresRestart,
}

impl Property {
    /// All of them, in the order in which they are tested.
    pub fn all() -> &'static [Self] {
        Self::value_variants()
    }

    /// Whether its trial disturbs a server that other trials use.
    pub(crate) fn is_tested_alone(self) -> bool {
        self == Self::PostgresRestart
    }
}

impl fmt::Display for Property {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.to_possible_value();
        f.pad(value.as_ref().map_or("", |value| value.get_name()))
    }
}
