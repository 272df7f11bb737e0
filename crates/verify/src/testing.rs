//! Judging what a test has made up: the comparison without the servers.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use aqueduct_core::{Position, RecordedEvent, Revision, StreamName};

pub use crate::inbox::{Inbox, InboxOffset, InboxStream, ParkedEvent};
pub use crate::lockstep::Record;
pub use crate::murmur2::partition;

use crate::check::CheckError;
use crate::finding::Findings;
use crate::inbox::{self, Expected, Offsets};
use crate::json::Json;
use crate::lockstep::{self, Beginning, Knowledge, Lockstep, Outcome, Sources};
use crate::options::Options;
use crate::payload::{Files, Schema, difference};
use crate::route::Route;
use crate::system::System;
use crate::table::Cells;
use crate::topic::Topic;

/// What a run has left at each server.
#[derive(Debug, Clone, Default)]
pub struct Collected {
    /// `$all`, in the order in which it is read.
    pub events: Vec<RecordedEvent>,
    /// Streams that were there and of which nothing can be read.
    pub deleted: Vec<StreamName>,
    /// By topic, the committed records in the order of offsets within a partition.
    pub records: BTreeMap<String, Vec<Record>>,
    /// By topic, the records of its exceptions; none where it has no topic of exceptions.
    pub exceptions: BTreeMap<String, Vec<Record>>,
    /// By topic, what is in both only when the check comes to its end. Records without exceptions were written after
    /// the exceptions were read.
    pub later: BTreeMap<String, Later>,
    /// How many partitions each topic has.
    pub partitions: i32,
    /// Avro schemas by their id in the registry.
    pub schemas: BTreeMap<u32, String>,
    /// By event, the texts of its schema files; empty where the check has none.
    pub files: BTreeMap<String, Vec<String>>,
    /// The dedup tables.
    pub inbox: Inbox,
    /// By read model, its rows.
    pub rows: BTreeMap<String, Vec<Cells>>,
}

/// What a system that runs writes while it is checked.
#[derive(Debug, Clone, Default)]
pub struct Later {
    /// Records of the topic.
    pub records: Vec<Record>,
    /// Records of its exceptions.
    pub exceptions: Vec<Record>,
}

/// What a comparison has found and counted.
#[derive(Debug)]
pub struct Judged {
    /// The differences.
    pub findings: Findings,
    /// Records whose payload was not compared.
    pub not_compared: u64,
    /// Records and exceptions of events that the store no longer has.
    pub gone: u64,
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
    /// If a schema cannot be parsed or a read model has no rows here: the test is wrong.
    #[expect(clippy::expect_used, reason = "a test that made up the wrong thing must fail")]
    pub fn judge(&self, options: &Options, mut system: Option<&mut dyn System>) -> Judged {
        let mut findings = Findings::keeping(options.shown);
        let topics = options.topics.iter();
        let topics: Vec<Topic> =
            topics.map(|(name, route)| Topic::new(options, name, route, self.partitions)).collect();
        let files = Files::of_texts(self.files.clone()).expect("schema files");
        let files = Some(&files).filter(|_| !self.files.is_empty());
        let mut sources = Memory::new(self, &topics);
        let given = system.as_deref_mut().map(|system| system as &mut dyn System);
        let knowledge = Knowledge {
            system: given,
            files,
            source: &options.source,
            max_record_bytes: options.max_record_bytes,
        };
        let lockstep = Lockstep::new(&mut sources, knowledge, &topics, &mut findings);
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
        let Outcome { not_compared, gone, upcast, stored, .. } = outcome;
        Judged { findings, not_compared, gone, upcast, stored, applied }
    }
}

/// The servers of a test.
struct Memory<'a> {
    events: std::slice::Iter<'a, RecordedEvent>,
    deleted: &'a [StreamName],
    by_place: HashMap<(StreamName, Revision), &'a RecordedEvent>,
    /// By topic and partition.
    records: HashMap<(usize, i32), VecDeque<Record>>,
    /// By topic that has any.
    exceptions: BTreeMap<usize, VecDeque<Record>>,
    /// Until the ends are moved.
    later: Vec<(usize, Later)>,
    /// Topic, partition and offset of what was written after the exceptions were read.
    recent: BTreeSet<(usize, i32, i64)>,
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
            deleted: &collected.deleted,
            by_place: collected.events.iter().map(|it| ((it.stream.clone(), it.revision), it)).collect(),
            records,
            exceptions: topics
                .iter()
                .enumerate()
                .filter_map(|(index, topic)| {
                    Some((index, collected.exceptions.get(&topic.name)?.clone().into()))
                })
                .collect(),
            later: topics
                .iter()
                .enumerate()
                .filter_map(|(index, topic)| Some((index, collected.later.get(&topic.name)?.clone())))
                .collect(),
            recent: BTreeSet::new(),
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

    fn beginning(&mut self, stream: &StreamName) -> Result<Beginning, CheckError> {
        let of_stream = self.by_place.keys().filter(|(name, _)| name == stream);
        Ok(match of_stream.map(|(_, revision)| *revision).min() {
            Some(first) => Beginning::At(first),
            None if self.deleted.contains(stream) => Beginning::Gone,
            None => Beginning::Never,
        })
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

    fn has_exceptions(&self, topic: usize) -> bool {
        self.exceptions.contains_key(&topic)
    }

    fn next_exception(&mut self, topic: usize) -> Result<Option<Record>, CheckError> {
        Ok(self.exceptions.get_mut(&topic).and_then(VecDeque::pop_front))
    }

    fn is_recent(&self, topic: usize, record: &Record) -> bool {
        self.recent.contains(&(topic, record.partition, record.offset))
    }

    fn advance(&mut self) -> Result<(), CheckError> {
        for (topic, later) in self.later.drain(..) {
            let is_recent = later.exceptions.is_empty();
            self.exceptions.entry(topic).or_default().extend(later.exceptions);
            for record in later.records {
                if is_recent {
                    self.recent.insert((topic, record.partition, record.offset));
                }
                self.records.entry((topic, record.partition)).or_default().push_back(record);
            }
        }
        Ok(())
    }

    fn end(&self) -> Option<Position> {
        self.end
    }
}

/// What the checker reads of an event by a route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapped {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: Option<u32>,
    /// When it happened.
    pub time: Option<jiff::Timestamp>,
    /// Correlation id, causation id and trace context.
    pub ids: [Option<String>; 3],
}

/// Reads an event as a check of the route would. `Err` holds the codes of what is wrong with it.
pub fn mapped(options: &Options, route: &Route, event: &RecordedEvent) -> Result<Mapped, Vec<&'static str>> {
    let topic = Topic::new(options, "topic", route, 1);
    match lockstep::mapped(event, &topic) {
        Ok((name, version, metadata)) => {
            let ids = [metadata.correlation_id, metadata.causation_id, metadata.traceparent];
            Ok(Mapped { name, version, time: metadata.time, ids })
        }
        Err(codes) => Err(codes),
    }
}

/// Whether data fits a schema, and whether a record's bytes say the same. `Err` says what differs.
pub fn payload(schema: &str, data: &[u8], avro: &[u8]) -> Result<(), String> {
    let schema = Schema::parse(schema).map_err(|error| error.to_string())?;
    let json = Json::parse(data).ok_or("the data is not JSON")?;
    if let Some(fault) = json.fault() {
        return Err(format!("the data {fault}"));
    }
    let expected = schema.expect(&json).map_err(|misfit| format!("the data does not fit{misfit}"))?;
    difference(&expected, &schema.decode(avro)?).map_or(Ok(()), Err)
}
