//! `policy.toml`: what a team agreed on.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use aqueduct_avro::Level;
use aqueduct_schema::{RULE_LANGUAGE_VERSION, SchemaSet};
use jiff::civil::Date;
use serde::Deserialize;

use crate::finding::FindingName;

/// How the schemas may change, and which topics carry which events.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Policy {
    /// The version of the language of upcast rules that the schemas are written in.
    pub rules: u32,
    /// The level of the topics that have none of their own.
    pub compatibility: Level,
    /// Who to ask about the schemas: a team, a person, an address.
    pub owner: Option<String>,
    /// The topics, by name.
    pub topics: BTreeMap<String, Topic>,
    /// Findings that somebody decided to live with.
    pub waivers: Vec<Waiver>,
}

/// The contract of a topic.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Topic {
    /// The event types that it may carry.
    pub events: Vec<String>,
    /// Its level, if it is not that of the policy.
    #[serde(default)]
    pub compatibility: Option<Level>,
    /// Its owner, if it is not that of the policy.
    #[serde(default)]
    pub owner: Option<String>,
}

/// A finding that somebody decided to live with, until a date.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Waiver {
    /// The finding.
    pub finding: FindingName,
    /// The event type that it is about.
    pub event: String,
    /// The version that it is about; any, if it is left out.
    #[serde(default)]
    pub version: Option<u32>,
    /// Why it is right here.
    pub reason: String,
    /// The last day on which it holds.
    pub expires: Date,
}

/// Why a policy cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{}: {problem}", path.display())]
pub struct PolicyError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong, with line and column.
    pub problem: String,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            rules: 1,
            compatibility: Level::FullTransitive,
            owner: None,
            topics: BTreeMap::new(),
            waivers: Vec::new(),
        }
    }
}

impl Policy {
    /// The name of its file in the folder of the schemas.
    pub const FILE: &str = "policy.toml";

    /// Reads the policy of a folder of schemas; `None` if it has none.
    pub fn read(folder: &Path) -> Result<Option<Self>, PolicyError> {
        let path = folder.join(Self::FILE);
        match fs::read_to_string(&path) {
            Ok(text) => Self::parse(&text, &path).map(Some),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(PolicyError { path, problem: error.to_string() }),
        }
    }

    /// Reads the text of a policy; `path` is for errors.
    pub fn parse(text: &str, path: &Path) -> Result<Self, PolicyError> {
        let refused = |problem: String| PolicyError { path: path.to_owned(), problem };
        let policy: Self =
            toml::from_str(text).map_err(|error| refused(error.to_string().trim_end().to_owned()))?;
        if policy.rules != RULE_LANGUAGE_VERSION {
            return Err(refused(format!(
                "rules = {}: this version knows the rule language {}",
                policy.rules, RULE_LANGUAGE_VERSION
            )));
        }
        for (name, topic) in &policy.topics {
            let mut events: Vec<_> = topic.events.iter().collect();
            events.sort_unstable();
            if let Some(twice) = events.windows(2).find(|pair| pair[0] == pair[1]) {
                return Err(refused(format!("topic {name} has event type {} twice", twice[0])));
            }
        }
        if let Some(waiver) = policy.waivers.iter().find(|waiver| waiver.reason.trim().is_empty()) {
            let Waiver { finding, event, .. } = waiver;
            return Err(refused(format!("the waiver of {finding} for {event} needs a reason")));
        }
        let is_frozen = |waiver: &&Waiver| {
            [FindingName::ReleasedSchemaChanged, FindingName::ReleasedFileMissing].contains(&waiver.finding)
        };
        if let Some(Waiver { finding, event, .. }) = policy.waivers.iter().find(is_frozen) {
            return Err(refused(format!(
                "{finding} for {event} cannot be waived: what is released does not change"
            )));
        }
        Ok(policy)
    }

