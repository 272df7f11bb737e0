//! Mistakes that one version shows, or the versions of one event type together.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use aqueduct_avro::{Record, Schema, Type, TypeId};

use crate::catalogue::{Event, EventVersion};
use crate::finding::{Affected, Finding, FindingName};

pub(super) fn check(event: &Event) -> Vec<Finding> {
    let mut findings: Vec<_> = event.versions.iter().flat_map(shared_aliases).collect();
    findings.extend(returning_fields(event));
    findings
}

/// Two fields that would read the same field of an older version.
fn shared_aliases(version: &EventVersion) -> Vec<Finding> {
    let mut findings = Vec::new();
    for record in records(&version.schema) {
        let mut owners: HashMap<&str, &str> = HashMap::new();
        for field in &record.fields {
            let aliases: BTreeSet<&String> = field.aliases.iter().collect();
            for alias in aliases {
                if let Some(other) = owners.insert(alias, &field.name) {
                    let problem = format!(
                        "fields {other} and {} of {} both have the alias {alias}",
                        field.name, record.name
                    );
                    let finding =
                        Finding::of_version(&version.id, FindingName::TwoFieldsWithOneAlias, problem);
                    findings.push(finding.breaks(&[Affected::NewerReaders, Affected::Relay]).remedy(
                        "an old field becomes one new field: leave the alias at the one that has its meaning",
                    ));
                }
            }
        }
    }
    findings
}

/// A field that an older version had, the one after it did not, and a newer one has again: its older values come back as if the field
/// had never been gone.
fn returning_fields(event: &Event) -> Vec<Finding> {
    let mut findings = Vec::new();
    // Of each field: the last version that had it.
    let mut last: BTreeMap<(String, String), u32> = BTreeMap::new();
    for version in &event.versions {
        let number = version.id.version;
        for record in records(&version.schema) {
            for field in &record.fields {
                let key = (record.name.full().to_owned(), field.name.clone());
                let before = last.insert(key, number);
                if let Some(before) = before.filter(|before| before + 1 < number) {
                    let problem = format!(
                        "field {} of {} was in v{before}, not in v{}, and is there again",
                        field.name,
                        record.name,
                        number - 1
                    );
                    let finding =
                        Finding::of_version(&version.id, FindingName::FieldDroppedAndAddedAgain, problem);
                    let affected = [Affected::OlderReaders, Affected::NewerReaders];
                    findings.push(finding.breaks(&affected).remedy(format!(
                        "records of v{before} are read with their old value, which event by event goes through v{} and gets lost: give \
                         the field another name",
                        number - 1
                    )));
                }
            }
        }
    }
    findings
}

/// The records of a schema.
fn records(schema: &Schema) -> Vec<&Record> {
    let (mut open, mut seen, mut found) = (vec![schema.root()], BTreeSet::<TypeId>::new(), Vec::new());
    while let Some(id) = open.pop() {
        if !seen.insert(id) {
            continue;
        }
        match schema.get(id) {
            Type::Array(part) | Type::Map(part) => open.push(*part),
            Type::Union(branches) => open.extend(branches),
            Type::Record(record) => {
                open.extend(record.fields.iter().map(|field| field.field_type));
                found.push(record);
            }
            _ => {}
        }
    }
    found
}
