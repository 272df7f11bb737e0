//! From records to rows: projections against bare SQL.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use aqueduct::Configuration;
use aqueduct_core::{EventStore, MemoryStore, RecordedEvent};
use aqueduct_devstack::DevStack;
use aqueduct_projection::{Decoder, Headers, Options, PostgresOptions, Record, registry_decoder};
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;

use super::bare_sql::{self, Batch};
use super::history;
use super::read_models::{self, Column, ReadModel};
use super::relayed::{Surroundings, Written};
use super::report::{Comparison, Round, Side};
use super::rounds::{Contest, interleaved};
use super::stopwatch::Stopwatch;
use crate::Failure;
use crate::configuration::Demo;

/// Orders behind the stock: about 20,000 events of inventory.
const ORDERS_OF_STOCK: usize = 800;
/// Orders behind the revenue, two events each.
const ORDERS_OF_REVENUE: usize = 5000;

pub(super) async fn measure(
    rounds: usize,
    stack: &DevStack,
    surroundings: &Surroundings,
    configuration: &Configuration,
) -> Result<Vec<Comparison>, Failure> {
    let (input, schemas) = (&Demo::input(configuration)?, &surroundings.schemas);
    let shop = history::of_shop(input, ORDERS_OF_STOCK, schemas).await?;
    let orders = history::of_orders(input, ORDERS_OF_REVENUE, schemas).await?;
    let options = surroundings.addresses.configure(configuration).projection_options()?;
    let mut comparisons = Vec::new();
    for (model, history) in [(read_models::stock(), shop), (read_models::revenue(), orders)] {
        let mut contest = AgainstSql::new(stack, surroundings, options.clone(), model, history).await?;
        let shown = interleaved(contest.model.name, rounds, &mut contest).await?;
        comparisons.push(contest.comparison(shown));
    }
    Ok(comparisons)
}

struct AgainstSql<'a> {
    stack: &'a DevStack,
    options: Options,
    decoder: Arc<dyn Decoder>,
    model: ReadModel,
    /// As Kafka would deliver them, but for the epoch.
    records: Vec<Record>,
    /// The same for the bare side.
    batches: Vec<Batch>,
    /// A new one per round, with the tables of both sides.
    database: Option<Database>,
}

struct Database {
    url: String,
    pool: PgPool,
}

impl<'a> AgainstSql<'a> {
    /// Has a real relay make the records of a history.
    async fn new(
        stack: &'a DevStack,
        surroundings: &Surroundings,
        options: Options,
        mut model: ReadModel,
        history: MemoryStore,
    ) -> Result<Self, Failure> {
        eprintln!("{}: making records", model.name);
        let mut events = history::events(&history).await?;
        let (cluster, relay, route) =
            surroundings.new_route(&format!("bench-records-{}", model.category)).await?;
        let store = Stopwatch::new(Arc::new(history) as Arc<dyn EventStore>);
        surroundings.relay(cluster, relay, &store, events.len()).await?;
        let mut written = surroundings.written(&route, events.len()).await?;
        // One record for each event, both in the order of positions.
        let of_model: Vec<_> = events.iter().map(|event| event.stream.category() == model.category).collect();
        retain(&mut events, &of_model);
        retain(&mut written, &of_model);

        let records = records(written, model.topic);
        let mut batches = Vec::new();
        let size = options.batch_size.max(1);
        for (events, records) in events.chunks(size).zip(records.chunks(size)) {
            let events: Vec<_> = events.iter().collect();
            let rows = (model.rows)(&events, &surroundings.schemas)?;
            batches.push(batch(&events, records, rows));
        }
        let decoder = registry_decoder(&surroundings.registry)?;
        Ok(Self { stack, options, decoder, model, records, batches, database: None })
    }

    fn comparison(&self, rounds: Vec<Round>) -> Comparison {
        Comparison {
            name: self.model.name,
            unit: "events/s",
            work: format!(
                "{} records that a relay made of the sample shop's events, in batches of {}, one transaction each, \
                 into empty tables of a new database each round. Not charged: Kafka, making the tables.",
                self.records.len(),
                self.options.batch_size
            ),
            product: Side {
                name: "projection",
                includes:
                    "reads headers, decodes Avro, judges duplicates and gaps, checks the epoch, reads, folds \
                           and writes rows, moves the offsets"
                        .to_owned(),
            },
            bare: Side {
                name: "bare SQL",
                includes:
                    "three statements a batch: dedup by stream and revision, upsert of the same rows, which \
                           lie ready, offsets"
                        .to_owned(),
            },
            rounds,
        }
    }

