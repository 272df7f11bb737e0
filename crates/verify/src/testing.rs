//! Judging what a test has made up: the comparison without the servers.

use std::collections::BTreeMap;

use aqueduct_core::RecordedEvent;

pub use crate::inbox::{Inbox, InboxOffset, InboxStream, ParkedEvent};
pub use crate::murmur2::partition;
pub use crate::topics::Record;

use crate::finding::Findings;
use crate::inbox::{self, Ends, PartitionEnd};
use crate::log::Log;
use crate::options::Options;
use crate::payload::Schema;
use crate::system::System;
use crate::table::Cells;
use crate::topics::{Topic, TopicJudge, schema_id};

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

impl Collected {
    /// Compares everything with everything. The end of a partition is the marker after its last record.
    ///
    /// # Panics
    /// If a schema can't be parsed or a read model has no rows here: the test is wrong.
    #[expect(clippy::expect_used, reason = "a test that made up the wrong thing must fail")]
    pub fn judge(&self, options: &Options, mut system: impl System) -> Findings {
        let mut findings = Findings::keeping(options.shown);
        let mut log = Log::default();
        for event in &self.events {
            log.push(event.clone(), |category| options.topics.values().flatten().any(|it| it == category));
        }
        log.judge(&mut findings);
        system.judge_store(&log, &mut findings);

        let schemas: BTreeMap<_, _> =
            self.schemas.iter().map(|(id, text)| (*id, Schema::parse(text).expect("a schema"))).collect();
        let by_id = |id: Option<u32>| match id {
            Some(id) => schemas.get(&id).ok_or("its schema id is unknown to the registry"),
            None => Err("its value is not in the wire format (0, schema id, Avro)"),
        };
        let (mut read, mut ends) = (Vec::new(), Ends::new());
        for (name, categories) in &options.topics {
            let topic =
                Topic { name: name.clone(), categories: categories.clone(), partitions: self.partitions };
            let mut judge = TopicJudge::new(&log, &system, &topic, &options.source);
            for record in self.records.get(name).into_iter().flatten() {
                judge.see(record, by_id(schema_id(record)), &mut findings);
                let end = PartitionEnd { last: record.offset, next: record.offset + 2 };
                ends.insert((name.clone(), record.partition), end);
            }
            judge.finish(&mut findings);
            read.push(topic);
        }
        inbox::judge(&log, &read, &options.projections, &ends, &self.inbox, &mut findings);
        for table in system.tables(&log) {
            table.judge(self.rows.get(table.name).expect(table.name).clone(), &mut findings);
        }
        findings
    }
}
