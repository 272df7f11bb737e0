//! A test of a consumer.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;

use aqueduct_schema::SchemaSet;
use fastrand::Rng;
use futures::stream::{self, StreamExt as _};

use crate::cuts::Cuts;
use crate::databases::Databases;
use crate::definition::Definition;
use crate::error::Error;
use crate::events::encode;
use crate::generated::generate;
use crate::history::{self, Event};
use crate::oracle::Oracle;
use crate::properties::{Material, judge};
use crate::property::Property;
use crate::report::{NOT_TESTED, PropertyReport, Report};
use crate::servers::Servers;
use crate::trial::Setup;

/// What to test.
#[derive(Debug)]
pub struct Options {
    /// The file that describes the consumer.
    pub definition: PathBuf,
    /// Its command line.
    pub program: Vec<OsString>,
    /// Chooses the damaged streams, the order of events, and a generated history.
    pub seed: u64,
    /// What is tested; empty: everything.
    pub properties: Vec<Property>,
}

/// Tests a consumer on servers of its own. `finished` is called with each property, in their order, as soon as it is tested.
///
/// # Errors
/// The kit cannot do its work: a file is wrong, a server does not start, or two undisturbed runs of the consumer differ.
pub async fn test(options: &Options, finished: &(dyn Fn(&PropertyReport) + Sync)) -> Result<Report, Error> {
    let input = Input::read(options)?;
    let servers = Servers::start().await?;
    let tested = input.test(options, &servers, finished).await;
    servers.shutdown().await;
    tested
}

/// The same on servers that other tests may use, too.
///
/// # Errors
/// See [`test()`].
pub async fn test_on(
    servers: &Servers,
    options: &Options,
    finished: &(dyn Fn(&PropertyReport) + Sync),
) -> Result<Report, Error> {
    Input::read(options)?.test(options, servers, finished).await
}

/// What is read before servers are needed.
struct Input {
    definition: Definition,
    schemas: Arc<SchemaSet>,
    events: Vec<Event>,
}

impl Input {
    fn read(options: &Options) -> Result<Self, Error> {
        let definition = Definition::read(&options.definition)?;
        let schemas = Arc::new(SchemaSet::load(&definition.schemas)?);
        let topics = &definition.topics;
        let events = match &definition.history {
            Some(history) => history::read(history, topics)?,
            None => {
                generate(&definition.generated, topics, &schemas, options.seed).map_err(Error::Generated)?
            }
        };
        Ok(Self { definition, schemas, events })
    }

    async fn test(
        self,
        options: &Options,
        servers: &Servers,
        finished: &(dyn Fn(&PropertyReport) + Sync),
    ) -> Result<Report, Error> {
        let Self { definition, schemas, events } = &self;
        let test = servers.name_test();
        let template = format!("{test}_template");
        let databases = Databases::prepare(&servers.stack, definition, &servers.password, template).await?;
        let program = &options.program;
        let (databases, test) = (&databases, test.as_str());
        let setup = Setup { definition, program, servers, databases, schemas, events, test };
        let properties = all_properties(setup, options, finished).await?;
        let line: Vec<_> = program.iter().map(|part| part.to_string_lossy()).collect();
        Ok(Report {
            program: line.join(" "),
            seed: options.seed,
            events: events.len(),
            tables: definition.tables.iter().map(ToString::to_string).collect(),
            excluded_columns: definition.excluded_columns.clone(),
            not_tested: NOT_TESTED,
            properties,
        })
    }
}

async fn all_properties(
    setup: Setup<'_>,
    options: &Options,
    finished: &(dyn Fn(&PropertyReport) + Sync),
) -> Result<Vec<PropertyReport>, Error> {
    let Setup { definition, servers, schemas, events, .. } = setup;
    let records = encode(events, &definition.topics, schemas, &servers.registry).await?;
    let mut random = Rng::with_seed(options.seed);
    let cuts = Cuts::choose(&records, &mut random);
    let properties = match &options.properties[..] {
        [] => Property::all(),
        chosen => chosen,
    };
    let oracle = Oracle::ask(setup, &records, &cuts, &mut random, properties).await?;
    let material =
        Material { setup, records: &records, cuts: &cuts, oracle: &oracle, seed: options.seed, attempt: 0 };
    // How many run at the same time is for the servers to say.
    let trials = stream::iter(properties).map(|property| judge(*property, material));
    let mut tested = trials.buffered(properties.len());
    let mut reports = Vec::new();
    while let Some(report) = tested.next().await {
        finished(&report);
        reports.push(report);
    }
    Ok(reports)
}
