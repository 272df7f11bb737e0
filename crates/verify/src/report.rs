//! The outcome of a check.

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
    /// Events in the store that some topic selects.
    pub stored: u64,
    /// Committed records in the topics.
    pub relayed: u64,
    /// Events that projections and reactors have applied, summed over them.
    pub applied: u64,
    /// The same, one by one.
    pub applied_by: BTreeMap<String, u64>,
    /// Records that carry a later version than the store.
    pub upcast: u64,
    /// Records whose payload was not compared, because an upcast rule made it and no system is given, and exceptions
    /// whose reason only the relay can give.
    pub not_compared: u64,
    /// Records and exceptions of events that the store no longer has, because their streams were truncated or deleted:
    /// nothing of them was compared.
    pub gone: u64,
    /// Parked events.
    pub parked: u64,
    /// Parked events that an operator gave up.
    pub discarded: u64,
    /// Events without a record because none can be made of them.
    pub skipped: u64,
    /// What a stage lacks.
    pub missing: u64,
    /// What a stage has more than once.
    pub duplicates: u64,
    /// What is before what it must follow.
    pub out_of_order: u64,
    /// What has other content, or nothing accounts for.
    pub mismatches: u64,
    /// Events of the server's own streams, ignored.
    pub system_events: u64,
    /// Events of other systems' streams, ignored.
    pub foreign_events: u64,
    /// The first findings.
    pub findings: Vec<Finding>,
    /// Seconds the check took.
    pub seconds: f64,
}

impl Report {
    /// Nothing is missing, doubled, out of order, different, parked, discarded or skipped.
    pub fn is_clean(&self) -> bool {
        self.has_no_faults() && self.parked + self.discarded + self.skipped == 0
    }

    /// Nothing is missing, doubled, out of order or different; parked, discarded and skipped events are accounted
    /// for.
    pub fn has_no_faults(&self) -> bool {
        self.missing + self.duplicates + self.out_of_order + self.mismatches == 0
    }

    fn total(&self) -> u64 {
        let faults = self.missing + self.duplicates + self.out_of_order + self.mismatches;
        faults + self.parked + self.discarded + self.skipped
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
            "upcast {}, not compared {}, no longer in the store {}, ignored: {} events of the server, {} of others",
            self.upcast, self.not_compared, self.gone, self.system_events, self.foreign_events
        )?;
        for finding in &self.findings {
            writeln!(f, "{finding}")?;
        }
        let shown = self.findings.len() as u64;
        if self.total() > shown {
            writeln!(f, "… and {} more", self.total() - shown)?;
        }
        write!(
            f,
            "missing {}, duplicates {}, out of order {}, mismatches {}, parked {}, discarded {}, skipped {} \
             (checked in {:.1} s)",
            self.missing,
            self.duplicates,
            self.out_of_order,
            self.mismatches,
            self.parked,
            self.discarded,
            self.skipped,
            self.seconds
        )
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::finding::{Kind, Stage};

    #[test]
    fn a_report_reads_well_and_keeps_its_names() {
        let figures =
            [("orders", json!(2)), ("lines", json!({"fee": 1, "return": 2})), ("malformed", json!([]))];
        let text = "1@order-1 has no record".to_owned();
        let place = "shop.orders".to_owned();
        let report = Report {
            figures: figures.map(|(name, value)| (name.to_owned(), value)).into(),
            stored: 10,
            relayed: 9,
            applied: 17,
            applied_by: [("orders".to_owned(), 17)].into(),
            upcast: 1,
            not_compared: 0,
            gone: 2,
            parked: 0,
            discarded: 0,
            skipped: 0,
            missing: 2,
            duplicates: 0,
            out_of_order: 0,
            mismatches: 0,
            system_events: 3,
            foreign_events: 4,
            findings: vec![Finding { stage: Stage::Topics, kind: Kind::Missing, place, text }],
            seconds: 0.25,
        };
        assert!(!report.is_clean());
        let expected = "stored 10, relayed 9, applied 17\n\
            lines: fee 1, return 2\n\
            orders: 2\n\
            upcast 1, not compared 0, no longer in the store 2, ignored: 3 events of the server, 4 of others\n\
            topics: missing: shop.orders: 1@order-1 has no record\n\
            … and 1 more\n\
            missing 2, duplicates 0, out of order 0, mismatches 0, parked 0, discarded 0, skipped 0 (checked in 0.2 s)";
        assert_eq!(report.to_string(), expected);
        let discarded = Report { missing: 0, discarded: 1, ..report.clone() };
        assert!(discarded.has_no_faults() && !discarded.is_clean());
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!(json["lines"]["return"], 2);
        assert_eq!(
            (&json["missing"], &json["out_of_order"], &json["upcast"]),
            (&json!(2), &json!(0), &json!(1))
        );
        let finding = json!({
            "stage": "topics", "kind": "missing", "place": "shop.orders", "text": "1@order-1 has no record",
        });
        assert_eq!(json["findings"], json!([finding]));
    }
}
