//! Whether what was released is still what it was.

use crate::check::Input;
use crate::finding::{Affected, Finding, FindingName};
use crate::lock::{Lock, Released};
use crate::version::VersionId;

pub(super) fn check(input: &Input<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (id, released) in &input.lock.versions {
        findings.extend(changed(input, id, released));
    }
    if let Some(against) = input.against {
        findings.extend(removed(input.lock, against));
    }
    findings
}

fn changed(input: &Input<'_>, id: &VersionId, released: &Released) -> Vec<Finding> {
    let mut findings = Vec::new();
    let Some(version) = input.catalogue.version(id) else {
        let problem = format!("{id} was released, and its file is missing");
        let finding = Finding::of_version(id, FindingName::ReleasedFileMissing, problem);
        let remedy = "restore the file from version control: stored events of this version are read by it";
        return vec![finding.breaks(&[Affected::Relay]).remedy(remedy)];
    };
    if version.fingerprints.schema != released.schema {
        let problem = format!("the schema of {id} is not the one that was released");
        let remedy = format!(
            "restore the file, and put the change into v{}.avsc: `aqueduct schemas new {}/{}`",
            input
                .catalogue
                .events
                .get(&id.event_type)
                .map_or(id.version, |event| event.versions.len() as u32)
                + 1,
            id.context,
            id.event_type
        );
        findings.push(
            Finding::of_version(id, FindingName::ReleasedSchemaChanged, problem)
                .breaks(&[Affected::OlderReaders, Affected::NewerReaders, Affected::Relay])
                .remedy(remedy),
        );
    }
    let before = input.against.and_then(|against| against.versions.get(id)).unwrap_or(released);
    if [released, before].iter().any(|released| released.rules != version.fingerprints.rules) {
        let problem = format!("the upcast rules of {id} are not those that were released");
        findings.push(
            Finding::of_version(id, FindingName::ReleasedRulesChanged, problem)
                .breaks(&[Affected::Relay])
                .remedy(
                    "restore the rules; or, if they were wrong, waive this finding, run `aqueduct schemas release`, and tell who reads \
                     the topic: records that were relayed before keep the old result. `aqueduct schemas history --candidate` counts them",
                ),
        );
    }
    findings
}

/// Lines that the other lock has, and this one does not, or differently.
fn removed(lock: &Lock, against: &Lock) -> Vec<Finding> {
    let mut problems = Vec::new();
    for (id, released) in &against.versions {
        match lock.versions.get(id) {
            None => problems.push(format!("{id} was released before")),
            Some(now) if now.schema != released.schema => {
                problems.push(format!("the line of {id} was changed"));
            }
            Some(_) => {}
        }
    }
    for (topic, versions) in &against.carried {
        let now = lock.carried.get(topic);
        let missing = versions.iter().filter(|id| now.is_none_or(|now| !now.contains(id)));
        problems.extend(missing.map(|id| format!("topic {topic} has carried {id} before")));
    }
    let finding = |problem| {
        Finding::of_file(Lock::FILE, FindingName::ReleaseRemoved, problem)
            .breaks(&[Affected::Maintainers])
            .remedy(
                "restore the line from the revision that this is compared with: a release is not taken back",
            )
    };
    problems.into_iter().map(finding).collect()
}
