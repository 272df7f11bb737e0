//! What `infer` tells: each decision with the events that it comes from. Values appear only as symbols of enums.

use std::fmt;

use serde::Serialize;

use super::check::CheckReport;
use super::counts::{events, grouped};
use super::draft::{DraftFile, FileState};
use super::evidence::{Node, Sightings, TypeEvidence};
use super::map_lines::MapLine;
use crate::load::SchemaFiles;

/// The whole report. Its `Display` is the text for people; serialized it is that for programs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The event types, by name.
    pub types: Vec<TypeReport>,
    /// Lines that the type map lacks. They are not part of the text.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub map_lines: Vec<MapLine>,
    /// Selected events that have no name, or no valid version.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unread: Vec<Unread>,
    /// The schema files, by path.
    pub files: Vec<DraftFile>,
    /// The final check, where it was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub check: Option<CheckReport>,
}

/// The reason of events whose stored type has no name.
const UNMAPPED_TYPE: &str = "unmapped_type";

/// Events that the mappings cannot read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unread {
    /// Event type as it is stored, `order.created.v1`.
    pub stored_type: String,
    /// `unmapped_type`, `metadata` or `versions_differ`.
    pub reason: String,
    /// How many events.
    pub events: u64,
    /// The first of these events, as `7@order-42`.
    pub references: Vec<String>,
}

/// What was decided for an event type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TypeReport {
    /// Mapped name of the event type, `OrderCreated`.
    pub event_type: String,
    /// Events that are JSON objects.
    pub events: u64,
    /// Events that were not observed, because a sample was.
    pub passed_over: u64,
    /// Events that are not, by reason. No schema makes records of them.
    pub no_records: Vec<NoRecord>,
    /// Why there is no file for the type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<Problem>,
    /// The versions, from 1.
    pub versions: Vec<VersionReport>,
    /// The decisions, in the order of the fields.
    pub findings: Vec<Finding>,
    /// What has no say in the schema and will be treated as the route's policy says.
    pub dirt: Vec<Dirt>,
}

/// Data that is no JSON object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NoRecord {
    /// What the data is.
    pub reason: String,
    /// How many events.
    pub events: u64,
    /// The first of these events, as `7@order-42`.
    pub references: Vec<String>,
}

/// Why no file is written for a type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Problem {
    /// None of its events is a JSON object.
    NoObjects,
    /// Its name is no name in Avro: the type map must give it one.
    NoName,
    /// A version is higher than any plausible one.
    Version {
        /// The schema version, from 1.
        version: u32,
        /// The first of these events, as `7@order-42`.
        references: Vec<String>,
    },
    /// Its events contradict each other: no kind of value recurs.
    Contradiction {
        /// The path of the field.
        path: String,
        /// One kind, with its events.
        one: Fact,
        /// Another kind, with its events.
        other: Fact,
    },
}

/// One version of an event type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VersionReport {
    /// The schema version, from 1.
    pub version: u32,
    /// Events of this version; 0 for a copy that fills a gap.
    pub events: u64,
    /// Fields that the version before does not have.
    pub added: Vec<String>,
    /// Fields that no event of this version has. They stay, nullable, so that older events keep their values.
    pub gone: Vec<String>,
}

/// A decision about one path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The path in the stored JSON: `lines[].unitPrice`, `prices{}` for the values of a map.
    pub path: String,
    /// The type: `decimal(18, 2) or null`.
    pub decision: String,
    /// What it comes from.
    pub facts: Vec<Fact>,
    /// Why it needs a check.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub doubt: Option<String>,
}

/// A count with the first events that it comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fact {
    /// `12 of 40211 events have no "customerId"`.
    pub text: String,
    /// The first of these events, as `7@order-42`.
    pub references: Vec<String>,
}

/// Events whose values conflict with the schema.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Dirt {
    /// The path in the stored JSON.
    pub path: String,
    /// `text where others have a number`.
    pub what: String,
    /// How many events.
    pub events: u64,
    /// The first of these events, as `7@order-42`.
    pub references: Vec<String>,
}

impl Report {
    /// Whether every event type that has JSON objects has a schema.
    pub fn is_complete(&self) -> bool {
        let has_schema = |seen: &TypeReport| matches!(seen.problem, None | Some(Problem::NoObjects));
        self.types.iter().all(has_schema) && self.unread.iter().all(|unread| unread.reason != UNMAPPED_TYPE)
    }

    /// Whether the files of the event type are as the draft, and there is nothing else to tell.
    fn is_unchanged(&self, seen: &TypeReport) -> bool {
        let mut files = self.files.iter().filter(|file| file.event_type == seen.event_type);
        seen.problem.is_none() && files.all(|file| file.state == FileState::Same)
    }

