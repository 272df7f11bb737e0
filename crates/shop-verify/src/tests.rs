//! An honest system in memory, and what is done to it: the checker has to say so.

mod faults;
mod pipeline;
mod random;
mod shopkeeper;

use std::collections::BTreeMap;

use aqueduct_verify::testing::{Collected, Inbox, Record};
use aqueduct_verify::{Cells, Finding, Stage};

use self::pipeline::Schemas;
use self::shopkeeper::Happening;
use crate::options::Options;
use crate::shop::Shop;

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
        let collected = Collected {
            events: self.happenings.iter().map(|happening| happening.event.clone()).collect(),
            records: self.records.clone(),
            partitions: PARTITIONS,
            schemas: Schemas::shipped().texts(),
            files: BTreeMap::new(),
            deleted: Vec::new(),
            exceptions: BTreeMap::new(),
            later: BTreeMap::new(),
            inbox: self.inbox.clone(),
            rows: self.rows.clone(),
        };
        let options = Options::new("", "", "", "", "made up".into()).check;
        let mut shop = Shop::from_csv(&self.csv);
        let options = aqueduct_verify::Options { shown: 10_000, ..options };
        let findings = collected.judge(&options, Some(&mut shop)).findings;
        assert_eq!(findings.total(), findings.kept().len() as u64);
        findings.into_kept()
    }

    /// What the checker says about one stage, as text.
    fn judge_stage(&self, stage: Stage) -> Vec<String> {
        self.judge().iter().filter(|it| it.stage == stage).map(ToString::to_string).collect()
    }
}
