//! The inbox's verdicts about records.

use sqlx::{Executor, Postgres};

use crate::inbox::entry::{Entry, previous_number, revision_number};

/// What to do with a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Next of its stream.
    Apply,
    /// After what was applied, but its previous revision is not known: applied.
    Unchecked,
    /// Applied before.
    Duplicate,
    /// Another event has its revision: it was applied, or is parked.
    Conflict,
    /// An event before it is missing.
    Gap,
    /// It cannot be read or applied.
    Invalid,
    /// An earlier event of its stream is parked.
    Blocked,
}

impl Verdict {
    fn parse(verdict: &str) -> Result<Self, sqlx::Error> {
        Ok(match verdict {
            "apply" => Self::Apply,
            "unchecked" => Self::Unchecked,
            "duplicate" => Self::Duplicate,
            "conflict" => Self::Conflict,
            "gap" => Self::Gap,
            "invalid" => Self::Invalid,
            "blocked" => Self::Blocked,
            other => {
                return Err(sqlx::Error::Decode(format!("the inbox returned verdict {other:?}").into()));
            }
        })
    }

    pub(crate) fn applies(self) -> bool {
        matches!(self, Self::Apply | Self::Unchecked)
    }

    /// Why the record is parked; `None` if it is not.
    pub(crate) fn parks(self) -> Option<ParkingVerdict> {
        match self {
            Self::Gap => Some(ParkingVerdict::Gap),
            Self::Invalid => Some(ParkingVerdict::Invalid),
            Self::Blocked => Some(ParkingVerdict::Blocked),
            Self::Conflict => Some(ParkingVerdict::Conflict),
            Self::Apply | Self::Unchecked | Self::Duplicate => None,
        }
    }
}

/// A verdict that parks its record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ParkingVerdict {
    /// See [`Verdict::Gap`].
    Gap,
    /// See [`Verdict::Invalid`].
    Invalid,
    /// See [`Verdict::Blocked`].
    Blocked,
    /// See [`Verdict::Conflict`]. Its stream is not blocked.
    Conflict,
}

impl ParkingVerdict {
    /// As stored in `aqueduct.parked.verdict`.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Gap => "gap",
            Self::Invalid => "invalid",
            Self::Blocked => "blocked",
            Self::Conflict => "conflict",
        }
    }
}

/// Checks records without changing anything.
pub(crate) async fn check<E>(
    executor: impl Executor<'_, Database = Postgres>,
    entries: &[Entry<E>],
) -> Result<Vec<Verdict>, sqlx::Error> {
    const CHECK: &str = "select coalesce(array_agg(verdict order by ordinal), '{}') \
                         from aqueduct.inbox_check($1, $2, $3, $4, $5, $6)";
    verdicts(executor, CHECK, entries).await
}

/// Checks records and stores what is applied with this transaction.
pub(crate) async fn receive<E>(
    executor: impl Executor<'_, Database = Postgres>,
    entries: &[Entry<E>],
) -> Result<Vec<Verdict>, sqlx::Error> {
    verdicts(executor, "select aqueduct.inbox_receive($1, $2, $3, $4, $5, $6)", entries).await
}

async fn verdicts<E>(
    executor: impl Executor<'_, Database = Postgres>,
    statement: &'static str,
    entries: &[Entry<E>],
) -> Result<Vec<Verdict>, sqlx::Error> {
    let verdicts: Vec<String> = sqlx::query_scalar(statement)
        .bind(entries.iter().map(|entry| entry.inbox).collect::<Vec<_>>())
        .bind(entries.iter().map(|entry| entry.stream()).collect::<Vec<_>>())
        .bind(entries.iter().map(|entry| entry.revision().map(revision_number)).collect::<Vec<_>>())
        .bind(entries.iter().map(|entry| previous_number(entry.previous())).collect::<Vec<_>>())
        .bind(entries.iter().map(|entry| entry.fault().is_some()).collect::<Vec<_>>())
        .bind(entries.iter().map(Entry::event_id).collect::<Vec<_>>())
        .fetch_one(executor)
        .await?;
    verdicts.iter().map(|verdict| Verdict::parse(verdict)).collect()
}