    fn database(&self) -> Result<&Database, Failure> {
        Ok(self.database.as_ref().ok_or("the round has no database")?)
    }

    fn rate(&self, begun: Instant) -> f64 {
        self.records.len() as f64 / begun.elapsed().as_secs_f64()
    }
}

impl Contest for AgainstSql<'_> {
    async fn prepare(&mut self, round: usize) -> Result<(), Failure> {
        let name = format!("bench_{}_{round}", self.model.category);
        let url = self.stack.create_database(&name).await?;
        let connections = self.options.postgres.connections;
        let pool = PgPoolOptions::new().max_connections(connections).connect(&url).await?;
        aqueduct_projection::migrate(&pool).await?;
        aqueduct_shop::app().migrate(&pool).await?;
        bare_sql::create(&pool, &self.model).await?;
        self.database = Some(Database { url, pool });
        Ok(())
    }

    async fn product(&mut self, _: usize) -> Result<f64, Failure> {
        let postgres = PostgresOptions { url: self.database()?.url.clone(), ..self.options.postgres.clone() };
        let options = Options { postgres, ..self.options.clone() };
        let projection = (self.model.projection)(options, Arc::clone(&self.decoder));
        let batches = projection.batch_processor().await?;
        let mut records = self.records.clone();
        let mut epochs = BTreeMap::new();
        for record in &mut records {
            record.epoch = match epochs.get(&record.partition) {
                Some(epoch) => *epoch,
                None => {
                    let epoch = batches.claim(&record.topic, record.partition).await?.epoch;
                    epochs.insert(record.partition, epoch);
                    epoch
                }
            };
        }
        let mut waiting = Vec::new();
        while !records.is_empty() {
            let rest = records.split_off(records.len().min(self.options.batch_size.max(1)));
            waiting.push(std::mem::replace(&mut records, rest));
        }
        let begun = Instant::now();
        for batch in waiting {
            let expected = batch.len() as u64;
            let outcome = batches.apply(batch).await?.unwrap_or_default();
            if outcome.applied != expected {
                return Err(format!("of {expected} records were not all applied: {outcome:?}").into());
            }
        }
        Ok(self.rate(begun))
    }

    async fn bare(&mut self, _: usize) -> Result<f64, Failure> {
        let begun = Instant::now();
        bare_sql::run(&self.database()?.pool, &self.model, &self.batches).await?;
        Ok(self.rate(begun))
    }

    /// Only where both did the same work do the figures mean anything.
    async fn finish(&mut self) -> Result<(), Failure> {
        let Some(Database { pool, .. }) = self.database.take() else { return Ok(()) };
        let different: i64 = sqlx::query_scalar(self.model.differences).fetch_one(&pool).await?;
        pool.close().await;
        match different {
            0 => Ok(()),
            rows => Err(format!("{}: the two sides' tables differ in {rows} rows", self.model.name).into()),
        }
    }
}

fn retain<T>(all: &mut Vec<T>, wanted: &[bool]) {
    let mut wanted = wanted.iter();
    all.retain(|_| wanted.next().is_some_and(|wanted| *wanted));
}

/// The records as if they had been read from a topic that holds no others.
fn records(written: Vec<Written>, topic: &str) -> Vec<Record> {
    let topic: Arc<str> = topic.into();
    let mut next_offsets = BTreeMap::new();
    let record = |Written { partition, key, value, headers: raw, .. }| {
        let next: &mut i64 = next_offsets.entry(partition).or_default();
        let offset = *next;
        *next += 1;
        let mut headers = Headers::default();
        for (name, value) in raw.iter() {
            headers.push(name, Some(value));
        }
        Record {
            topic: Arc::clone(&topic),
            partition,
            offset,
            epoch: 0,
            key: Some(key),
            payload: Some(value),
            headers,
        }
    };
    written.into_iter().map(record).collect()
}

fn batch(events: &[&RecordedEvent], records: &[Record], rows: Vec<Column>) -> Batch {
    let next: BTreeMap<_, _> = records.iter().map(|record| (record.partition, record.offset + 1)).collect();
    Batch {
        streams: events.iter().map(|event| event.stream.to_string()).collect(),
        revisions: events.iter().map(|event| event.revision.cast_signed()).collect(),
        partitions: next.keys().copied().collect(),
        next_offsets: next.values().copied().collect(),
        rows,
    }
}
