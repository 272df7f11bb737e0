//! From records to rows: projections against bare SQL.

use aqueduct::Configuration;
use aqueduct_core::StreamName;
use aqueduct_devstack::DevStack;
use aqueduct_projection::registry_decoder;

use super::against_sql::AgainstSql;
use super::comparison::{Comparison, Round, Side};
use super::prepared::Prepared;
use super::relayed::Surroundings;
use super::rounds::{Contest as _, interleaved};
use super::{history, revenue, stock};
use crate::Failure;
use crate::configuration::Demo;

/// Orders behind the stock: about 20,000 events of inventory.
const ORDERS_OF_STOCK: usize = 800;
/// With these both read models have at least ten stretches of 20 batches of 1,000.
const TIMES_OF_STOCK: usize = 10;
/// Orders behind the revenue, two events each.
const ORDERS_OF_REVENUE: usize = 10_000;
const TIMES_OF_REVENUE: usize = 11;

pub(super) async fn measure(
    rounds: usize,
    stack: &DevStack,
    surroundings: &Surroundings,
    configuration: &Configuration,
) -> Result<Vec<Comparison>, Failure> {
    let (input, schemas) = (&Demo::input(configuration)?, &surroundings.schemas);
    let options = surroundings.addresses.configure(configuration).projection_options()?;
    eprintln!("making the histories");
    let shop = history::of_shop(input, ORDERS_OF_STOCK, schemas).await?;
    // The same products receive and reserve more, but an order exists once.
    history::repeat(&shop, TIMES_OF_STOCK, |stream, _| stream.clone()).await?;
    let orders = history::of_orders(input, ORDERS_OF_REVENUE, schemas).await?;
    let another = |stream: &StreamName, time| {
        StreamName::of(stream.category(), &format!("{}-{time}", stream.id().unwrap_or_default()))
    };
    history::repeat(&orders, TIMES_OF_REVENUE, another).await?;
    let mut comparisons = Vec::new();
    for (model, history) in [(stock::read_model(), shop), (revenue::read_model(), orders)] {
        let batch_size = options.batch_size.max(1);
        let prepared = Prepared::make(surroundings, &model, history, batch_size).await?;
        let decoder = registry_decoder(&surroundings.registry)?;
        let mut contest =
            AgainstSql { stack, options: options.clone(), decoder, model, prepared, sides: None };
        let shown = interleaved(contest.model.name, rounds, &mut contest).await?;
        comparisons.push(comparison(&contest, batch_size, shown));
    }
    Ok(comparisons)
}

fn comparison(contest: &AgainstSql<'_>, batch_size: usize, rounds: Vec<Round>) -> Comparison {
    Comparison {
        name: contest.model.name,
        work: format!(
            "{} records that a relay made of the sample shop's events, in batches of {batch_size}, one transaction \
             each, into empty tables of a new database each round. The sides take turns, {} each in a round. Not \
             charged: Kafka, making the tables. The CPU time of Postgres includes its background processes.",
            contest.prepared.len(),
            contest.stretches(),
        ),
        product: Side {
            name: "projection",
            includes:
                "reads headers, decodes Avro, judges duplicates and gaps, checks the epoch, reads, folds and \
                       writes rows, moves the offsets"
                    .to_owned(),
        },
        baselines: vec![
            Side {
                name: "bare SQL",
                includes:
                    "three statements a batch: dedup by stream and revision, upsert of the same rows, which \
                           are computed beforehand, offsets"
                        .to_owned(),
            },
            Side {
                name: "bare SQL that decodes",
                includes: "the same statements; before them it decodes the same Avro payloads with \
                           `serde_avro_fast` into structs of only the needed fields and computes the rows"
                    .to_owned(),
            },
        ],
        rounds,
    }
}
