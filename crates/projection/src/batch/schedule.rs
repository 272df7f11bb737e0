//! Which records make the next batch.

use std::collections::VecDeque;

use crate::batch::turn::{Ended, Turn};
use crate::record::Record;
use crate::record::partition::Partition;

/// The records that wait, and which batches are running.
///
/// Batches of different partitions run at the same time. Records of a partition that a batch is writing wait for it, or make
/// the batch that is read meanwhile, if there are many of them.
#[derive(Debug)]
pub(crate) struct Schedule {
    /// Most records of a batch.
    batch_size: usize,
    /// Most records that wait.
    limit: usize,
    /// By partition; the one that was served last is at the end.
    waiting: VecDeque<Waiting>,
    /// Number of records that wait.
    count: usize,
    running: Vec<Running>,
    last: BatchId,
}

/// Names a batch while it runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct BatchId(u64);

/// A batch that may run.
#[derive(Debug)]
pub(crate) struct ScheduledBatch {
    pub(crate) id: BatchId,
    /// In the order of their offsets within each partition.
    pub(crate) records: Vec<Record>,
    pub(crate) turn: Turn,
}

#[derive(Debug)]
struct Waiting {
    partition: Partition,
    records: VecDeque<Record>,
}

#[derive(Debug)]
struct Running {
    id: BatchId,
    partitions: Vec<Partition>,
    /// `None`: the batch after it is running too.
    ended: Option<Ended>,
}

impl Schedule {
    /// Nothing waits. `limit` is the most records that may wait, at least those of a batch.
    pub(crate) fn new(batch_size: usize, limit: usize) -> Self {
        Self {
            batch_size,
            limit: limit.max(batch_size),
            waiting: VecDeque::new(),
            count: 0,
            running: Vec::new(),
            last: BatchId::default(),
        }
    }

    /// How many more records may wait.
    pub(crate) fn room(&self) -> usize {
        self.limit.saturating_sub(self.count)
    }

    /// Whether no record waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Whether as many records wait as make a full batch.
    pub(crate) fn is_ample(&self) -> bool {
        self.count >= self.batch_size
    }

    /// Number of batches that are running.
    pub(crate) fn running(&self) -> usize {
        self.running.len()
    }

    /// Lets records wait, in the order in which they were received.
    pub(crate) fn add(&mut self, records: Vec<Record>) {
        self.count += records.len();
        // Most records have the partition of the one before.
        let mut index = 0;
        for record in records {
            if !self.waiting.get(index).is_some_and(|waiting| waiting.partition.has(&record)) {
                let found = self.waiting.iter().position(|waiting| waiting.partition.has(&record));
                index = found.unwrap_or_else(|| {
                    let waiting = Waiting { partition: Partition::of(&record), records: VecDeque::new() };
                    self.waiting.push_back(waiting);
                    self.waiting.len() - 1
                });
            }
            self.waiting[index].records.push_back(record);
        }
    }

    /// The next batch, if there is one that need not wait.
    pub(crate) fn next(&mut self) -> Option<ScheduledBatch> {
        let idle = |waiting: &Waiting, running: &[Running]| {
            !running.iter().any(|batch| batch.partitions.contains(&waiting.partition))
        };
        let mut partitions = Vec::new();
        let mut records = self.take(&mut partitions, idle);
        let mut previous = None;
        if records.is_empty() {
            let followed = self.followed()?;
            previous = self.running[followed].ended.take();
            let id = self.running[followed].id;
            records = self.take(&mut partitions, |waiting, running| {
                running.iter().any(|batch| batch.id == id && batch.partitions.contains(&waiting.partition))
            });
        }
        let (turn, ended) = Turn::after(previous);
        self.last = BatchId(self.last.0 + 1);
        let id = self.last;
        self.running.push(Running { id, partitions, ended: Some(ended) });
        Some(ScheduledBatch { id, records, turn })
    }

    /// A running batch that has no successor yet, if enough records wait for it that reading them pays.
    fn followed(&self) -> Option<usize> {
        let waits_for = |batch: &Running| {
            let waiting = self.waiting.iter().filter(|waiting| batch.partitions.contains(&waiting.partition));
            waiting.map(|waiting| waiting.records.len()).sum::<usize>()
        };
        self.running
            .iter()
            .position(|batch| batch.ended.is_some() && waits_for(batch) >= self.batch_size.div_ceil(2))
    }

