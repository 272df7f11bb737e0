//! From evidence to types: pure, with the evidence of each decision.

mod kinds;
mod numbers;
mod objects;
mod project;
mod texts;
mod thresholds;
mod walk;

use std::collections::BTreeMap;

use self::thresholds::{MAX_VERSION, dirt_limit};
use self::walk::Walk;
use super::draft::DraftRecord;
use super::evidence::{Node, TypeEvidence};
use super::names::{TypeNames, is_avro_name};
use super::report::{Problem, TypeReport, VersionReport};

/// What is decided for one event type: its versions, or the reason why there are none.
#[derive(Debug)]
pub(super) struct Decided {
    /// By version, from 1 to the latest without a gap. Empty where nothing could be decided.
    pub(super) versions: BTreeMap<u32, DraftRecord>,
    pub(super) report: TypeReport,
}

/// Decides the schemas of an event type. Names of nested types are taken from `names`.
pub(super) fn decide(event_type: &str, evidence: &TypeEvidence, names: &mut TypeNames) -> Decided {
    let mut report = TypeReport::new(event_type, evidence);
    let events = evidence.objects();
    let problem = if events == 0 {
        Some(Problem::NoObjects)
    } else if is_avro_name(event_type) {
        None
    } else {
        Some(Problem::NoName)
    };
    let too_high = evidence.versions.last_key_value().filter(|(version, _)| **version > MAX_VERSION);
    let problem = problem.or_else(|| too_high.map(|(version, root)| Problem::version(*version, root)));
    if problem.is_some() {
        report.problem = problem;
        return Decided { versions: BTreeMap::new(), report };
    }
    let met = by_version(evidence);
    let mut all = Node::default();
    met.values().for_each(|root| all.merge(root));
    let mut walk = Walk {
        event_type,
        events,
        limit: dirt_limit(events + evidence.passed_over),
        names,
        report: &mut report,
    };
    let record = walk.event(&all);
    if report.problem.is_some() {
        return Decided { versions: BTreeMap::new(), report };
    }
    let versions = all_versions(&record, &met);
    report.versions = versions_report(&versions, &met);
    Decided { versions, report }
}

/// The evidence by version. Events without one are read as the latest.
fn by_version(evidence: &TypeEvidence) -> BTreeMap<u32, Node> {
    let mut met = evidence.versions.clone();
    if let Some(unversioned) = met.remove(&0) {
        let latest = met.last_key_value().map_or(1, |(version, _)| *version);
        met.entry(latest).or_default().merge(&unversioned);
    }
    met
}

/// Every version from 1 to the latest met. One that was not met is like the one before it, and those before the
/// first that was met are like that.
fn all_versions(record: &DraftRecord, met: &BTreeMap<u32, Node>) -> BTreeMap<u32, DraftRecord> {
    let mut so_far = Node::default();
    let mut cumulative: Vec<(u32, Node)> = Vec::new();
    for (version, root) in met {
        so_far.merge(root);
        cumulative.push((*version, so_far.clone()));
    }
    let latest = met.last_key_value().map_or(0, |(version, _)| *version);
    let drafted = |version: u32| {
        let at = cumulative.iter().rposition(|(known, _)| *known <= version).unwrap_or(0);
        let nodes: Vec<&Node> = cumulative[at..].iter().map(|(_, node)| node).collect();
        (version, project::project(record, &nodes))
    };
    (1..=latest).map(drafted).collect()
}

fn versions_report(versions: &BTreeMap<u32, DraftRecord>, met: &BTreeMap<u32, Node>) -> Vec<VersionReport> {
    let mut reports: Vec<VersionReport> = Vec::new();
    let mut before: Option<&DraftRecord> = None;
    for (version, record) in versions {
        let has = |record: &DraftRecord, name: &str| record.fields.iter().any(|field| field.name == name);
        let added =
            record.fields.iter().filter(|field| before.is_some_and(|before| !has(before, &field.name)));
        let root = met.get(version);
        let gone = record.fields.iter().filter(|field| {
            let objects = root.and_then(|root| root.objects.as_ref());
            objects.is_some_and(|objects| objects::field_node(objects, &field.stored).is_none())
        });
        reports.push(VersionReport {
            version: *version,
            events: root.map_or(0, |root| root.values),
            added: added.map(|field| field.name.clone()).collect(),
            gone: gone.map(|field| field.name.clone()).collect(),
        });
        before = Some(record);
    }
    reports
}
