//! What was found.

mod junit;
mod text;

use serde::Serialize;
use serde_json::value::RawValue;

pub use self::junit::JunitXml;
use crate::property::Property;

/// Whether the consumer has a property.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It was disturbed, and its tables are right.
    Passed,
    /// Its tables or its parked records are wrong, or it ended.
    Failed,
    /// It was not disturbed: the trial shows nothing.
    NotJudged,
}

/// The result of all trials.
#[derive(Debug, Serialize)]
pub struct Report {
    /// The consumer's command line.
    pub program: String,
    /// What chose the damaged streams and the order of events.
    pub seed: u64,
    /// Events of the history.
    pub events: usize,
    /// What was compared.
    pub tables: Vec<String>,
    /// What was not, by name.
    pub excluded_columns: Vec<String>,
    /// What the kit does not test of any consumer.
    pub not_tested: &'static [&'static str],
    /// In the order of the trials.
    pub properties: Vec<PropertyReport>,
}

/// The result of a trial.
#[derive(Debug, Serialize)]
pub struct PropertyReport {
    /// What was tested.
    pub property: Property,
    /// The result.
    pub verdict: Verdict,
    /// How often the consumer was disturbed.
    pub strikes: usize,
    /// How long the trial took.
    pub seconds: f64,
    /// What the trial left out, because the history has no occasion for it.
    pub limitation: Option<String>,
    /// What shows that the property is broken, or why it was not judged.
    pub failure: Option<Failure>,
}

/// What shows that a property is broken.
#[derive(Debug, Default, Serialize)]
pub struct Failure {
    /// What is wrong.
    pub problem: String,
    /// Rows that are missing or should not be there; at most twenty.
    pub rows: Vec<RowDifference>,
    /// What was sent of the streams that they come from.
    pub records: Vec<String>,
    /// The end of the consumer's log.
    pub log: String,
}

/// A row that is only in one of the tables that are compared.
#[derive(Debug, Serialize)]
pub struct RowDifference {
    /// `schema.table`.
    pub table: String,
    /// Whether a correct consumer has the row.
    pub is_expected: bool,
    /// The row, as JSON.
    pub row: Box<RawValue>,
}

/// What no property covers; docs/consumer-kit.md has the same list.
pub(crate) const NOT_TESTED: &[&str] = &[
    "a fold that is wrong in itself: the consumer is compared with itself, undisturbed",
    "records of other producers, without ce_revision, and so the result undecidable",
    "the result conflict: another event under a revision that was applied",
    "offsets that retention removed, a database that was restored, records that Kafka lost",
    "a topic that is created again while the consumer runs; one that is longer than the former one, if the consumer does not know its id",
    "a restart of Kafka or of the registry, a pooler between consumer and Postgres, a full disk",
    "replay and discard of parked records",
    "metrics, traces, speed, and memory",
];

impl Report {
    /// Whether the consumer has all properties that were asked for.
    pub fn is_passed(&self) -> bool {
        self.properties.iter().all(|property| property.verdict == Verdict::Passed)
    }
}
