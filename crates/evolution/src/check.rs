//! What is wrong with schemas before they are merged.

mod examples;
mod levels;
mod pairs;
mod released;
mod values;
mod versions;
mod waivers;

use aqueduct_schema::ExamplesReport;
use jiff::civil::Date;

use crate::catalogue::{Catalogue, Event, EventVersion};
use crate::finding::{Affected, Finding, FindingName};
use crate::lock::Lock;
use crate::policy::Policy;

/// What is checked.
#[derive(Debug, Clone, Copy)]
pub struct Input<'a> {
    /// The schemas.
    pub catalogue: &'a Catalogue,
    /// What was agreed on.
    pub policy: &'a Policy,
    /// What was released.
    pub lock: &'a Lock,
    /// What was released at the revision that the change is compared with.
    pub against: Option<&'a Lock>,
    /// What came of the examples of upcast rules.
    pub examples: &'a ExamplesReport,
    /// Waivers that end before this day do not count.
    pub today: Date,
}

/// Checks schemas with their policy and lock. Findings are sorted by file; those with a waiver say so. The schemas pass if every
/// finding is waived.
pub fn check(input: Input<'_>) -> Vec<Finding> {
    let mut findings = released::check(&input);
    findings.extend(unknown_event_types(&input));
    findings.extend(forgotten_topics(&input));
    findings.extend(examples::check(input.examples));
    for event in input.catalogue.events.values() {
        findings.extend(versions::check(event));
        findings.extend(of_topics(&input, event));
    }
    waivers::apply(&input, &mut findings);
    findings.sort_by(|one, other| {
        (&one.file, one.name, &one.problem).cmp(&(&other.file, other.name, &other.problem))
    });
    findings.dedup();
    findings
}

/// A version on a topic, with the earlier ones there that it must get along with.
struct OnTopic<'a> {
    topic: &'a str,
    version: &'a EventVersion,
    earlier: &'a [&'a EventVersion],
}

/// Checks the versions of an event type that each topic has carried, and the latest one, which it is going to carry.
fn of_topics(input: &Input<'_>, event: &Event) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (topic, level) in input.policy.topics_of(&event.event_type) {
        let carried = input.lock.carried(topic, &event.event_type);
        let mut versions: Vec<&EventVersion> =
            carried.iter().filter_map(|version| event.version(*version)).collect();
        if let Some(latest) = event.latest().filter(|latest| !carried.contains(&latest.id.version)) {
            versions.push(latest);
        }
        for (index, version) in versions.iter().enumerate() {
            let (earlier, _) = versions.split_at(index);
            let on_topic = OnTopic { topic, version, earlier: level.counting(earlier) };
            findings.extend(levels::check(&on_topic, level));
            // A topic at NONE promises nothing.
            if !level.directions().is_empty() {
                findings.extend(pairs::check(&on_topic));
                findings.extend(values::check(&on_topic, level));
            }
        }
    }
    findings
}

/// Topics that have carried versions, and that the policy does not name: nothing of them would be judged.
fn forgotten_topics(input: &Input<'_>) -> Vec<Finding> {
    let forgotten = input.lock.carried.keys().filter(|topic| !input.policy.topics.contains_key(*topic));
    let finding = |topic: &String| {
        let problem = format!("topic {topic} has carried events, and the policy does not name it");
        let remedy = format!(
            "correct the name, or add [topics.\"{topic}\"]; with `events = []` if it carries nothing any more"
        );
        Finding::of_file(Policy::FILE, FindingName::TopicForgotten, problem)
            .breaks(&[Affected::OlderReaders, Affected::NewerReaders])
            .remedy(remedy)
    };
    forgotten.map(finding).collect()
}

fn unknown_event_types(input: &Input<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (name, topic) in &input.policy.topics {
        for event in topic.events.iter().filter(|event| !input.catalogue.events.contains_key(*event)) {
            let nearest = input.catalogue.events.keys().min_by_key(|known| strsim::levenshtein(known, event));
            let hint = nearest.map_or(String::new(), |nearest| format!("; is {nearest} meant?"));
            let problem = format!("topic {name} carries event type {event}, which has no schema files{hint}");
            let remedy = format!("add schemas/<context>/{event}/v1.avsc, or remove it from the topic");
            findings.push(
                Finding::of_file(Policy::FILE, FindingName::UnknownEventType, problem)
                    .breaks(&[Affected::Relay])
                    .remedy(remedy),
            );
        }
    }
    findings
}
