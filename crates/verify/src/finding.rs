//! Differences between two stages.

use std::fmt;

use serde::Serialize;

/// The stage that differs from the one before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// The event store, judged by the input and by the system's own rules.
    Store,
    /// The topics, judged by the store.
    Topics,
    /// The dedup tables of the projections, judged by the store.
    Inbox,
    /// The read models, judged by the store and the input.
    Views,
}

/// In what way it differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The stage before has it, this one does not.
    Missing,
    /// It is here more than once.
    Duplicate,
    /// It is before what it must follow.
    OutOfOrder,
    /// It is here with other content, or nothing accounts for it.
    Mismatch,
    /// It was parked and waits for an operator.
    Parked,
    /// It was parked, and an operator gave it up.
    Discarded,
    /// It has no record because none can be made of it.
    Skipped,
}

impl Kind {
    /// Whether nothing is wrong: the event is accounted for, although it has no record.
    fn is_accounted_for(self) -> bool {
        matches!(self, Self::Parked | Self::Discarded | Self::Skipped)
    }
}

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The stage that differs.
    pub stage: Stage,
    /// What it is.
    pub kind: Kind,
    /// The event (`7@order-42`), record (`shop.orders[2]@17`) or row (`shop.stock 22423`) it concerns.
    pub place: String,
    /// What is wrong there, for a person.
    pub text: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stage = match self.stage {
            Stage::Store => "store",
            Stage::Topics => "topics",
            Stage::Inbox => "inbox",
            Stage::Views => "views",
        };
        let kind = match self.kind {
            Kind::Missing => "missing",
            Kind::Duplicate => "duplicate",
            Kind::OutOfOrder => "out of order",
            Kind::Mismatch => "mismatch",
            Kind::Parked => "parked",
            Kind::Discarded => "discarded",
            Kind::Skipped => "skipped",
        };
        write!(f, "{stage}: {kind}: {}: {}", self.place, self.text)
    }
}

/// Collects differences: counts all of them, keeps the first so many with their text, so that a stage that is
/// missing as a whole does not fill the memory. What is accounted for gives way to what is not.
#[derive(Debug)]
pub struct Findings {
    counts: [u64; 7],
    kept: Vec<Finding>,
    limit: usize,
}

impl Findings {
    /// None so far; the text of the first `limit` will be kept.
    pub fn keeping(limit: usize) -> Self {
        Self { counts: [0; 7], kept: Vec::new(), limit }
    }

    /// Adds one.
    pub fn add(&mut self, stage: Stage, kind: Kind, place: impl fmt::Display, text: impl fmt::Display) {
        self.counts[kind as usize] += 1;
        if self.has_room(kind) {
            self.kept.push(Finding { stage, kind, place: place.to_string(), text: text.to_string() });
        }
    }

    /// Whether one of a kind is kept, if need be in the place of another.
    fn has_room(&mut self, kind: Kind) -> bool {
        if self.kept.len() < self.limit {
            return true;
        }
        let gives_way = |kept: &Finding| kept.kind.is_accounted_for() && !kind.is_accounted_for();
        let last = self.kept.iter().rposition(gives_way);
        last.map(|place| self.kept.remove(place)).is_some()
    }

    /// Adds all of another collection.
    pub fn append(&mut self, other: Self) {
        for (count, more) in self.counts.iter_mut().zip(other.counts) {
            *count += more;
        }
        for finding in other.kept {
            if self.has_room(finding.kind) {
                self.kept.push(finding);
            }
        }
    }

    /// How many of a kind were added.
    pub fn count(&self, kind: Kind) -> u64 {
        self.counts[kind as usize]
    }

    /// How many were added.
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// The first of them.
    pub fn kept(&self) -> &[Finding] {
        &self.kept
    }

    /// The first of them, without the counts.
    pub fn into_kept(self) -> Vec<Finding> {
        self.kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_kept_in_the_place_of_what_is_accounted_for() {
        let mut findings = Findings::keeping(2);
        let mut add = |kind, place: &str| findings.add(Stage::Topics, kind, place, "");
        add(Kind::Parked, "1");
        add(Kind::Skipped, "2");
        add(Kind::Parked, "3");
        add(Kind::Missing, "4");
        let mut others = Findings::keeping(2);
        others.add(Stage::Inbox, Kind::Mismatch, "5", "");
        others.add(Stage::Inbox, Kind::Mismatch, "6", "");
        findings.append(others);
        let places: Vec<&str> = findings.kept().iter().map(|finding| finding.place.as_str()).collect();
        assert_eq!((places, findings.total()), (vec!["4", "5"], 6));
    }
}