    /// What a topic carries where there is no policy: all event types of some contexts.
    pub fn of_contexts(set: &SchemaSet, contexts: &BTreeMap<String, Vec<String>>) -> Self {
        let of_topic = |contexts: &Vec<String>| {
            let events =
                set.events().filter(|event| contexts.iter().any(|context| context == event.context()));
            let events = events.map(|event| event.event_type().to_owned()).collect();
            Topic { events, compatibility: None, owner: None }
        };
        let topics = contexts.iter().map(|(topic, contexts)| (topic.clone(), of_topic(contexts)));
        Self { topics: topics.collect(), ..Self::default() }
    }

    /// The event types that a topic may carry and that have no schema files, with their topics.
    pub fn unknown_event_types<'a>(&'a self, set: &'a SchemaSet) -> impl Iterator<Item = (&'a str, &'a str)> {
        let of_topic = move |(name, topic): (&'a String, &'a Topic)| {
            let unknown = topic.events.iter().filter(|event| set.event(event).is_none());
            unknown.map(move |event| (name.as_str(), event.as_str()))
        };
        self.topics.iter().flat_map(of_topic)
    }

    /// The topics whose contract allows an event type, with their levels.
    pub fn topics_of<'a>(&'a self, event_type: &str) -> impl Iterator<Item = (&'a str, Level)> {
        let allowing =
            self.topics.iter().filter(move |(_, topic)| topic.events.iter().any(|it| it == event_type));
        allowing.map(|(name, topic)| (name.as_str(), topic.compatibility.unwrap_or(self.compatibility)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Policy, String> {
        Policy::parse(text, Path::new("policy.toml")).map_err(|error| error.to_string())
    }

    #[test]
    fn a_topic_has_the_level_of_the_policy_or_its_own() {
        let policy = parse(
            r#"
            owner = "shop"
            [topics."shop.orders"]
            events = ["OrderCreated", "OrderRejected"]
            [topics."shop.reports"]
            events = ["OrderCreated"]
            compatibility = "BACKWARD"
            [[waivers]]
            finding = "changed-default"
            event = "OrderCreated"
            reason = "no consumer reads the field"
            expires = "2027-03-01"
            "#,
        )
        .unwrap();
        let topics: Vec<_> = policy.topics_of("OrderCreated").collect();
        assert_eq!(topics, [("shop.orders", Level::FullTransitive), ("shop.reports", Level::Backward)]);
        assert_eq!(policy.topics_of("OrderRejected").count(), 1);
        assert_eq!(policy.waivers[0].finding, FindingName::ChangedDefault);
    }

    #[test]
    fn a_mistake_is_named_with_its_line() {
        for (text, named) in [
            ("compatibility = \"FULL\"\nowners = \"shop\"", "line 2"),
            ("compatibility = \"MOSTLY\"", "line 1"),
            ("[topics.t]\nevents = [\"A\", \"A\"]", "topic t has event type A twice"),
            ("rules = 2", "rules = 2"),
            ("[topics.t]\nevent = [\"A\"]", "line 2"),
            (
                "[[waivers]]\nfinding = \"changed-scale\"\nevent = \"A\"\nreason = \" \"\nexpires = \"2027-01-01\"",
                "the waiver of changed-scale for A needs a reason",
            ),
            (
                "[[waivers]]\nfinding = \"released-schema-changed\"\nevent = \"A\"\nreason = \"r\"\nexpires = \"2027-01-01\"",
                "cannot be waived",
            ),
            (
                "[[waivers]]\nfinding = \"changed-scales\"\nevent = \"A\"\nreason = \"r\"\nexpires = \"2027-01-01\"",
                "line 2",
            ),
            (
                "[[waivers]]\nfinding = \"changed-scale\"\nevent = \"A\"\nreason = \"r\"\nexpires = \"2027-02-30\"",
                "line 5",
            ),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(named) && error.starts_with("policy.toml: "), "{error}");
        }
    }
}
