//! The dedup tables, through their SQL functions (migrations/0001_inbox.sql).

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use sqlx::{Executor, PgPool, Postgres};

use crate::batch::Entry;
use crate::{Place, Previous};

/// What is to become of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Next of its stream.
    Apply,
    /// After what was applied, but it does not say what came before it: applied.
    Unjudged,
    /// Was applied before.
    Duplicate,
    /// Something before it is missing.
    Gap,
    /// Can't be read or applied.
    Faulty,
    /// An earlier event of its stream is parked.
    Held,
}

impl Verdict {
    fn parse(verdict: &str) -> Result<Self, sqlx::Error> {
        Ok(match verdict {
            "apply" => Self::Apply,
            "unjudged" => Self::Unjudged,
            "duplicate" => Self::Duplicate,
            "gap" => Self::Gap,
            "faulty" => Self::Faulty,
            "held" => Self::Held,
            other => return Err(sqlx::Error::Decode(format!("the inbox knows no verdict {other:?}").into())),
        })
    }

    pub(crate) fn applies(self) -> bool {
        matches!(self, Self::Apply | Self::Unjudged)
    }

    /// As it stands in the table of parked events, if it is parked.
    pub(crate) fn parked(self) -> Option<&'static str> {
        match self {
            Self::Gap => Some("gap"),
            Self::Faulty => Some("faulty"),
            Self::Held => Some("held"),
            Self::Apply | Self::Unjudged | Self::Duplicate => None,
        }
    }
}

/// Numbers of the inboxes, which are made when they are first needed.
#[derive(Debug)]
pub(crate) struct Inboxes {
    projection: &'static str,
    generation: i32,
    known: Mutex<HashMap<(String, Arc<str>), i32>>,
}

impl Inboxes {
    pub(crate) fn new(projection: &'static str, generation: i32) -> Self {
        Self { projection, generation, known: Mutex::default() }
    }

    pub(crate) async fn number(
        &self,
        pool: &PgPool,
        source: &str,
        topic: &Arc<str>,
    ) -> Result<i32, sqlx::Error> {
        let key = (source.to_owned(), Arc::clone(topic));
        if let Some(number) = self.known.lock().get(&key) {
            return Ok(*number);
        }
        let number: i32 = sqlx::query_scalar("select aqueduct.inbox_of($1, $2, $3, $4)")
            .bind(self.projection)
            .bind(self.generation)
            .bind(source)
            .bind(&**topic)
            .fetch_one(pool)
            .await?;
        self.known.lock().insert(key, number);
        Ok(number)
    }
}

/// Judges records without changing anything.
pub(crate) async fn judge<E>(
    executor: impl Executor<'_, Database = Postgres>,
    entries: &[Entry<E>],
) -> Result<Vec<Verdict>, sqlx::Error> {
    const JUDGE: &str = "select coalesce(array_agg(verdict order by ordinal), '{}') \
                         from aqueduct.inbox_judge($1, $2, $3, $4, $5, $6, $7)";
    ask(executor, JUDGE, entries).await
}

/// Judges records and remembers what is applied with this transaction.
pub(crate) async fn receive<E>(
    executor: impl Executor<'_, Database = Postgres>,
    entries: &[Entry<E>],
) -> Result<Vec<Verdict>, sqlx::Error> {
    ask(executor, "select aqueduct.inbox_receive($1, $2, $3, $4, $5, $6, $7)", entries).await
}

async fn ask<E>(
    executor: impl Executor<'_, Database = Postgres>,
    statement: &'static str,
    entries: &[Entry<E>],
) -> Result<Vec<Verdict>, sqlx::Error> {
    let places: Vec<_> = entries.iter().map(Entry::place).collect();
    let previous: Vec<_> = entries.iter().map(Entry::previous).map(previous_numbers).collect();
    let verdicts: Vec<String> = sqlx::query_scalar(statement)
        .bind(entries.iter().map(|entry| entry.inbox).collect::<Vec<_>>())
        .bind(entries.iter().map(|entry| entry.stream.as_str()).collect::<Vec<_>>())
        .bind(places.iter().map(|place| place.map(revision_number)).collect::<Vec<_>>())
        .bind(places.iter().map(|place| place.map_or(0, subindex_number)).collect::<Vec<_>>())
        .bind(previous.iter().map(|(revision, _)| *revision).collect::<Vec<_>>())
        .bind(previous.iter().map(|(_, subindex)| *subindex).collect::<Vec<_>>())
        .bind(entries.iter().map(Entry::is_faulty).collect::<Vec<_>>())
        .fetch_one(executor)
        .await?;
    verdicts.iter().map(|verdict| Verdict::parse(verdict)).collect()
}

/// Revisions and sub-indices are read from headers as signed numbers, so they fit.
pub(crate) fn revision_number(place: Place) -> i64 {
    place.revision.cast_signed()
}

pub(crate) fn subindex_number(place: Place) -> i32 {
    place.subindex.cast_signed()
}

fn previous_numbers(previous: Previous) -> (Option<i64>, i32) {
    match previous {
        Previous::None => (Some(-1), 0),
        Previous::At(place) => (Some(revision_number(place)), subindex_number(place)),
        Previous::Unknown => (None, 0),
    }
}
