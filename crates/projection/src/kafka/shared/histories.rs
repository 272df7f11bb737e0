//! Random histories of projections that share a consumer: each receives every record of its partitions once and in order.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use proptest::prelude::*;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

use super::member::{Handover, SharedMember};
use super::partitions::Reading;
use super::*;
use crate::inbox::ownership::{Claim, Ownership};
use crate::record::Record;
use crate::record::headers::Headers;

const PROJECTIONS: usize = 3;
const PARTITIONS: i32 = 2;

/// Records that Kafka has, by partition. Between two of them may be offsets of transaction markers.
type Log = BTreeMap<Partition, Vec<i64>>;

fn partition(number: i32) -> Partition {
    Partition { topic: "bank".into(), number }
}

/// The next record at or behind a place.
fn next_record(log: &Log, partition: &Partition, place: i64) -> Option<Record> {
    let offset = log[partition].iter().copied().find(|offset| *offset >= place)?;
    Some(Record {
        topic: Arc::clone(&partition.topic),
        partition: partition.number,
        offset,
        epoch: 0,
        key: None,
        payload: None,
        headers: Headers::default(),
    })
}

/// A projection: what its thread does with its own consumer, and what it has received.
struct Process {
    ownership: Arc<Ownership>,
    member: SharedMember,
    /// Its own consumer: where it reads, and what is paused.
    places: BTreeMap<Partition, i64>,
    paused: BTreeSet<Partition>,
    waiting: VecDeque<Record>,
    sender: mpsc::Sender<Record>,
    queue: mpsc::Receiver<Record>,
    /// Offsets by partition and epoch.
    received: BTreeMap<(Partition, i64), Vec<i64>>,
    /// The epoch of each partition, and where it began.
    claims: BTreeMap<(Partition, i64), i64>,
    epoch: i64,
}

impl Process {
    fn new(consumer: &SharedConsumer, room: usize) -> Self {
        let (sender, queue) = mpsc::channel(room);
        let ownership = Arc::new(Ownership::new("accounts"));
        let member = SharedMember::new(consumer.clone(), Arc::clone(&ownership), sender.clone());
        let (places, paused, waiting) = (BTreeMap::new(), BTreeSet::new(), VecDeque::new());
        let (received, claims) = (BTreeMap::new(), BTreeMap::new());
        Self { ownership, member, places, paused, waiting, sender, queue, received, claims, epoch: 0 }
    }

    /// Kafka revokes all partitions and assigns them again. Each begins at some record that was received.
    fn rebalance(&mut self, back: usize) {
        self.member.leave();
        self.ownership.clear();
        self.paused.clear();
        let before = self.epoch;
        self.epoch += 1;
        for number in 0..PARTITIONS {
            let partition = partition(number);
            let begun = self.claims.get(&(partition.clone(), before)).copied().unwrap_or_default();
            let received = self.received.get(&(partition.clone(), before));
            let place =
                received.and_then(|offsets| offsets.iter().rev().nth(back)).map_or(begun, |last| last + 1);
            let resume_at = (place > 0).then_some(place);
            self.ownership.own(&partition.topic, number, Claim { epoch: self.epoch, resume_at });
            self.claims.insert((partition.clone(), self.epoch), place);
            self.places.insert(partition, place);
        }
    }

    /// An iteration of the thread that polls, with up to `count` records.
    fn poll(&mut self, log: &Log, count: usize) {
        while let Some(record) = self.waiting.pop_front() {
            match self.sender.try_send(record) {
                Ok(()) => {}
                Err(TrySendError::Full(record)) => return self.waiting.push_front(record),
                Err(TrySendError::Closed(_)) => unreachable!("the queue is kept"),
            }
        }
        for handover in self.member.handovers() {
            match handover {
                Handover::ToShared(partition) => {
                    self.paused.insert(partition);
                }
                Handover::ToOwn(partition, place) => {
                    self.paused.remove(&partition);
                    self.places.insert(partition, place);
                }
            }
        }
        for (partition, place) in &mut self.places {
            for _ in 0..count {
                if self.paused.contains(partition) {
                    break;
                }
                let Some(record) = next_record(log, partition, *place) else { break };
                *place = record.offset + 1;
                if let Some((topic, epoch)) =
                    self.ownership.take(&record.topic, record.partition, record.offset)
                {
                    self.waiting.push_back(Record { topic, epoch, ..record });
                }
            }
        }
    }

    /// The statistics of its own consumer.
    fn observe(&self, log: &Log) {
        for (partition, place) in &self.places {
            if !self.member.follows(&partition.topic, partition.number) {
                let unread = log[partition].iter().filter(|offset| **offset >= *place).count();
                self.member.observe(&partition.topic, partition.number, unread as i64);
            }
        }
    }

    fn receive(&mut self, count: usize) {
        for _ in 0..count {
            let Ok(record) = self.queue.try_recv() else { break };
            self.received.entry((Partition::of(&record), record.epoch)).or_default().push(record.offset);
        }
    }

