//! What a check comes to.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;
use serde_json::Value;

use crate::finding::Finding;

/// The outcome of a check. Everything is counted; only the first findings are shown with their text.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// The system's own figures: for the shop `orders`, `lines` by rule, `short`, `rejected` and others.
    #[serde(flatten)]
    pub figures: BTreeMap<String, Value>,
    /// Events of the system in the store.
    pub stored: u64,
    /// Committed records in the topics.
    pub relayed: u64,
    /// Events that projections and reactors have applied, summed over them.
    pub applied: u64,
    /// The same, one by one.
    pub applied_by: BTreeMap<String, u64>,
    /// Records that carry a later version than the store.
    pub upcast: u64,
    /// Events that were set aside.
    pub parked: u64,
    /// What a stage lacks.
    pub missing: u64,
    /// What a stage has more than once.
    pub duplicates: u64,
    /// What stands before what it must follow.
    pub out_of_order: u64,
    /// What has other content, or nothing accounts for.
    pub mismatches: u64,
    /// Events of the server's own streams, left alone.
    pub system_events: u64,
    /// Events of other systems' streams, left alone.
    pub foreign_events: u64,
    /// The first findings.
    pub findings: Vec<Finding>,
    /// Seconds the check took.
    pub seconds: f64,
}

impl Report {
    /// Nothing was missing, doubled, out of order, different or parked.
    pub fn is_clean(&self) -> bool {
        self.missing + self.duplicates + self.out_of_order + self.mismatches + self.parked == 0
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "stored {}, relayed {}, applied {}", self.stored, self.relayed, self.applied)?;
        for (name, value) in &self.figures {
            match value {
                Value::Object(counts) => {
                    let counts: Vec<_> =
                        counts.iter().map(|(name, count)| format!("{name} {count}")).collect();
                    writeln!(f, "{name}: {}", counts.join(", "))?;
                }
                Value::Array(entries) if entries.is_empty() => {}
                value => writeln!(f, "{name}: {value}")?,
            }
        }
        writeln!(
            f,
            "upcast {}, left alone: {} events of the server, {} of others",
            self.upcast, self.system_events, self.foreign_events
        )?;
        for finding in &self.findings {
            writeln!(f, "{finding}")?;
        }
        let all = self.missing + self.duplicates + self.out_of_order + self.mismatches + self.parked;
        let shown = self.findings.len() as u64;
        if all > shown {
            writeln!(f, "… and {} more", all - shown)?;
        }
        write!(
            f,
            "missing {}, duplicates {}, out of order {}, mismatches {}, parked {} (checked in {:.1} s)",
            self.missing, self.duplicates, self.out_of_order, self.mismatches, self.parked, self.seconds
        )
    }
}