    /// Takes records of these partitions, as many as a batch may have.
    fn take(
        &mut self,
        partitions: &mut Vec<Partition>,
        is_wanted: impl Fn(&Waiting, &[Running]) -> bool,
    ) -> Vec<Record> {
        let mut records = Vec::new();
        let mut served = VecDeque::new();
        let mut kept = VecDeque::with_capacity(self.waiting.len());
        for mut waiting in self.waiting.drain(..) {
            let room = self.batch_size - records.len();
            if room == 0 || !is_wanted(&waiting, &self.running) {
                kept.push_back(waiting);
                continue;
            }
            records.extend(waiting.records.drain(..room.min(waiting.records.len())));
            partitions.push(waiting.partition.clone());
            if !waiting.records.is_empty() {
                served.push_back(waiting);
            }
        }
        kept.append(&mut served);
        self.waiting = kept;
        self.count -= records.len();
        records
    }

    /// A batch has ended.
    pub(crate) fn finish(&mut self, id: BatchId) {
        self.running.retain(|batch| batch.id != id);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::record::headers::Headers;

    fn records(partition: i32, offsets: std::ops::Range<i64>) -> Vec<Record> {
        let topic: Arc<str> = "bank".into();
        let record = |offset| Record {
            topic: Arc::clone(&topic),
            partition,
            offset,
            epoch: 1,
            key: None,
            payload: None,
            headers: Headers::default(),
        };
        offsets.map(record).collect()
    }

    fn next(schedule: &mut Schedule) -> Option<(BatchId, Vec<(i32, i64)>)> {
        let batch = schedule.next()?;
        let places = batch.records.iter().map(|record| (record.partition, record.offset)).collect();
        Some((batch.id, places))
    }

    #[test]
    fn batches_of_different_partitions_run_at_the_same_time() {
        let mut schedule = Schedule::new(2, 100);
        schedule.add(records(0, 0..3));
        schedule.add(records(1, 0..1));
        schedule.add(records(2, 0..1));
        let (first, places) = next(&mut schedule).unwrap();
        assert_eq!(places, [(0, 0), (0, 1)]);
        let (_, places) = next(&mut schedule).unwrap();
        assert_eq!(places, [(1, 0), (2, 0)], "partitions with little to do share a batch");
        // What follows a batch is read while it is written.
        let (second, places) = next(&mut schedule).unwrap();
        assert_eq!(places, [(0, 2)]);
        schedule.add(records(0, 3..5));
        assert_eq!(next(&mut schedule).map(|(_, places)| places), Some(vec![(0, 3), (0, 4)]));
        assert_eq!(schedule.running(), 4);
        schedule.finish(first);
        schedule.finish(second);
        assert_eq!(schedule.running(), 2);
    }

    #[test]
    fn a_few_records_of_a_busy_partition_wait_for_its_batch() {
        let mut schedule = Schedule::new(4, 100);
        schedule.add(records(0, 0..1));
        let (batch, _) = next(&mut schedule).unwrap();
        schedule.add(records(0, 1..2));
        assert!(next(&mut schedule).is_none());
        schedule.finish(batch);
        assert_eq!(next(&mut schedule).map(|(_, places)| places), Some(vec![(0, 1)]));
    }

    #[test]
    fn partitions_are_served_in_turn() {
        let mut schedule = Schedule::new(1, 100);
        schedule.add(records(0, 0..2));
        schedule.add(records(1, 0..2));
        let mut order = Vec::new();
        while let Some((batch, places)) = next(&mut schedule) {
            order.extend(places);
            schedule.finish(batch);
        }
        assert_eq!(order, [(0, 0), (1, 0), (0, 1), (1, 1)]);
    }

    #[test]
    fn there_is_room_until_the_limit_is_reached() {
        let mut schedule = Schedule::new(2, 3);
        schedule.add(records(0, 0..3));
        assert_eq!(schedule.room(), 0);
        assert!(schedule.is_ample());
        let _running = next(&mut schedule).unwrap();
        assert_eq!(schedule.room(), 2);
        assert!(!schedule.is_ample() && !schedule.is_empty());
    }

    #[tokio::test]
    async fn the_batches_of_a_partition_are_committed_in_order() {
        let mut schedule = Schedule::new(1, 100);
        schedule.add(records(0, 0..2));
        let (first, mut second) = (schedule.next().unwrap(), schedule.next().unwrap());
        first.turn.end();
        assert!(second.turn.begin().await.is_ok());

        schedule.add(records(1, 0..2));
        let (first, mut second) = (schedule.next().unwrap(), schedule.next().unwrap());
        drop(first.turn);
        assert!(second.turn.begin().await.is_err());
    }
}
