//! The verdict of a registry: whether versions on one topic read each other.

use aqueduct_avro::{Direction, Level};

use crate::check::OnTopic;
use crate::finding::{Affected, Finding, FindingName};

pub(super) fn check(on_topic: &OnTopic<'_>, level: Level) -> Vec<Finding> {
    let OnTopic { topic, version, earlier } = on_topic;
    let mut findings = Vec::new();
    for earlier in *earlier {
        let complaints = level.complaints(&version.schema, &earlier.schema);
        for direction in level.directions() {
            let of_direction = complaints.iter().filter(|(of, _)| of == direction);
            let reasons: Vec<_> = of_direction.map(|(_, reason)| reason.to_string()).collect();
            if reasons.is_empty() {
                continue;
            }
            let (older, level) = (earlier.id.version, level.name());
            let (name, verdict, affected) = match direction {
                Direction::Backward => (
                    FindingName::NotBackwardCompatible,
                    format!("does not read v{older}"),
                    Affected::NewerReaders,
                ),
                Direction::Forward => (
                    FindingName::NotForwardCompatible,
                    format!("is not read by v{older}"),
                    Affected::OlderReaders,
                ),
            };
            let problem = format!(
                "{verdict}, which topic {topic} has carried, and its level is {level}: {}",
                reasons.join("; ")
            );
            findings.push(
                Finding::of_version(&version.id, name, problem).breaks(&[affected]).remedy(remedy(topic)),
            );
        }
    }
    findings
}

fn remedy(topic: &str) -> String {
    format!(
        "make the change compatible (a default for a new field, an alias for a new name, a type that the old one is promoted to); or \
         send the new version to another topic, and move the event type to it in policy.toml; or set a lower `compatibility` for \
         [topics.\"{topic}\"], once every consumer that breaks is known. An upcast rule does not help: consumers read older records \
         without rules"
    )
}
