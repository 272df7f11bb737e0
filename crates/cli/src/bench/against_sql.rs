//! A projection and bare SQL in turn, in one database.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::sync::Arc;

use aqueduct_devstack::DevStack;
use aqueduct_projection::{BatchProcessor, Decoder, Options, PostgresOptions, Record};
use sqlx::postgres::PgPoolOptions;

use super::bare_sql::BareSql;
use super::cpu;
use super::measured::{Measured, Moment};
use super::prepared::Prepared;
use super::read_models::{Fold, ReadModel};
use super::rounds::Contest;
use crate::Failure;

/// The kernel counts Postgres's CPU time in hundredths of a second, so a stretch must be much longer than that.
const LEAST_BATCHES: usize = 20;
const MOST_STRETCHES: usize = 10;

pub(super) struct AgainstSql<'a> {
    pub(super) stack: &'a DevStack,
    pub(super) options: Options,
    pub(super) decoder: Arc<dyn Decoder>,
    pub(super) model: ReadModel,
    pub(super) prepared: Prepared,
    /// Of the running round.
    pub(super) sides: Option<Sides>,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Runner {
    Projection,
    /// Bare SQL with rows that are ready.
    BareSql,
    /// Bare SQL that decodes the payloads.
    Decoding,
}

/// The sides of a round, each with its own tables in the same database.
pub(super) struct Sides {
    projection: BatchProcessor,
    /// The projection's batches that are still to come.
    waiting: VecDeque<Vec<Record>>,
    bare_sql: BareSql,
    decoding: BareSql,
    fold: Box<dyn Fold>,
}

impl Contest for AgainstSql<'_> {
    type Side = Runner;
    const SIDES: &'static [Runner] = &[Runner::Projection, Runner::BareSql, Runner::Decoding];

    fn stretches(&self) -> usize {
        stretches(self.prepared.batches.len())
    }

    async fn prepare(&mut self, round: usize) -> Result<(), Failure> {
        let url = self.stack.create_database(&format!("bench_{}_{round}", self.model.category)).await?;
        let pool = PgPoolOptions::new().max_connections(1).connect(&url).await?;
        aqueduct_projection::migrate(&pool).await?;
        aqueduct_shop::app().migrate(&pool).await?;
        pool.close().await;
        let bare_sql = BareSql::create(&url, "bare", &self.model).await?;
        let decoding = BareSql::create(&url, "decoding", &self.model).await?;
        let postgres = PostgresOptions { url, ..self.options.postgres.clone() };
        let options = Options { postgres, ..self.options.clone() };
        let projection =
            (self.model.projection)(options, Arc::clone(&self.decoder)).batch_processor().await?;
        let mut waiting: VecDeque<_> = self.prepared.records.iter().cloned().collect();
        claim(&projection, waiting.iter_mut().flatten()).await?;
        let fold = (self.model.fold)();
        self.sides = Some(Sides { projection, waiting, bare_sql, decoding, fold });
        Ok(())
    }

    async fn run(&mut self, side: Runner, _: usize, stretch: usize) -> Result<Measured, Failure> {
        let batches = batches_of(stretch, self.stretches(), self.prepared.batches.len());
        let events = self.prepared.batches[batches.clone()].iter().map(|batch| batch.streams.len()).sum();
        let postgres = self.stack.postgres()?.pid().await;
        let before = postgres.and_then(cpu::of_server);
        let sides = self.sides.as_mut().ok_or("the round has no database")?;
        let begin = Moment::now();
        match side {
            Runner::Projection => {
                apply(&sides.projection, sides.waiting.drain(..batches.len())).await?;
            }
            Runner::BareSql => {
                for batch in &self.prepared.batches[batches] {
                    sides.bare_sql.write(&self.model, batch, &batch.rows).await?;
                }
            }
            Runner::Decoding => {
                for batch in &self.prepared.batches[batches] {
                    let rows =
                        sides.fold.payloads(&batch.payloads, &batch.revisions, &self.prepared.schemas)?;
                    sides.decoding.write(&self.model, batch, &rows).await?;
                }
            }
        }
        let end = Moment::now();
        Ok(Measured::between(begin, end, events).with_server(before, postgres.and_then(cpu::of_server)))
    }

    /// Only if all did the same work do the figures mean anything.
    async fn finish(&mut self) -> Result<(), Failure> {
        let Some(Sides { bare_sql, decoding, .. }) = self.sides.take() else { return Ok(()) };
        for (name, side) in [("bare SQL", bare_sql), ("bare SQL that decodes", decoding)] {
            let rows = side.differences(&self.model).await?;
            if rows > 0 {
                return Err(format!(
                    "{}: the tables of the projection and of {name} differ in {rows} rows",
                    self.model.name
                )
                .into());
            }
        }
        Ok(())
    }
}

/// Applies batches, one after the other: when one is applied, it is committed.
pub(super) async fn apply(
    projection: &BatchProcessor,
    batches: impl Iterator<Item = Vec<Record>>,
) -> Result<(), Failure> {
    for batch in batches {
        let expected = batch.len() as u64;
        let outcome = projection.apply(batch).await?.unwrap_or_default();
        if outcome.applied != expected {
            return Err(format!("of {expected} records were not all applied: {outcome:?}").into());
        }
    }
    Ok(())
}

/// Claims the records' partitions and gives the records the epochs of the claims.
pub(super) async fn claim(
    projection: &BatchProcessor,
    records: impl Iterator<Item = &mut Record>,
) -> Result<(), Failure> {
    let mut epochs = BTreeMap::new();
    for record in records {
        record.epoch = match epochs.get(&record.partition) {
            Some(epoch) => *epoch,
            None => {
                let epoch = projection.claim(&record.topic, record.partition).await?.epoch;
                epochs.insert(record.partition, epoch);
                epoch
            }
        };
    }
    Ok(())
}

pub(super) fn stretches(batches: usize) -> usize {
    (batches / LEAST_BATCHES).clamp(1, MOST_STRETCHES)
}

/// The batches of a stretch: all stretches together have all batches.
pub(super) fn batches_of(stretch: usize, stretches: usize, batches: usize) -> Range<usize> {
    stretch * batches / stretches..(stretch + 1) * batches / stretches
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stretches_have_at_least_twenty_batches_and_all_of_them() {
        for (batches, expected) in [(3, 1), (39, 1), (40, 2), (201, 10), (1005, 10)] {
            let stretches = stretches(batches);
            assert_eq!(stretches, expected);
            let ranges: Vec<_> = (0..stretches).map(|it| batches_of(it, stretches, batches)).collect();
            assert!(ranges.iter().all(|range| range.len() >= LEAST_BATCHES.min(batches)));
            assert_eq!(ranges.into_iter().flatten().collect::<Vec<_>>(), (0..batches).collect::<Vec<_>>());
        }
    }
}
