//! Comparing a lane's checkpoint with its partitions, its exceptions and the store.

use aqueduct_core::Position;

use crate::lane_definition::LaneDefinition;
use crate::record::checkpoint::Checkpoint;
use crate::record::checkpoint_error::CheckpointError;
use crate::record::exception::ExceptionCounts;

/// The end of one of the lane's partitions, as a read_committed reader sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tail {
    pub(crate) partition: i32,
    /// The first offset; above 0 where retention has removed records.
    pub(crate) start: i64,
    /// The offset after the last record that the relay wrote, or the first one.
    pub(crate) next: i64,
    /// `ce_position` of the last record that the relay wrote.
    pub(crate) position: Option<u64>,
    /// `ce_source` of a record that a relay of another source wrote, where the search for the last record met one.
    pub(crate) other_source: Option<String>,
}

impl LaneDefinition {
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

    /// Refuses partitions in which the lane may have written records that it cannot see: they have expired, or carry
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
    use std::collections::BTreeMap;

    use super::*;

    fn definition() -> LaneDefinition {
        LaneDefinition::of_orders()
    }

    fn checkpoint(position: u64, last: &[(i32, u64)]) -> Checkpoint {
        let (position, last) = (Position::at(position), last.iter().copied().collect());
        definition().checkpoint_at(position, &BTreeMap::new(), &BTreeMap::new(), &last)
    }

    fn tail(partition: i32, start: i64, position: Option<u64>) -> Tail {
        Tail { partition, start, next: start, position, other_source: None }
    }

    #[test]
    fn a_checkpoint_that_agrees_with_its_topic_is_accepted() {
        let check =
            |checkpoint: Option<&Checkpoint>, tails: &[Tail]| definition().cross_check(checkpoint, tails);
        check(None, &[tail(0, 0, None)]).unwrap();
        check(Some(&checkpoint(9, &[])), &[tail(0, 0, None)]).unwrap();
        check(Some(&checkpoint(9, &[(1, 7)])), &[tail(0, 0, Some(4)), tail(1, 0, Some(7))]).unwrap();
        // Retention has removed what it wrote.
        check(Some(&checkpoint(9, &[(1, 7)])), &[tail(1, 9, None)]).unwrap();
    }

    #[test]
    fn a_checkpoint_behind_or_ahead_of_its_topic_is_refused() {
        let check =
            |checkpoint: Option<&Checkpoint>, tails: &[Tail]| definition().cross_check(checkpoint, tails);
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
        let refused = definition().cross_check(None, &expired).unwrap_err();
        assert!(matches!(refused, CheckpointError::Expired { partition: 1, start: 9, .. }), "{refused}");
        definition().cross_check(Some(&checkpoint(9, &[(1, 7)])), &expired).unwrap();
    }

    #[test]
    fn records_of_another_source_are_not_taken_for_none() {
        let renamed = |position| {
            let other_source = Some("old/store".to_owned());
            [tail(0, 0, None), Tail { other_source, ..tail(1, 0, position) }]
        };
        let written = checkpoint(9, &[(1, 7)]);
        for checkpoint in [None, Some(&written)] {
            let refused = definition().cross_check(checkpoint, &renamed(None)).unwrap_err();
            let text = refused.to_string();
            assert!(matches!(refused, CheckpointError::OtherSource { partition: 1, .. }), "{text}");
            assert!(text.contains("old/store") && text.contains("aqueduct/eventstore"), "{text}");
        }
        definition().cross_check(Some(&written), &renamed(Some(7))).unwrap();
        definition().cross_check(Some(&checkpoint(9, &[])), &renamed(None)).unwrap();
    }

    #[test]
    fn its_errors_name_what_is_missing() {
        let text = |error: CheckpointError| error.to_string();
        let check = |checkpoint: Option<&Checkpoint>, tails: &[Tail]| {
            text(definition().cross_check(checkpoint, tails).unwrap_err())
        };
        assert!(check(None, &[tail(0, 0, Some(4))]).contains("the checkpoint is missing;"));
        assert!(check(Some(&checkpoint(3, &[])), &[tail(0, 0, Some(4))]).contains("is at position 3;"));
        let ahead = checkpoint(9, &[(1, 7)]);
        assert!(
            check(Some(&ahead), &[tail(1, 0, None)]).contains("the partition has no record of the relay.")
        );
        assert!(check(Some(&ahead), &[tail(1, 0, Some(6))]).contains("ends with the event at position 6."));
        let store = |store| text(definition().check_store(Some(Position::at(9)), store).unwrap_err());
        assert!(store(None).contains("but the store is empty:"));
        assert!(store(Some(Position::at(8))).contains("but the store ends at position 8:"));
    }

    #[test]
    fn a_checkpoint_beyond_the_store_is_refused() {
        let check = |checkpoint: Option<u64>, store: Option<u64>| {
            definition().check_store(checkpoint.map(Position::at), store.map(Position::at))
        };
        check(None, None).unwrap();
        check(Some(9), Some(9)).unwrap();
        check(Some(9), Some(8)).unwrap_err();
        check(Some(0), None).unwrap_err();
    }

    #[test]
    fn a_checkpoint_that_counts_other_exceptions_is_refused() {
        let counts = ExceptionCounts { parked: 3, skipped: 0, discarded: 1 };
        let counted = checkpoint(9, &[]).with_batch(7, counts);
        let none = ExceptionCounts::default();
        let check =
            |checkpoint: Option<&Checkpoint>, found| definition().check_exceptions(checkpoint, "t", found);
        check(Some(&counted), counts).unwrap();
        check(None, none).unwrap();
        check(Some(&checkpoint(9, &[])), counts).unwrap();
        let lost = check(Some(&counted), none).unwrap_err().to_string();
        assert!(lost.contains("3 parked, 0 skipped and 1 discarded events"), "{lost}");
        check(Some(&counted), ExceptionCounts { parked: 2, ..counts }).unwrap_err();
        check(Some(&checkpoint(9, &[]).with_batch(7, none)), counts).unwrap_err();
        check(None, counts).unwrap_err();
    }
}
