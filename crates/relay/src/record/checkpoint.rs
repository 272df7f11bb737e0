//! A lane's checkpoint.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::sync::Arc;

use aqueduct_core::Position;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::lane_definition::LaneDefinition;
use crate::record::Record;
use crate::record::checkpoint_error::CheckpointError;
use crate::record::exception::ExceptionCounts;
use crate::record::header_block::HeaderBlock;

/// Key of every checkpoint record.
pub(crate) const KEY: &str = "checkpoint";

/// Version of the JSON below. Part of what is stored: a later form takes the next number.
const VERSION: u32 = 2;

/// Versions that are read. In version 1 a position was the commit position alone.
const READABLE: RangeInclusive<u32> = 1..=VERSION;

/// The progress of a lane. Written as JSON to the lane's partition of the route's checkpoint topic, in the same
/// transaction as its records. The last checkpoint in the partition is valid.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Checkpoint {
    version: u32,
    /// Position in `$all` of the last event that the lane received and dealt with, whether or not it became
    /// a record.
    pub position: Position,
    /// The route.
    pub route: String,
    /// The lane.
    pub lane: u32,
    /// Lanes of the route: they decide which streams are this lane's.
    pub lanes: u32,
    /// Partitions of the topic: they decide where a stream's records are.
    pub partitions: u32,
    /// Fingerprint of what decides which events are records, and what they are called.
    pub rule: String,
    /// The route's configured event types.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub event_types: BTreeSet<String>,
    /// Those of them that were added after the route had begun: events of them count if they come after the position.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub since: BTreeMap<String, Position>,
    /// Event types of which records were made, as stored, with the versions that the events named.
    #[serde(rename = "met")]
    pub seen_versions: BTreeMap<String, BTreeSet<u32>>,
    /// The last record that the lane wrote to each of its partitions: its `ce_position`, a commit position.
    pub last: BTreeMap<i32, u64>,
    /// Number of the lane's batch. Its records in the topics of exceptions and parked events carry it in a header,
    /// which shows whether they were committed. 0 where it was not counted yet.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub batch: u64,
    /// How many exceptions the lane has: the topic that holds them may be lost.
    #[serde(default, skip_serializing_if = "ExceptionCounts::is_empty")]
    pub exceptions: ExceptionCounts,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl Checkpoint {
    pub(crate) fn with_batch(self, batch: u64, exceptions: ExceptionCounts) -> Self {
        Self { batch, exceptions, ..self }
    }

    #[expect(clippy::expect_used, reason = "a struct of strings and numbers always has a JSON form")]
    pub(crate) fn to_json(&self) -> Bytes {
        serde_json::to_vec(self).expect("a checkpoint as JSON").into()
    }
}

impl LaneDefinition {
    /// The event types that were added to the route since it began, those that are new now included: they count from
    /// the checkpoint on.
    pub(crate) fn added_types(&self, checkpoint: &Checkpoint) -> BTreeMap<String, Position> {
        let mut since = checkpoint.since.clone();
        // A route that had none carried all types: then the rule differs.
        if !checkpoint.event_types.is_empty() {
            let new = self.route.event_types.difference(&checkpoint.event_types);
            since.extend(new.map(|event_type| (event_type.clone(), checkpoint.position)));
        }
        since
    }

    fn rule(
        &self,
        seen_versions: &BTreeMap<String, BTreeSet<u32>>,
        since: &BTreeMap<String, Position>,
    ) -> String {
        let added = since.keys().cloned().collect();
        self.mapping.fingerprint(&added, seen_versions.keys().map(String::as_str))
    }

    /// A checkpoint to be written.
    pub(crate) fn checkpoint_at(
        &self,
        position: Position,
        seen_versions: &BTreeMap<String, BTreeSet<u32>>,
        since: &BTreeMap<String, Position>,
        last: &BTreeMap<i32, u64>,
    ) -> Checkpoint {
        Checkpoint {
            version: VERSION,
            position,
            route: self.route.name.clone(),
            lane: self.lane,
            lanes: self.lanes,
            partitions: self.route.partitions.get(),
            rule: self.rule(seen_versions, since),
            event_types: self.route.event_types.clone(),
            since: since.clone(),
            seen_versions: seen_versions.clone(),
            last: last.clone(),
            batch: 0,
            exceptions: ExceptionCounts::default(),
        }
    }

    /// The record of a checkpoint.
    pub(crate) fn checkpoint_record(&self, checkpoint: Checkpoint) -> Record {
        // What was read in an earlier form is written in the present one.
        let checkpoint = Checkpoint { version: VERSION, ..checkpoint };
        Record {
            topic: Arc::from(self.checkpoint_topic.as_str()),
            partition: self.lane as i32,
            key: Bytes::from_static(KEY.as_bytes()),
            value: Some(checkpoint.to_json()),
            headers: HeaderBlock::default(),
        }
    }