    /// The existing files and the new ones of the draft, which must load together.
    pub fn merged(&self, existing: &SchemaFiles) -> SchemaFiles {
        let mut merged = existing.clone();
        for file in self.files.iter().filter(|file| file.state == FileState::New) {
            merged.insert(&file.context, &file.event_type, file.version, file.text.clone());
        }
        merged
    }
}

impl Fact {
    pub(super) fn new(text: String) -> Self {
        Self { text, references: Vec::new() }
    }

    pub(super) fn seen(text: String, seen: &Sightings) -> Self {
        Self { text, references: seen.references() }
    }
}

impl Problem {
    pub(super) fn version(version: u32, root: &Node) -> Self {
        let seen = root.objects.as_ref().map(|objects| objects.seen.references());
        Self::Version { version, references: seen.unwrap_or_default() }
    }
}

impl TypeReport {
    pub(super) fn new(event_type: &str, evidence: &TypeEvidence) -> Self {
        let no_records = evidence.no_records.iter().map(|(reason, seen)| NoRecord {
            reason: reason.clone(),
            events: seen.count,
            references: seen.references(),
        });
        Self {
            event_type: event_type.to_owned(),
            events: evidence.objects(),
            passed_over: evidence.passed_over,
            no_records: no_records.collect(),
            problem: None,
            versions: Vec::new(),
            findings: Vec::new(),
            dirt: Vec::new(),
        }
    }

    /// The decisions that need a check.
    pub fn doubtful(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(|finding| finding.doubt.is_some())
    }
}

fn event_types(count: usize) -> String {
    if count == 1 { "1 event type".to_owned() } else { format!("{count} event types") }
}

/// `(7@order-42, 9@order-42)`, or nothing.
struct References<'r>(&'r [String]);

impl fmt::Display for References<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() { Ok(()) } else { write!(f, " ({})", self.0.join(", ")) }
    }
}

impl fmt::Display for Fact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.text, References(&self.references))
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoObjects => f.write_str("no event is a JSON object"),
            Self::NoName => f.write_str(
                "the event type is not a name in Avro (letters, digits and underscores): add it to the type map",
            ),
            Self::Version { version, references } => write!(
                f,
                "version {version} is too high, the metadata mapping seems to read another number{}",
                References(references)
            ),
            Self::Contradiction { path, one, other } => {
                write!(f, "events contradict each other at {path}: {one}, {other}")
            }
        }
    }
}

impl fmt::Display for TypeReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.event_type, events(self.events))?;
        if self.passed_over > 0 {
            write!(f, " of a sample, {} more exist", grouped(self.passed_over))?;
        }
        writeln!(f)?;
        for no_record in &self.no_records {
            let count = events(no_record.events);
            writeln!(f, "  no record: {} in {count}{}", no_record.reason, References(&no_record.references))?;
        }
        if let Some(problem) = &self.problem {
            return writeln!(f, "  no file: {problem}");
        }
        for version in self.versions.iter().filter(|_| self.versions.len() > 1) {
            writeln!(f, "  {version}")?;
        }
        for finding in &self.findings {
            let path = if finding.path.is_empty() { "(event)" } else { &finding.path };
            writeln!(f, "  {path}: {}", finding.decision)?;
            for fact in &finding.facts {
                writeln!(f, "    {fact}")?;
            }
            if let Some(doubt) = &finding.doubt {
                writeln!(f, "    doubtful: {doubt}")?;
            }
        }
        for Dirt { path, what, events: count, references } in &self.dirt {
            writeln!(f, "  does not fit: {path} is {what}, in {}{}", events(*count), References(references))?;
        }
        Ok(())
    }
}

impl fmt::Display for VersionReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.events == 0 {
            return write!(f, "version {}: not met, a copy", self.version);
        }
        write!(f, "version {}: {}", self.version, events(self.events))?;
        if !self.added.is_empty() {
            write!(f, "; adds {}", self.added.join(", "))?;
        }
        if !self.gone.is_empty() {
            write!(f, "; no event has {}", self.gone.join(", "))?;
        }
        Ok(())
    }
}

/// Event types whose files are as the draft are only counted.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unchanged, changed): (Vec<_>, Vec<_>) =
            self.types.iter().partition(|event_type| self.is_unchanged(event_type));
        for event_type in changed {
            writeln!(f, "{event_type}")?;
        }
        for Unread { stored_type, reason, events: count, references } in &self.unread {
            writeln!(f, "not read: {stored_type:?}, {reason}, {}{}", events(*count), References(references))?;
        }
        for file in self.files.iter().filter(|file| file.state != FileState::Same) {
            writeln!(f, "{file}")?;
        }
        if !unchanged.is_empty() {
            writeln!(f, "unchanged: {}", event_types(unchanged.len()))?;
        }
        if let Some(check) = &self.check {
            write!(f, "\n{check}")?;
        }
        Ok(())
    }
}
