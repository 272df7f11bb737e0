//! Changes that registries let pass, and that give readers other values than were written.

use crate::changes::{ChangeKind, changes};
use crate::check::OnTopic;
use crate::finding::{Affected, Finding, FindingName};

const BOTH: [Affected; 2] = [Affected::OlderReaders, Affected::NewerReaders];

pub(super) fn check(on_topic: &OnTopic<'_>) -> Vec<Finding> {
    let OnTopic { topic, version, earlier } = on_topic;
    let mut findings: Vec<Finding> = Vec::new();
    for earlier in earlier.iter().rev() {
        for change in changes(&earlier.schema, &version.schema) {
            let Some((name, affected, remedy)) = judge(&change.kind) else { continue };
            let problem = format!("{change}, since v{} on topic {topic}", earlier.id.version);
            findings.push(Finding::of_version(&version.id, name, problem).breaks(affected).remedy(remedy));
        }
    }
    findings
}

/// What a change does although schemas are compatible.
fn judge(change: &ChangeKind) -> Option<(FindingName, &'static [Affected], &'static str)> {
    Some(match change {
        ChangeKind::LogicalType { .. } => (
            FindingName::ChangedLogicalType,
            &BOTH,
            "add a new field of the new type, and keep the old one until nobody reads it",
        ),
        ChangeKind::Unit { .. } => (
            FindingName::ChangedUnit,
            &BOTH,
            "Avro reads the number as it is, so that every time is wrong by the factor between the units: add a new field",
        ),
        ChangeKind::Scale { .. } => (
            FindingName::ChangedScale,
            &BOTH,
            "Avro reads the digits as they are, so that every amount is wrong by a power of ten: add a new field",
        ),
        ChangeKind::Precision { from, to } if from < to => (
            FindingName::ChangedPrecision,
            &[Affected::OlderReaders],
            "values with more digits than a reader's type has are refused by some libraries and cut by some databases: keep the \
             digits, or make sure that readers take more",
        ),
        ChangeKind::Precision { .. } => (
            FindingName::ChangedPrecision,
            &[Affected::NewerReaders],
            "older records may have more digits than the type: keep the digits",
        ),
        ChangeKind::Default { from: Some(_), to: Some(_) } => (
            FindingName::ChangedDefault,
            &BOTH,
            "records without the field now mean something else, depending on the version of who reads them: keep the default",
        ),
        ChangeKind::Name { from, to } if namespace(from) != namespace(to) => (
            FindingName::AliasAcrossNamespaces,
            &BOTH,
            "Java compares names without namespaces, other libraries whole names, and aliases in the reader only: keep the namespace",
        ),
        ChangeKind::BranchReadAs { .. } => (
            FindingName::UnionBranchReadAsAnother,
            &[Affected::NewerReaders],
            "the type of the value changes on the way: keep the branch in the union",
        ),
        _ => return None,
    })
}

fn namespace(name: &str) -> Option<&str> {
    name.rsplit_once('.').map(|(namespace, _)| namespace)
}
