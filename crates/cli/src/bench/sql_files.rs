//! From records to rows: projections that are SQL files against the same views in Rust.

use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::path::Path;
use std::sync::Arc;

use aqueduct::Configuration;
use aqueduct_devstack::DevStack;
use aqueduct_projection::{
    BatchProcessor, Decoder, Options, PostgresOptions, Projection, Record, SqlProjection, registry_decoder,
};
use aqueduct_schema::TopicSchemas;
use aqueduct_shop::inventory::Stock;
use aqueduct_shop::orders::Orders;
use aqueduct_shop::topics;
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;

use super::against_sql::{apply, batches_of, claim, stretches};
use super::comparison::{Comparison, Round, Side};
use super::cpu;
use super::history;
use super::measured::{Measured, Moment};
use super::prepared::{batches, relayed};
use super::relayed::{Surroundings, Written};
use super::rounds::{Contest, interleaved};
use crate::Failure;
use crate::configuration::Demo;

/// Orders behind the stock: about 20,000 events of inventory.
const ORDERS_OF_STOCK: usize = 800;
/// Orders of the first view, two events each.
const ORDERS: usize = 10_000;

type File = (&'static str, &'static str);

macro_rules! files {
    ($directory:literal: $($file:literal),+ $(,)?) => {
        &[$(($file, include_str!(concat!("../../../shop/projections/", $directory, "/", $file)))),+]
    };
}

const ORDERS_FILES: &[File] = files!("orders": "projection.toml", "OrderCreated.sql", "OrderConfirmed.sql",
    "OrderRejected.sql", "OrderCancelled.sql", "migrations/0001_orders.sql");
const STOCK_FILES: &[File] = files!("stock": "projection.toml", "StockReceived.sql", "StockReserved.sql",
    "StockRefused.sql", "StockReturned.sql", "StockCorrected.sql", "migrations/0001_stock.sql");

/// A view in both forms.
struct Forms {
    name: &'static str,
    in_rust: fn(Options, Arc<dyn Decoder>) -> Projection,
    files: &'static [File],
    /// Counts the rows in which the tables differ.
    differences: &'static str,
}

const ORDERS_FORMS: Forms = Forms {
    name: "sql orders",
    in_rust: Projection::view::<Orders>,
    files: ORDERS_FILES,
    differences: "select count(*) from (
        select order_id, customer_id, state, total, confirmed, revision, position from shop.orders except
        select order_id, customer_id, state, total, confirmed, revision, position from shop_sql.orders) as different",
};
const STOCK_FORMS: Forms = Forms {
    name: "sql stock",
    in_rust: Projection::view::<Stock>,
    files: STOCK_FILES,
    differences: "select count(*) from (
        select sku, received, reserved, refused, on_hand, revision from shop.stock except
        select sku, received, reserved, refused, on_hand, revision from shop_sql.stock) as different",
};

pub(super) async fn measure(
    rounds: usize,
    stack: &DevStack,
    surroundings: &Surroundings,
    configuration: &Configuration,
) -> Result<Vec<Comparison>, Failure> {
    let (input, schemas) = (&Demo::input(configuration)?, &surroundings.schemas);
    let options = surroundings.addresses.configure(configuration).projection_options()?;
    let size = options.batch_size.max(1);
    eprintln!("making the histories");
    let orders = history::of_orders(input, ORDERS, schemas).await?;
    let (_, orders) = relayed(surroundings, "sql-orders", "order", orders).await?;
    let shop = history::of_shop(input, ORDERS_OF_STOCK, schemas).await?;
    let (_, stock) = relayed(surroundings, "sql-stock", "inventory", shop).await?;
    let busiest = busiest(&stock);
    let one_stream = Forms { name: "sql stock, one stream", ..STOCK_FORMS };
    let mut comparisons = Vec::new();
    for (forms, topic, written) in [
        (ORDERS_FORMS, topics::ORDERS, orders),
        (STOCK_FORMS, topics::INVENTORY, stock),
        (one_stream, topics::INVENTORY, busiest),
    ] {
        let decoder = registry_decoder(&surroundings.registry)?;
        let directory = tempfile::tempdir()?;
        write(directory.path(), forms.files)?;
        let batches = batches(written, topic, size);
        let (records, options) = (batches.iter().map(Vec::len).sum(), options.clone());
        let schemas = TopicSchemas { files: Some(Arc::clone(schemas)), ..TopicSchemas::default() };
        let mut contest =
            SqlFiles { stack, options, decoder, schemas, directory, forms, batches, sides: None };
        let shown = interleaved(contest.forms.name, rounds, &mut contest).await?;
        comparisons.push(comparison(contest.forms.name, records, size, shown));
    }
    Ok(comparisons)
}

