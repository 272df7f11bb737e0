//! Judging what a test has made up: the comparison without the servers.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use aqueduct_core::{Position, RecordedEvent, Revision, StreamName};

pub use crate::inbox::{Inbox, InboxOffset, InboxStream, ParkedEvent};
pub use crate::lockstep::Record;
pub use crate::murmur2::partition;

use crate::check::CheckError;
use crate::finding::Findings;
use crate::inbox::{self, Expected, Offsets};
use crate::lockstep::{Lockstep, Sources};
use crate::options::Options;
use crate::payload::Schema;
use crate::system::System;
use crate::table::Cells;
use crate::topic::Topic;

/// What a run has left at each server.
#[derive(Debug, Clone, Default)]
pub struct Collected {
    /// `$all`, in the order in which it is read.
    pub events: Vec<RecordedEvent>,
    /// By topic, the committed records in the order of offsets within a partition.
    pub records: BTreeMap<String, Vec<Record>>,
    /// How many partitions each topic has.
    pub partitions: i32,
    /// Avro schemas by their id in the registry.
    pub schemas: BTreeMap<u32, String>,
    /// The dedup tables.
    pub inbox: Inbox,
    /// By read model, its rows.
    pub rows: BTreeMap<String, Vec<Cells>>,
}

/// What a comparison has found and counted.
#[derive(Debug)]
pub struct Judged {
    /// The differences.
    pub findings: Findings,
    /// Records whose payload was not compared.
    pub not_compared: u64,
    /// Records that carry a later version than the store.
    pub upcast: u64,
    /// Events that some topic selects.
    pub stored: u64,
    /// By projection, how many events it has applied.
    pub applied: BTreeMap<String, u64>,
}

impl Collected {
    /// Compares everything with everything. The end of a partition is the marker after its last record.
    ///
    /// # Panics
    /// If a schema can't be parsed or a read model has no rows here: the test is wrong.
    #[expect(clippy::expect_used, reason = "a test that made up the wrong thing must fail")]
    pub fn judge(&self, options: &Options, mut system: Option<&mut dyn System>) -> Judged {
        let mut findings = Findings::keeping(options.shown);
        let topic = |(name, selection): (&String, &_)| Topic {
            name: name.clone(),
            selection: Clone::clone(selection),
            partitions: self.partitions,
        };
        let topics: Vec<Topic> = options.topics.iter().map(topic).collect();
        let mut sources = Memory::new(self, &topics);
        let given = system.as_deref_mut().map(|system| system as &mut dyn System);
        let lockstep = Lockstep::new(&mut sources, given, (&topics, &options.source), &mut findings);
        let outcome = lockstep.run(|_| ()).expect("nothing is read from a server");
        if let Some(system) = &mut system {
            system.judge_store(&mut findings);
        }
        let mut last = Offsets::new();
        for (name, records) in &self.records {
            for record in records {
                let last = last.entry((name.clone(), record.partition)).or_insert(-1);
                *last = record.offset.max(*last);
            }
        }
        let ends = last.iter().map(|(partition, last)| (partition.clone(), last + 2)).collect();
        let (source, projections) = (options.source.as_str(), &options.projections);
        let streams = &outcome.streams;
        let expected = Expected { streams, source, topics: &topics, projections, last: &last };
        let (applied, all_ahead) = inbox::judge(expected, &self.inbox, &mut findings);
        inbox::judge_ends(projections, &ends, &self.inbox, &mut findings);
        for ahead in all_ahead {
            ahead.report(&mut findings);
        }
        for table in system.map_or_else(Vec::new, |system| system.tables()) {
            table.judge(self.rows.get(table.name).expect(table.name).clone(), &mut findings);
        }
        let (not_compared, upcast, stored) = (outcome.not_compared, outcome.upcast, outcome.stored);
        Judged { findings, not_compared, upcast, stored, applied }
    }
}

/// The servers of a test.
struct Memory<'a> {
    events: std::slice::Iter<'a, RecordedEvent>,
    by_place: HashMap<(StreamName, Revision), &'a RecordedEvent>,
    /// By topic and partition.
    records: HashMap<(usize, i32), VecDeque<Record>>,
    schemas: BTreeMap<u32, Arc<Schema>>,
    end: Option<Position>,
}

impl<'a> Memory<'a> {
    #[expect(clippy::expect_used, reason = "a test that made up the wrong thing must fail")]
    fn new(collected: &'a Collected, topics: &[Topic]) -> Self {
        let mut records: HashMap<_, VecDeque<_>> = HashMap::new();
        for (index, topic) in topics.iter().enumerate() {
            for record in collected.records.get(&topic.name).into_iter().flatten() {
                records.entry((index, record.partition)).or_default().push_back(record.clone());
            }
        }
        let parsed = |(id, text): (&u32, &String)| (*id, Arc::new(Schema::parse(text).expect("a schema")));
        Self {
            events: collected.events.iter(),
            by_place: collected.events.iter().map(|it| ((it.stream.clone(), it.revision), it)).collect(),
            records,
            schemas: collected.schemas.iter().map(parsed).collect(),
            end: collected.events.iter().map(|event| event.position).max(),
        }
    }
}

impl Sources for Memory<'_> {
    fn next_event(&mut self) -> Result<Option<RecordedEvent>, CheckError> {
        Ok(self.events.next().cloned())
    }

    fn find(
        &mut self,
        stream: &StreamName,
        revision: Revision,
        _position: Option<u64>,
    ) -> Result<Option<RecordedEvent>, CheckError> {
        Ok(self.by_place.get(&(stream.clone(), revision)).map(|event| (*event).clone()))
    }

    fn next_record(
        &mut self,
        topic: usize,
        partition: i32,
        _wait: bool,
    ) -> Result<Option<Record>, CheckError> {
        Ok(self.records.get_mut(&(topic, partition)).and_then(VecDeque::pop_front))
    }

    fn schema(&mut self, id: u32) -> Result<Result<Arc<Schema>, String>, CheckError> {
        Ok(self
            .schemas
            .get(&id)
            .cloned()
            .ok_or_else(|| format!("its schema id {id} is unknown to the registry")))
    }

    fn end(&self) -> Option<Position> {
        self.end
    }
}
