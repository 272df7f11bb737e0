//! A test of a consumer.

use std::ffi::OsString;
use std::path::PathBuf;

use fastrand::Rng;
use futures::stream::{self, StreamExt as _};

use crate::cuts::Cuts;
use crate::definition::Definition;
use crate::error::Error;
use crate::events::encode;
use crate::history;
use crate::oracle::Oracle;
use crate::properties::{Material, judge};
use crate::property::Property;
use crate::report::{NOT_TESTED, PropertyReport, Report};
use crate::servers::Servers;
use crate::trial::Setup;

/// Trials that run at the same time. They mostly wait.
const TRIALS: usize = 3;

/// What to test.
#[derive(Debug)]
pub struct Options {
    /// The file that describes the consumer.
    pub definition: PathBuf,
    /// Its command line.
    pub program: Vec<OsString>,
    /// Chooses the damaged streams and the order of events.
    pub seed: u64,
    /// What is tested; empty: everything.
    pub properties: Vec<Property>,
}

/// Tests a consumer. `finished` is called with each property, in their order, as soon as it is tested.
///
/// # Errors
/// The kit cannot do its work: a file is wrong, a server does not start, or two undisturbed runs of the consumer differ.
pub async fn test(options: &Options, finished: &(dyn Fn(&PropertyReport) + Sync)) -> Result<Report, Error> {
    let definition = Definition::read(&options.definition)?;
    let events = history::read(&definition.history, &definition.topics)?;
    let servers = Servers::start(&definition).await?;
    let setup =
        Setup { definition: &definition, program: &options.program, servers: &servers, events: &events };
    let tested = all_properties(setup, options, finished).await;
    servers.stack.shutdown().await;
    let line: Vec<_> = options.program.iter().map(|part| part.to_string_lossy()).collect();
    Ok(Report {
        program: line.join(" "),
        seed: options.seed,
        events: events.len(),
        tables: definition.tables.iter().map(ToString::to_string).collect(),
        excluded_columns: definition.excluded_columns,
        not_tested: NOT_TESTED,
        properties: tested?,
    })
}

async fn all_properties(
    setup: Setup<'_>,
    options: &Options,
    finished: &(dyn Fn(&PropertyReport) + Sync),
) -> Result<Vec<PropertyReport>, Error> {
    let Setup { definition, servers, events, .. } = setup;
    let records = encode(events, &definition.topics, &servers.schemas, &servers.registry).await?;
    let mut random = Rng::with_seed(options.seed);
    let cuts = Cuts::choose(&records, &mut random);
    let oracle = Oracle::ask(setup, &records, &cuts, &mut random).await?;
    let material = Material { setup, records: &records, cuts: &cuts, oracle: &oracle, seed: options.seed };
    let properties = match &options.properties[..] {
        [] => Property::all(),
        chosen => chosen,
    };
    let (alone, together): (Vec<Property>, Vec<Property>) =
        properties.iter().partition(|property| property.is_tested_alone());
    let mut reports = Vec::new();
    for (properties, at_once) in [(together, TRIALS), (alone, 1)] {
        let trials = stream::iter(properties).map(|property| judge(property, material));
        let mut tested = trials.buffered(at_once);
        while let Some(report) = tested.next().await {
            finished(&report);
            reports.push(report);
        }
    }
    Ok(reports)
}
