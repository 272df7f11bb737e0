//! What a consumer must withstand.

use std::fmt;

use clap::ValueEnum as _;
use serde::Serialize;

use crate::script::Expected;

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
    /// The schema of a record does not resolve to the version that the consumer is written for
    UnresolvableSchema,
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

    /// Whether it strikes at moments of the consumer's work, which may be missed.
    pub(crate) fn is_timed(self) -> bool {
        matches!(
            self,
            Self::Kill | Self::TwoInstances | Self::Freeze | Self::CommitUnknown | Self::PostgresRestart
        )
    }

    /// The tables that a correct consumer has in the end.
    pub(crate) fn expected(self) -> Expected {
        match self {
            Self::Gap | Self::AbortedTransactions | Self::Poison | Self::UnknownSchema => Expected::Intact,
            _ => Expected::All,
        }
    }
}

impl fmt::Display for Property {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.to_possible_value();
        f.pad(value.as_ref().map_or("", |value| value.get_name()))
    }
}