    /// Reads a checkpoint and refuses one of another configuration.
    pub(crate) fn parse_checkpoint(&self, json: &[u8]) -> Result<Checkpoint, CheckpointError> {
        let (route, lane) = (&self.route.name, self.lane);
        let found: Checkpoint = serde_json::from_slice(json)
            .map_err(|source| CheckpointError::Unreadable { route: route.clone(), lane, source })?;
        let version = if READABLE.contains(&found.version) { VERSION } else { found.version };
        let partitions = self.route.partitions.get();
        let comparisons = [
            ("format version", version.to_string(), VERSION.to_string()),
            ("route name", found.route.clone(), route.clone()),
            ("lane number", found.lane.to_string(), lane.to_string()),
            ("number of lanes", found.lanes.to_string(), self.lanes.to_string()),
            ("number of partitions", found.partitions.to_string(), partitions.to_string()),
        ];
        for (what, was, is) in comparisons {
            if was != is {
                return Err(CheckpointError::Changed { route: route.clone(), lane, what, was, is });
            }
        }
        if found.rule != self.rule(&found.seen_versions, &self.added_types(&found)) {
            return Err(CheckpointError::RuleChanged { route: route.clone(), lane });
        }
        // The fingerprint does not cover a type that was added later.
        if let Some(removed) = found.since.keys().find(|it| !self.route.event_types.contains(*it)) {
            let (what, was, is) = ("event type", removed.clone(), "none".to_owned());
            return Err(CheckpointError::Changed { route: route.clone(), lane, what, was, is });
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::EventsOptions;
    use crate::route::{OnBadEvent, Route};

    /// Fingerprint of a route with the category `order` only, as version 0.1 made it.
    const RULE: &str = "sha256:18b64aefdbddc1174c32008d3642ed1ebc2344022762bbca4974b82237e138e2";

    fn definition_of(route: Route, lanes: u32) -> LaneDefinition {
        LaneDefinition::first_of(route, lanes, EventsOptions::default())
    }

    fn definition() -> LaneDefinition {
        LaneDefinition::of_orders()
    }

    fn of_types(event_types: &[&str]) -> LaneDefinition {
        let event_types = event_types.iter().map(|it| (*it).to_owned()).collect();
        definition_of(Route { event_types, ..definition().route }, 1)
    }

    fn checkpoint(position: u64, last: &[(i32, u64)]) -> Checkpoint {
        let seen = BTreeMap::from([("OrderCreated".to_owned(), BTreeSet::from([1, 2]))]);
        definition().checkpoint_at(
            Position::at(position),
            &seen,
            &BTreeMap::new(),
            &last.iter().copied().collect(),
        )
    }

    #[test]
    fn the_json_form_is_stable() {
        let mut written = serde_json::to_value(checkpoint(9, &[(2, 7)])).unwrap();
        let expected = serde_json::json!({
            "version": 2, "position": 9, "route": "orders", "lane": 0, "lanes": 1, "partitions": 4,
            "rule": RULE, "met": {"OrderCreated": [1, 2]}, "last": {"2": 7},
        });
        assert_eq!(written, expected);

        written["position"] = serde_json::json!({"commit": 9, "prepare": 5});
        let read = definition().parse_checkpoint(written.to_string().as_bytes()).unwrap();
        assert_eq!(read.position, Position { commit: 9, prepare: 5 });
    }

    /// A relay of version 0.1 wrote this.
    #[test]
    fn version_1_is_read() {
        let json = serde_json::json!({
            "version": 1, "position": 9, "route": "orders", "lane": 0, "lanes": 1, "partitions": 4,
            "rule": RULE, "met": {"OrderCreated": [1, 2]}, "last": {"2": 7},
        });
        let read = definition().parse_checkpoint(json.to_string().as_bytes()).unwrap();
        assert_eq!(read.position, Position::at(9));
        let written: serde_json::Value =
            serde_json::from_slice(&definition().checkpoint_record(read).value.unwrap()).unwrap();
        assert_eq!(written["version"], 2);

        let mut later = json;
        later["version"] = 3.into();
        let refused = definition().parse_checkpoint(later.to_string().as_bytes()).unwrap_err();
        assert!(matches!(refused, CheckpointError::Changed { what: "format version", .. }));
    }

    #[test]
    fn the_batch_and_its_exceptions_are_part_of_it() {
        let counts = ExceptionCounts { parked: 3, skipped: 0, discarded: 1 };
        let counted = checkpoint(9, &[]).with_batch(7, counts);
        let written = serde_json::to_value(&counted).unwrap();
        assert_eq!(written["batch"], 7);
        assert_eq!(written["exceptions"], serde_json::json!({"parked": 3, "skipped": 0, "discarded": 1}));
        let read = definition().parse_checkpoint(written.to_string().as_bytes()).unwrap();
        assert_eq!(read, counted);
    }

    #[test]
    fn a_checkpoint_of_another_configuration_is_refused() {
        let json = serde_json::to_vec(&checkpoint(9, &[])).unwrap();
        assert_eq!(definition().parse_checkpoint(&json).unwrap().position, Position::at(9));

        let mut route = definition().route;
        route.categories.insert("return".to_owned());
        let other_rule = definition_of(route, 1).parse_checkpoint(&json).unwrap_err();
        assert!(matches!(other_rule, CheckpointError::RuleChanged { .. }), "{other_rule}");
        let other_lanes = definition_of(definition().route, 2).parse_checkpoint(&json).unwrap_err();
        assert!(matches!(other_lanes, CheckpointError::Changed { what: "number of lanes", .. }));
        assert!(matches!(
            definition().parse_checkpoint(b"{}").unwrap_err(),
            CheckpointError::Unreadable { .. }
        ));
    }

    #[test]
    fn an_event_type_that_is_added_counts_from_the_checkpoint_on() {
        let (seen, last) = (BTreeMap::new(), BTreeMap::new());
        let began = of_types(&["A"]).checkpoint_at(Position::at(9), &seen, &BTreeMap::new(), &last);
        assert_eq!(of_types(&["A"]).added_types(&began), BTreeMap::new());
        let json = began.to_json();

        let extended = of_types(&["A", "B*"]);
        let found = extended.parse_checkpoint(&json).unwrap();
        let since = extended.added_types(&found);
        assert_eq!(since, BTreeMap::from([("B*".to_owned(), Position::at(9))]));

        let later = extended.checkpoint_at(Position::at(20), &seen, &since, &last);
        let json = later.to_json();
        let found = extended.parse_checkpoint(&json).unwrap();
        assert_eq!(extended.added_types(&found), since, "a later checkpoint keeps the position");
        assert_eq!(found.rule, began.rule);
        let again = of_types(&["A", "B*", "C"]).added_types(&found);
        assert_eq!(again["C"], Position::at(20));

        for other in [&["A"][..], &["B*"], &["A", "B"]] {
            let refused = of_types(other).parse_checkpoint(&json).unwrap_err();
            let is_expected =
                matches!(refused, CheckpointError::Changed { .. } | CheckpointError::RuleChanged { .. });
            assert!(is_expected, "{other:?}: {refused}");
        }
    }

    #[test]
    fn types_are_no_addition_to_a_route_that_had_none() {
        let of_all = checkpoint(9, &[]).to_json();
        let refused = of_types(&["A"]).parse_checkpoint(&of_all).unwrap_err();
        assert!(matches!(refused, CheckpointError::RuleChanged { .. }), "{refused}");
    }

    #[test]
    fn the_names_of_types_already_relayed_are_part_of_the_rule() {
        let json = checkpoint(9, &[]).to_json();
        let reading = |types: &[(&str, &str)]| {
            let types = types.iter().copied().collect();
            LaneDefinition::first_of(
                definition().route,
                1,
                EventsOptions { types, ..EventsOptions::default() },
            )
        };
        reading(&[("Other", "Renamed"), ("OrderCreated", "OrderCreated")]).parse_checkpoint(&json).unwrap();
        reading(&[("OrderCreated", "Renamed")]).parse_checkpoint(&json).unwrap_err();

        let mut with_pointers = EventsOptions::default();
        with_pointers.metadata.correlation_id = vec!["metadata:/correlation".parse().unwrap()];
        LaneDefinition::first_of(definition().route, 1, with_pointers.clone())
            .parse_checkpoint(&json)
            .unwrap();
        with_pointers.metadata.schema_version = vec!["metadata:/version".parse().unwrap()];
        LaneDefinition::first_of(definition().route, 1, with_pointers).parse_checkpoint(&json).unwrap_err();
    }

    #[test]
    fn what_may_change_at_any_time_is_not_part_of_the_rule() {
        let json = checkpoint(9, &[]).to_json();
        let mut route = definition().route;
        route.json_types.insert("Legacy*".to_owned());
        route.on_bad_event = Some(OnBadEvent::Skip);
        definition_of(route, 1).parse_checkpoint(&json).unwrap();
    }
}
