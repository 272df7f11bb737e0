//! An honest system in memory, and what is done to it: the checker has to say so.

mod faults;
mod pipeline;
mod random;
mod shopkeeper;

use std::collections::BTreeMap;

use crate::finding::{Finding, Findings, Kind, Stage};
use crate::inbox::{self, Ends, Inbox, PartitionEnd};
use crate::log::Log;
use crate::options::{default_projections, default_topics};
use crate::system::System;
use crate::table::Cells;
use crate::topics::{Record, Topic, TopicJudge, schema_id};

use self::pipeline::Schemas;
use self::shopkeeper::Happening;
use super::Shop;

const PARTITIONS: i32 = 4;
const SOURCE: &str = "aqueduct/eventstore";

/// All that a run leaves behind.
#[derive(Clone)]
struct World {
    /// The input.
    csv: String,
    /// The store.
    happenings: Vec<Happening>,
    /// By topic, in the order in which a consumer meets them.
    records: BTreeMap<String, Vec<Record>>,
    inbox: Inbox,
    /// The rows of the read models, by table.
    rows: BTreeMap<String, Vec<Cells>>,
}

impl World {
    /// What an honest system makes of the input; `seed` decides how its parts race.
    fn honest(csv: &str, seed: u64) -> Self {
        let happenings = shopkeeper::run(csv, seed);
        let records = pipeline::relay(&happenings);
        let (inbox, rows) = (pipeline::inbox(&happenings, &records), pipeline::views(csv, &happenings));
        Self { csv: csv.to_owned(), happenings, records, inbox, rows }
    }

    /// What the checker says.
    fn judge(&self) -> Vec<Finding> {
        let mut findings = Findings::keeping(10_000);
        let mut shop = Shop::from_csv(&self.csv);
        let mut log = Log::default();
        let topics = default_topics();
        for happening in &self.happenings {
            log.push(happening.event.clone(), |category| topics.values().flatten().any(|it| it == category));
        }
        log.judge(&mut findings);
        shop.judge_store(&log, &mut findings);

        let schemas = Schemas::shipped();
        let (mut read, mut ends) = (Vec::new(), Ends::new());
        for (name, categories) in topics {
            let topic = Topic { name: name.clone(), categories, partitions: PARTITIONS };
            let mut judge = TopicJudge::new(&log, &shop, &topic, SOURCE);
            for record in &self.records[&name] {
                judge.see(record, schemas.by_id(schema_id(record)), &mut findings);
                let end = PartitionEnd { last: record.offset, next: record.offset + 2 };
                ends.insert((name.clone(), record.partition), end);
            }
            judge.finish(&mut findings);
            read.push(topic);
        }
        inbox::judge(&log, &read, &default_projections(), &ends, &self.inbox, &mut findings);
        for table in shop.tables(&log) {
            table.judge(self.rows[table.name].clone(), &mut findings);
        }
        let kinds = [Kind::Missing, Kind::Duplicate, Kind::OutOfOrder, Kind::Mismatch, Kind::Parked];
        assert_eq!(kinds.map(|kind| findings.count(kind)).iter().sum::<u64>(), findings.kept().len() as u64);
        findings.into_kept()
    }

    /// What the checker says about one stage, as text.
    fn judge_stage(&self, stage: Stage) -> Vec<String> {
        self.judge().iter().filter(|it| it.stage == stage).map(ToString::to_string).collect()
    }
}
