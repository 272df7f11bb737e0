//! Adopting a checkpoint of version 0.1.

use serde::Deserialize;

use crate::lane_definition::LaneDefinition;
use crate::record::checkpoint::Checkpoint;
use crate::record::checkpoint_check::Tail;
use crate::record::checkpoint_error::CheckpointError;

/// The version of the form that version 0.1 wrote. A later one in its topic belongs to a relay with the default prefix.
const VERSION: u32 = 1;

#[derive(Deserialize)]
struct Form {
    version: u32,
}

impl LaneDefinition {
    /// Reads a checkpoint from the topic that all systems on a cluster shared in version 0.1. `None` if there is
    /// nothing to be adopted; an error if it does not agree with the lane's partitions.
    ///
    /// Another system may have written it, and resuming there would skip events. So it must name the last record of
    /// each partition, except where all records have expired, and at least one of these records must exist.
    pub(crate) fn adopt(&self, json: &[u8], tails: &[Tail]) -> Result<Option<Checkpoint>, CheckpointError> {
        let is_adoptable = serde_json::from_slice(json).is_ok_and(|it: Form| it.version == VERSION);
        let has_records = tails.iter().any(|tail| tail.position.is_some());
        if !is_adoptable || !has_records {
            return Ok(None);
        }
        let found = self.parse_checkpoint(json).map_err(|error| match error {
            CheckpointError::Changed { lane, what, was, is, .. } => CheckpointError::OtherConfiguration {
                checkpoint_topic: self.route.unprefixed_checkpoint_topic(),
                lane,
                what,
                was,
                is,
            },
            CheckpointError::RuleChanged { lane, .. } => {
                let checkpoint_topic = self.route.unprefixed_checkpoint_topic();
                CheckpointError::OtherRule { checkpoint_topic, lane }
            }
            other => other,
        })?;
        let without_tail = |partition: &i32| !tails.iter().any(|tail| tail.partition == *partition);
        let unknown = found.last.keys().copied().find(without_tail);
        let differs = |tail: &Tail| {
            let expired = tail.position.is_none() && tail.start > 0;
            !expired && tail.position != found.last.get(&tail.partition).copied()
        };
        let differing = tails.iter().find(|tail| differs(tail)).map(|tail| tail.partition);
        if let Some(partition) = unknown.or(differing) {
            return Err(CheckpointError::NotAdopted {
                topic: self.route.topic.clone(),
                checkpoint_topic: self.route.unprefixed_checkpoint_topic(),
                lane: self.lane,
                partition,
                expected: found.last.get(&partition).copied(),
                found: tails.iter().find(|it| it.partition == partition).and_then(|it| it.position),
            });
        }
        self.cross_check(Some(&found), tails)?;
        Ok(Some(found))
    }
}

#[cfg(test)]
mod tests {
    use aqueduct_core::Position;
    use serde_json::json;

    use super::*;
    use crate::options::EventsOptions;
    use crate::route::Route;

    fn route() -> Route {
        Route::of_categories("orders", "t", ["order"])
    }

    fn adopt(
        version: u32,
        last: serde_json::Value,
        tails: &[Tail],
    ) -> Result<Option<Position>, CheckpointError> {
        adopt_by(route(), version, last, tails)
    }

    fn adopt_by(
        route: Route,
        version: u32,
        last: serde_json::Value,
        tails: &[Tail],
    ) -> Result<Option<Position>, CheckpointError> {
        let definition = LaneDefinition::first_of(route, 1, EventsOptions::default());
        let json = json!({
            "version": version, "position": 9, "route": "orders", "lane": 0, "lanes": 1, "partitions": 4,
            "rule": "sha256:18b64aefdbddc1174c32008d3642ed1ebc2344022762bbca4974b82237e138e2",
            "met": {"OrderCreated": [1, 2]}, "last": last,
        });
        Ok(definition.adopt(json.to_string().as_bytes(), tails)?.map(|it| it.position))
    }

    fn tail(partition: i32, start: i64, position: Option<u64>) -> Tail {
        Tail { partition, start, next: start, position, other_source: None }
    }

    #[test]
    fn a_checkpoint_that_names_every_tail_is_adopted() {
        let adopted = Some(Position::at(9));
        let tails = [tail(0, 0, Some(7)), tail(1, 0, None), tail(2, 5, Some(9))];
        assert_eq!(adopt(1, json!({"0": 7, "2": 9}), &tails).unwrap(), adopted);
        let expired = [tail(0, 4, None), tail(1, 4, None), tail(2, 5, Some(9))];
        assert_eq!(adopt(1, json!({"0": 7, "2": 9}), &expired).unwrap(), adopted);
    }

    #[test]
    fn a_checkpoint_that_does_not_is_refused() {
        let tails = [tail(0, 0, Some(7)), tail(1, 0, None), tail(2, 5, Some(9))];
        for (last, wrong) in [
            (json!({}), 0),
            (json!({"0": 7}), 2),
            (json!({"0": 6, "2": 9}), 0),
            (json!({"0": 7, "1": 8, "2": 9}), 1),
            (json!({"0": 7, "2": 9, "3": 5}), 3),
        ] {
            let refused = adopt(1, last.clone(), &tails).unwrap_err();
            let is_expected =
                matches!(refused, CheckpointError::NotAdopted { partition, .. } if partition == wrong);
            assert!(is_expected, "{last}: {refused}");
        }
        // It names the last records, but is behind one of them.
        let behind = adopt(1, json!({"0": 10}), &[tail(0, 0, Some(10))]).unwrap_err();
        assert!(matches!(behind, CheckpointError::Behind { tail: 10, .. }), "{behind}");
    }

    #[test]
    fn nothing_agrees_with_partitions_without_records() {
        assert_eq!(adopt(1, json!({}), &[tail(0, 0, None)]).unwrap(), None);
        assert_eq!(adopt(1, json!({"0": 7}), &[tail(0, 0, None)]).unwrap(), None);
        assert_eq!(adopt(1, json!({"0": 7}), &[tail(0, 8, None)]).unwrap(), None);
    }

    #[test]
    fn one_of_another_configuration_may_be_another_systems() {
        let route = Route { categories: ["return".to_owned()].into(), ..route() };
        let refused = adopt_by(route, 1, json!({"0": 7}), &[tail(0, 0, Some(7))]).unwrap_err();
        assert!(matches!(refused, CheckpointError::OtherRule { .. }), "{refused}");
        assert!(refused.to_string().contains("if another system wrote it"), "{refused}");
    }

    #[test]
    fn only_a_checkpoint_of_version_0_1_is_adopted() {
        let tails = [tail(0, 0, Some(7))];
        assert_eq!(adopt(1, json!({"0": 7}), &tails).unwrap(), Some(Position::at(9)));
        assert_eq!(adopt(2, json!({"0": 7}), &tails).unwrap(), None);
    }
}