fn write(directory: &Path, files: &[File]) -> Result<(), std::io::Error> {
    fs::create_dir(directory.join("migrations"))?;
    files.iter().try_for_each(|(name, text)| fs::write(directory.join(name), text))
}

/// The records of the stream that has most.
fn busiest(written: &[Written]) -> Vec<Written> {
    let mut streams: BTreeMap<_, Vec<&Written>> = BTreeMap::new();
    for record in written {
        streams.entry(&record.key).or_default().push(record);
    }
    let busiest = streams.into_values().max_by_key(Vec::len).unwrap_or_default();
    busiest.into_iter().cloned().collect()
}

fn comparison(name: &'static str, records: usize, batch_size: usize, rounds: Vec<Round>) -> Comparison {
    Comparison {
        name,
        work: format!(
            "{records} records that a relay made of the sample shop's events, in batches of at most {batch_size}, one \
             transaction each, into empty tables of a new database each round. Not charged: Kafka, making the tables."
        ),
        product: Side {
            name: "SQL files",
            includes: "everything that a projection does: Avro as JSON, the inbox, the statements of the shop's SQL files \
                       for each step, the offsets"
                .to_owned(),
        },
        baselines: vec![Side {
            name: "view in Rust",
            includes: "the same for the same view, which is folded in Rust".to_owned(),
        }],
        rounds,
    }
}

struct SqlFiles<'a> {
    stack: &'a DevStack,
    options: Options,
    decoder: Arc<dyn Decoder>,
    schemas: TopicSchemas,
    directory: tempfile::TempDir,
    forms: Forms,
    batches: Vec<Vec<Record>>,
    /// Of the running round.
    sides: Option<Sides>,
}

#[derive(Debug, Clone, Copy)]
enum Form {
    Sql,
    Rust,
}

struct Sides {
    pool: PgPool,
    sql: Running,
    rust: Running,
}

/// A projection with the batches that are still to come.
struct Running {
    projection: BatchProcessor,
    waiting: VecDeque<Vec<Record>>,
}

impl Running {
    async fn start(projection: Projection, batches: &[Vec<Record>]) -> Result<Self, Failure> {
        let projection = projection.batch_processor().await?;
        let mut waiting: VecDeque<_> = batches.iter().cloned().collect();
        claim(&projection, waiting.iter_mut().flatten()).await?;
        Ok(Self { projection, waiting })
    }
}

impl Contest for SqlFiles<'_> {
    type Side = Form;
    const SIDES: &'static [Form] = &[Form::Sql, Form::Rust];

    fn stretches(&self) -> usize {
        stretches(self.batches.len())
    }

    async fn prepare(&mut self, round: usize) -> Result<(), Failure> {
        let name = format!("bench_{}_{round}", self.forms.name.replace([' ', ','], "_"));
        let url = self.stack.create_database(&name).await?;
        let pool = PgPoolOptions::new().max_connections(1).connect(&url).await?;
        aqueduct_projection::migrate(&pool).await?;
        aqueduct_shop::app().migrate(&pool).await?;
        let files = SqlProjection::load(self.directory.path())?;
        files.migrate(&pool).await?;
        let postgres = PostgresOptions { url, ..self.options.postgres.clone() };
        let options = Options { postgres, ..self.options.clone() };
        let decoder = || Arc::clone(&self.decoder);
        let sql = Projection::sql(options.clone(), decoder(), files, self.schemas.clone());
        let rust = (self.forms.in_rust)(options, decoder());
        let sql = Running::start(sql, &self.batches).await?;
        self.sides = Some(Sides { pool, sql, rust: Running::start(rust, &self.batches).await? });
        Ok(())
    }

    async fn run(&mut self, form: Form, _: usize, stretch: usize) -> Result<Measured, Failure> {
        let batches = batches_of(stretch, self.stretches(), self.batches.len());
        let events = self.batches[batches.clone()].iter().map(Vec::len).sum();
        let postgres = self.stack.postgres()?.pid().await;
        let before = postgres.and_then(cpu::of_server);
        let Sides { sql, rust, .. } = self.sides.as_mut().ok_or("the round has no database")?;
        let Running { projection, waiting } = match form {
            Form::Sql => sql,
            Form::Rust => rust,
        };
        let begin = Moment::now();
        apply(projection, waiting.drain(..batches.len())).await?;
        let end = Moment::now();
        Ok(Measured::between(begin, end, events).with_server(before, postgres.and_then(cpu::of_server)))
    }

    /// Only if both did the same work do the figures mean anything.
    async fn finish(&mut self) -> Result<(), Failure> {
        let Some(Sides { pool, .. }) = self.sides.take() else { return Ok(()) };
        let rows: i64 = sqlx::query_scalar(self.forms.differences).fetch_one(&pool).await?;
        pool.close().await;
        if rows > 0 {
            return Err(format!("{}: the tables differ in {rows} rows", self.forms.name).into());
        }
        Ok(())
    }
}
