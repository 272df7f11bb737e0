//! A lane's checkpoint, and its comparison with the lane's partitions.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::sync::Arc;

use aqueduct_core::Position;
use aqueduct_kafka::Cluster;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::record::Record;
use crate::record::checkpoint_error::CheckpointError;
use crate::record::exception::ExceptionCounts;
use crate::route::Route;
use crate::route_mapping::RouteMapping;

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
    pub(crate) fn of_batch(self, batch: u64, exceptions: ExceptionCounts) -> Self {
        Self { batch, exceptions, ..self }
    }

    #[expect(clippy::expect_used, reason = "a struct of strings and numbers always has a JSON form")]
    pub(crate) fn to_json(&self) -> Bytes {
        serde_json::to_vec(self).expect("a checkpoint as JSON").into()
    }
}

/// The end of one of the lane's partitions, as a read_committed reader sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tail {
    pub(crate) partition: i32,
    /// The first offset; above 0 where retention has removed records.
    pub(crate) start: i64,
    /// `ce_position` of the last record that the relay wrote.
    pub(crate) position: Option<u64>,
    /// `ce_source` of a record that a relay of another source wrote, where the search for the last record met one.
    pub(crate) other_source: Option<String>,
}

/// What a lane must know to read and write its checkpoints.
#[derive(Debug, Clone)]
pub(crate) struct Ledger {
    pub(crate) route: Route,
    pub(crate) lane: u32,
    pub(crate) lanes: u32,
    /// `ce_source` of the records.
    pub(crate) source: String,
    pub(crate) checkpoint_topic: String,
    pub(crate) mapping: Arc<RouteMapping>,
}

impl Ledger {
    pub(crate) fn new(
        cluster: &Cluster,
        route: Route,
        mapping: Arc<RouteMapping>,
        lane: u32,
        lanes: u32,
    ) -> Self {
        let checkpoint_topic = route.checkpoint_topic(&cluster.prefix);
        Self { route, lane, lanes, source: cluster.source.clone(), checkpoint_topic, mapping }
    }