    /// Under each epoch it received all records from where it began, without a gap and without repeats.
    fn check(&self, log: &Log) {
        for ((partition, epoch), offsets) in &self.received {
            let begun = self.claims[&(partition.clone(), *epoch)];
            let expected = log[partition].iter().copied().filter(|offset| *offset >= begun);
            assert_eq!(
                *offsets,
                expected.take(offsets.len()).collect::<Vec<_>>(),
                "{partition:?}, epoch {epoch}"
            );
        }
    }
}

/// The thread of the shared consumer.
struct Reader {
    partitions: Arc<SharedPartitions>,
    reading: Option<Reading>,
    places: BTreeMap<Partition, i64>,
}

impl Reader {
    fn new(consumer: &SharedConsumer) -> Self {
        let partitions = Arc::clone(&consumer.0.partitions);
        let reading = partitions.begin_reading();
        Self { partitions, reading, places: BTreeMap::new() }
    }

    fn read(&mut self, log: &Log, count: usize) {
        self.observe();
        let change = self.partitions.assignment_change();
        self.places.extend(change.start);
        for stopped in change.stop {
            self.places.remove(&stopped);
        }
        for (partition, place) in &mut self.places {
            for _ in 0..count {
                let Some(record) = next_record(log, partition, *place) else { break };
                *place = record.offset + 1;
                self.partitions.hand_out(&record);
            }
        }
    }

    /// The statistics of its client.
    fn observe(&self) {
        for Partition { topic, number } in self.places.keys() {
            self.partitions.observe(topic, *number);
        }
    }

    /// It ends, and another one begins.
    fn fail(&mut self) {
        self.reading = None;
        self.places.clear();
        self.reading = self.partitions.begin_reading();
    }
}

#[derive(Debug, Clone)]
enum Step {
    Write { partition: i32, markers: i64 },
    Poll { projection: usize, count: usize },
    Observe { projection: usize },
    Receive { projection: usize, count: usize },
    Read { count: usize },
    Rebalance { projection: usize, back: usize },
    FailReader,
}

fn step() -> impl Strategy<Value = Step> {
    let projection = || 0..PROJECTIONS;
    prop_oneof![
        6 => (0..PARTITIONS, 0..2_i64).prop_map(|(partition, markers)| Step::Write { partition, markers }),
        8 => (projection(), 0..4_usize).prop_map(|(projection, count)| Step::Poll { projection, count }),
        4 => projection().prop_map(|projection| Step::Observe { projection }),
        6 => (projection(), 1..4_usize).prop_map(|(projection, count)| Step::Receive { projection, count }),
        8 => (0..4_usize).prop_map(|count| Step::Read { count }),
        1 => (projection(), 0..3_usize).prop_map(|(projection, back)| Step::Rebalance { projection, back }),
        1 => Just(Step::FailReader),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Guarantees 1 to 3: nothing is lost, nothing is duplicated, order holds.
    #[test]
    fn each_projection_receives_each_record_once_and_in_order(
        rooms in prop::array::uniform3(1..4_usize),
        steps in prop::collection::vec(step(), 1..250),
    ) {
        let consumer = SharedConsumer::new(Cluster::new("localhost:1"), "group".to_owned());
        let mut reader = Reader::new(&consumer);
        let mut log: Log = (0..PARTITIONS).map(|number| (partition(number), Vec::new())).collect();
        let mut processes = rooms.map(|room| Process::new(&consumer, room));
        for process in &mut processes {
            process.rebalance(0);
        }
        for step in steps {
            match step {
                Step::Write { partition: number, markers } => {
                    let offsets = log.get_mut(&partition(number)).unwrap();
                    offsets.push(offsets.last().map_or(0, |last| last + 1 + markers));
                }
                Step::Poll { projection, count } => processes[projection].poll(&log, count),
                Step::Observe { projection } => processes[projection].observe(&log),
                Step::Receive { projection, count } => processes[projection].receive(count),
                Step::Read { count } => reader.read(&log, count),
                Step::Rebalance { projection, back } => processes[projection].rebalance(back),
                Step::FailReader => reader.fail(),
            }
        }
        // Until nobody has anything left to do.
        for _ in 0..200 {
            reader.read(&log, 1);
            for process in &mut processes {
                process.poll(&log, 1);
                process.observe(&log);
                process.receive(10);
            }
        }
        for process in &processes {
            process.check(&log);
            for (partition, offsets) in &log {
                let begun = process.claims[&(partition.clone(), process.epoch)];
                let received = process.received.get(&(partition.clone(), process.epoch)).map_or(0, Vec::len);
                prop_assert_eq!(received, offsets.iter().filter(|offset| **offset >= begun).count());
                prop_assert!(process.member.follows(&partition.topic, partition.number));
            }
        }
    }
}