    /// The event types that were added to the route since it began, those that are new now included: they count from
    /// the checkpoint on.
    pub(crate) fn since(&self, checkpoint: &Checkpoint) -> BTreeMap<String, Position> {
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
    pub(crate) fn at(
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
    pub(crate) fn record(&self, checkpoint: Checkpoint) -> Record {
        // What was read in an earlier form is written in the present one.
        let checkpoint = Checkpoint { version: VERSION, ..checkpoint };
        Record {
            topic: Arc::from(self.checkpoint_topic.as_str()),
            partition: self.lane as i32,
            key: Bytes::from_static(KEY.as_bytes()),
            value: Some(checkpoint.to_json()),
            headers: None,
        }
    }

    /// Reads a checkpoint and refuses one of another configuration.
    pub(crate) fn parse(&self, json: &[u8]) -> Result<Checkpoint, CheckpointError> {
        let (route, lane) = (&self.route.name, self.lane);
        let found: Checkpoint = serde_json::from_slice(json)
            .map_err(|source| CheckpointError::Unreadable { route: route.clone(), lane, source })?;
        let version = if READABLE.contains(&found.version) { VERSION } else { found.version };
        let partitions = self.route.partitions.get();
        let rule = self.rule(&found.seen_versions, &self.since(&found));
        let comparisons = [
            ("version of its form", version.to_string(), VERSION.to_string()),
            ("route name", found.route.clone(), route.clone()),
            ("lane number", found.lane.to_string(), lane.to_string()),
            ("number of lanes", found.lanes.to_string(), self.lanes.to_string()),
            ("number of partitions", found.partitions.to_string(), partitions.to_string()),
            (
                "rule (what it selects, or what the types already relayed are called)",
                found.rule.clone(),
                rule,
            ),
        ];
        for (what, was, is) in comparisons {
            if was != is {
                return Err(CheckpointError::Changed { route: route.clone(), lane, what, was, is });
            }
        }
        // The fingerprint does not cover a type that was added later.
        if let Some(removed) = found.since.keys().find(|it| !self.route.event_types.contains(*it)) {
            let (what, was, is) = ("event type", removed.clone(), "none".to_owned());
            return Err(CheckpointError::Changed { route: route.clone(), lane, what, was, is });
        }
        Ok(found)
    }

    /// Compares the checkpoint with the ends of the lane's partitions.
    pub(crate) fn cross_check(
        &self,
        checkpoint: Option<&Checkpoint>,
        tails: &[Tail],
    ) -> Result<(), CheckpointError> {
        let (topic, lane) = (&self.route.topic, self.lane);
        self.check_hidden_history(checkpoint, tails)?;
        let position = checkpoint.map(|it| it.position);
        for tail in tails {
            if let Some(found) = tail.position
                && position.is_none_or(|position| found > position.commit)
            {
                return Err(CheckpointError::Behind {
                    topic: topic.clone(),
                    lane,
                    partition: tail.partition,
                    tail: found,
                    checkpoint: position,
                });
            }
        }
        for (partition, expected) in checkpoint.iter().flat_map(|it| &it.last) {
            let tail = tails.iter().find(|it| it.partition == *partition);
            let found = tail.and_then(|it| it.position);
            // Retention may have removed the record.
            let expired = found.is_none() && tail.is_some_and(|it| it.start > 0);
            if found != Some(*expected) && !expired {
                return Err(CheckpointError::Ahead {
                    topic: topic.clone(),
                    lane,
                    partition: *partition,
                    expected: *expected,
                    found,
                });
            }
        }
        Ok(())
    }

    /// Refuses partitions in which the lane may have written records that it can't see: they have expired, or carry
    /// another source.
    fn check_hidden_history(
        &self,
        checkpoint: Option<&Checkpoint>,
        tails: &[Tail],
    ) -> Result<(), CheckpointError> {
        let lane = self.lane;
        for tail in tails.iter().filter(|it| it.position.is_none()) {
            let partition = tail.partition;
            if let Some(found) = &tail.other_source
                && checkpoint.is_none_or(|it| it.last.contains_key(&partition))
            {
                let (topic, found, expected) = (self.route.topic.clone(), found.clone(), self.source.clone());
                return Err(CheckpointError::OtherSource { topic, lane, partition, found, expected });
            }
            if checkpoint.is_none() && tail.start > 0 {
                let (topic, start) = (self.route.topic.clone(), tail.start);
                return Err(CheckpointError::Expired { topic, lane, partition, start });
            }
        }
        Ok(())
    }

    /// Compares the checkpoint with the exceptions that were found. A checkpoint of a relay that did not count
    /// batches says nothing of them.
    pub(crate) fn check_exceptions(
        &self,
        checkpoint: Option<&Checkpoint>,
        topic: &str,
        found: ExceptionCounts,
    ) -> Result<(), CheckpointError> {
        let expected = match checkpoint {
            None => ExceptionCounts::default(),
            Some(checkpoint) if checkpoint.batch == 0 => return Ok(()),
            Some(checkpoint) => checkpoint.exceptions,
        };
        if found == expected {
            return Ok(());
        }
        let (topic, lane) = (topic.to_owned(), self.lane);
        Err(CheckpointError::Exceptions { topic, lane, expected, found })
    }

    /// Compares the checkpoint with the end of the store.
    pub(crate) fn check_store(
        &self,
        checkpoint: Option<Position>,
        store: Option<Position>,
    ) -> Result<(), CheckpointError> {
        match checkpoint {
            Some(checkpoint) if store.is_none_or(|store| store < checkpoint) => {
                Err(CheckpointError::BeyondStore {
                    route: self.route.name.clone(),
                    lane: self.lane,
                    checkpoint,
                    store,
                })
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::{EventsOptions, Options};
    use crate::route::OnBadEvent;

    /// Fingerprint of a route with the category `order` only, as version 0.1 made it.
    const RULE: &str = "sha256:18b64aefdbddc1174c32008d3642ed1ebc2344022762bbca4974b82237e138e2";

    fn ledger_of(route: Route, lanes: u32) -> Ledger {
        ledger_reading(EventsOptions::default(), route, lanes)
    }

    fn ledger_reading(events: EventsOptions, route: Route, lanes: u32) -> Ledger {
        let options = Options { events, ..Options::default() };
        let mapping = RouteMapping::new(&options, &route).unwrap();
        Ledger::new(&Cluster::default(), route, Arc::new(mapping), 0, lanes)
    }

    fn ledger() -> Ledger {
        ledger_of(Route::of_categories("orders", "t", ["order"]), 1)
    }

    fn of_types(event_types: &[&str]) -> Ledger {
        let event_types = event_types.iter().map(|it| (*it).to_owned()).collect();
        ledger_of(Route { event_types, ..ledger().route }, 1)
    }

    fn checkpoint(position: u64, last: &[(i32, u64)]) -> Checkpoint {
        let seen = BTreeMap::from([("OrderCreated".to_owned(), BTreeSet::from([1, 2]))]);
        ledger().at(Position::at(position), &seen, &BTreeMap::new(), &last.iter().copied().collect())
    }

    fn tail(partition: i32, start: i64, position: Option<u64>) -> Tail {
        Tail { partition, start, position, other_source: None }
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
        let read = ledger().parse(written.to_string().as_bytes()).unwrap();
        assert_eq!(read.position, Position { commit: 9, prepare: 5 });
    }

    /// A relay of version 0.1 wrote this.
    #[test]
    fn version_1_is_read() {
        let json = serde_json::json!({
            "version": 1, "position": 9, "route": "orders", "lane": 0, "lanes": 1, "partitions": 4,
            "rule": RULE, "met": {"OrderCreated": [1, 2]}, "last": {"2": 7},
        });
        let read = ledger().parse(json.to_string().as_bytes()).unwrap();
        assert_eq!(read.position, Position::at(9));
        let written: serde_json::Value =
            serde_json::from_slice(&ledger().record(read).value.unwrap()).unwrap();
        assert_eq!(written["version"], 2);

        let mut later = json;
        later["version"] = 3.into();
        let refused = ledger().parse(later.to_string().as_bytes()).unwrap_err();
        assert!(matches!(refused, CheckpointError::Changed { what: "version of its form", .. }));
    }

    #[test]
    fn a_batch_is_numbered_and_its_exceptions_are_counted() {
        let counts = ExceptionCounts { parked: 3, skipped: 0, discarded: 1 };
        let counted = checkpoint(9, &[]).of_batch(7, counts);
        let written = serde_json::to_value(&counted).unwrap();
        assert_eq!(written["batch"], 7);
        assert_eq!(written["exceptions"], serde_json::json!({"parked": 3, "skipped": 0, "discarded": 1}));
        let read = ledger().parse(written.to_string().as_bytes()).unwrap();
        assert_eq!(read, counted);

        let none = ExceptionCounts::default();
        let check =
            |checkpoint: Option<&Checkpoint>, found| ledger().check_exceptions(checkpoint, "t", found);
        check(Some(&counted), counts).unwrap();
        check(None, none).unwrap();
        check(Some(&checkpoint(9, &[])), counts).unwrap();
        let lost = check(Some(&counted), none).unwrap_err().to_string();
        assert!(lost.contains("3 parked, 0 skipped and 1 discarded events"), "{lost}");
        check(Some(&counted), ExceptionCounts { parked: 2, ..counts }).unwrap_err();
        check(Some(&checkpoint(9, &[]).of_batch(7, none)), counts).unwrap_err();
        check(None, counts).unwrap_err();
    }

    #[test]
    fn a_checkpoint_of_another_configuration_is_refused() {
        let json = serde_json::to_vec(&checkpoint(9, &[])).unwrap();
        assert_eq!(ledger().parse(&json).unwrap().position, Position::at(9));

        let mut route = ledger().route;
        route.categories.insert("return".to_owned());
        let other_rule = ledger_of(route, 1).parse(&json).unwrap_err();
        assert!(other_rule.to_string().contains("another rule"), "{other_rule}");
        let other_lanes = ledger_of(ledger().route, 2).parse(&json).unwrap_err();
        assert!(matches!(other_lanes, CheckpointError::Changed { what: "number of lanes", .. }));
        assert!(matches!(ledger().parse(b"{}").unwrap_err(), CheckpointError::Unreadable { .. }));
    }

    #[test]
    fn an_event_type_that_is_added_counts_from_the_checkpoint_on() {
        let (seen, last) = (BTreeMap::new(), BTreeMap::new());
        let began = of_types(&["A"]).at(Position::at(9), &seen, &BTreeMap::new(), &last);
        assert_eq!(of_types(&["A"]).since(&began), BTreeMap::new());
        let json = began.to_json();

        let extended = of_types(&["A", "B*"]);
        let found = extended.parse(&json).unwrap();
        let since = extended.since(&found);
        assert_eq!(since, BTreeMap::from([("B*".to_owned(), Position::at(9))]));

        let later = extended.at(Position::at(20), &seen, &since, &last);
        let json = later.to_json();
        let found = extended.parse(&json).unwrap();
        assert_eq!(extended.since(&found), since, "a later checkpoint keeps the position");
        assert_eq!(found.rule, began.rule);
        let again = of_types(&["A", "B*", "C"]).since(&found);
        assert_eq!(again["C"], Position::at(20));

        for other in [&["A"][..], &["B*"], &["A", "B"]] {
            let refused = of_types(other).parse(&json).unwrap_err();
            assert!(matches!(refused, CheckpointError::Changed { .. }), "{other:?}: {refused}");
        }
    }

    #[test]
    fn types_are_no_addition_to_a_route_that_had_none() {
        let of_all = checkpoint(9, &[]).to_json();
        let refused = of_types(&["A"]).parse(&of_all).unwrap_err();
        assert!(refused.to_string().contains("another rule"), "{refused}");
    }

    #[test]
    fn the_names_of_types_already_relayed_are_part_of_the_rule() {
        let json = checkpoint(9, &[]).to_json();
        let reading = |types: &[(&str, &str)]| {
            let types = types.iter().copied().collect();
            ledger_reading(EventsOptions { types, ..EventsOptions::default() }, ledger().route, 1)
        };
        reading(&[("Other", "Renamed"), ("OrderCreated", "OrderCreated")]).parse(&json).unwrap();
        reading(&[("OrderCreated", "Renamed")]).parse(&json).unwrap_err();

        let mut with_pointers = EventsOptions::default();
        with_pointers.metadata.correlation_id = vec!["metadata:/correlation".parse().unwrap()];
        ledger_reading(with_pointers.clone(), ledger().route, 1).parse(&json).unwrap();
        with_pointers.metadata.schema_version = vec!["metadata:/version".parse().unwrap()];
        ledger_reading(with_pointers, ledger().route, 1).parse(&json).unwrap_err();
    }

    #[test]
    fn what_may_change_at_any_time_is_not_part_of_the_rule() {
        let json = checkpoint(9, &[]).to_json();
        let mut route = ledger().route;
        route.json_types.insert("Legacy*".to_owned());
        route.on_bad_event = Some(OnBadEvent::Skip);
        ledger_of(route, 1).parse(&json).unwrap();
    }

    #[test]
    fn a_checkpoint_that_agrees_with_its_topic_is_accepted() {
        let check = |checkpoint: Option<&Checkpoint>, tails: &[Tail]| ledger().cross_check(checkpoint, tails);
        check(None, &[tail(0, 0, None)]).unwrap();
        check(Some(&checkpoint(9, &[])), &[tail(0, 0, None)]).unwrap();
        check(Some(&checkpoint(9, &[(1, 7)])), &[tail(0, 0, Some(4)), tail(1, 0, Some(7))]).unwrap();
        // Retention has removed what it wrote.
        check(Some(&checkpoint(9, &[(1, 7)])), &[tail(1, 9, None)]).unwrap();
    }

    #[test]
    fn a_checkpoint_behind_or_ahead_of_its_topic_is_refused() {
        let check = |checkpoint: Option<&Checkpoint>, tails: &[Tail]| ledger().cross_check(checkpoint, tails);
        let lost_checkpoint = check(None, &[tail(0, 5, Some(4))]).unwrap_err();
        assert!(matches!(lost_checkpoint, CheckpointError::Behind { checkpoint: None, .. }));
        let old_checkpoint = check(Some(&checkpoint(3, &[])), &[tail(0, 5, Some(4))]).unwrap_err();
        assert!(matches!(old_checkpoint, CheckpointError::Behind { tail: 4, .. }));
        let new_topic = check(Some(&checkpoint(9, &[(1, 7)])), &[tail(1, 0, None)]).unwrap_err();
        assert!(matches!(new_topic, CheckpointError::Ahead { found: None, .. }));
        let lost_record = check(Some(&checkpoint(9, &[(1, 7)])), &[tail(1, 9, Some(6))]).unwrap_err();
        assert!(matches!(lost_record, CheckpointError::Ahead { found: Some(6), .. }));
        let lost_in_one =
            check(Some(&checkpoint(9, &[(0, 8), (1, 7)])), &[tail(0, 9, Some(8)), tail(1, 9, Some(5))]);
        assert!(matches!(lost_in_one.unwrap_err(), CheckpointError::Ahead { partition: 1, .. }));
    }

    #[test]
    fn expired_records_are_not_taken_for_none() {
        let expired = [tail(0, 0, None), tail(1, 9, None)];
        let refused = ledger().cross_check(None, &expired).unwrap_err();
        assert!(matches!(refused, CheckpointError::Expired { partition: 1, start: 9, .. }), "{refused}");
        ledger().cross_check(Some(&checkpoint(9, &[(1, 7)])), &expired).unwrap();
    }

    #[test]
    fn records_of_another_source_are_not_taken_for_none() {
        let renamed = |position| {
            let other_source = Some("old/store".to_owned());
            [tail(0, 0, None), Tail { other_source, ..tail(1, 0, position) }]
        };
        let written = checkpoint(9, &[(1, 7)]);
        for checkpoint in [None, Some(&written)] {
            let refused = ledger().cross_check(checkpoint, &renamed(None)).unwrap_err();
            let text = refused.to_string();
            assert!(matches!(refused, CheckpointError::OtherSource { partition: 1, .. }), "{text}");
            assert!(text.contains("old/store") && text.contains("aqueduct/eventstore"), "{text}");
        }
        ledger().cross_check(Some(&written), &renamed(Some(7))).unwrap();
        ledger().cross_check(Some(&checkpoint(9, &[])), &renamed(None)).unwrap();
    }

    #[test]
    fn its_errors_name_what_is_missing() {
        let text = |error: CheckpointError| error.to_string();
        let check = |checkpoint: Option<&Checkpoint>, tails: &[Tail]| {
            text(ledger().cross_check(checkpoint, tails).unwrap_err())
        };
        assert!(check(None, &[tail(0, 0, Some(4))]).contains("the checkpoint is missing;"));
        assert!(check(Some(&checkpoint(3, &[])), &[tail(0, 0, Some(4))]).contains("is at position 3;"));
        let ahead = checkpoint(9, &[(1, 7)]);
        assert!(
            check(Some(&ahead), &[tail(1, 0, None)]).contains("the partition has no record of the relay.")
        );
        assert!(check(Some(&ahead), &[tail(1, 0, Some(6))]).contains("ends with the event at position 6."));
        let store = |store| text(ledger().check_store(Some(Position::at(9)), store).unwrap_err());
        assert!(store(None).contains("but the store is empty:"));
        assert!(store(Some(Position::at(8))).contains("but the store ends at position 8:"));
    }

    #[test]
    fn a_checkpoint_beyond_the_store_is_refused() {
        let check = |checkpoint: Option<u64>, store: Option<u64>| {
            ledger().check_store(checkpoint.map(Position::at), store.map(Position::at))
        };
        check(None, None).unwrap();
        check(Some(9), Some(9)).unwrap();
        check(Some(9), Some(8)).unwrap_err();
        check(Some(0), None).unwrap_err();
    }
}
