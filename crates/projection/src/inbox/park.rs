//! Parking events that cannot be applied.

use sqlx::types::Json;
use sqlx::{Executor, Postgres};

use crate::inbox::entry::{Entry, previous_number, revision_number};
use crate::inbox::reason_code::ReasonCode;
use crate::inbox::verdict::ParkingVerdict;
use crate::record::envelope::Previous;

/// Whether an entry was parked before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ParkOutcome {
    New,
    /// It was parked already, and nothing was changed.
    Duplicate,
}

/// Parks an entry in this transaction.
pub(crate) async fn park<E>(
    executor: impl Executor<'_, Database = Postgres>,
    entry: &Entry<E>,
    verdict: ParkingVerdict,
) -> Result<ParkOutcome, sqlx::Error> {
    let record = &entry.record;
    let is_new: bool =
        sqlx::query_scalar("select aqueduct.park($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)")
            .bind(entry.inbox)
            .bind(entry.stream())
            .bind(entry.revision().map(revision_number))
            .bind(previous_number(entry.previous()))
            .bind(verdict.as_str())
            .bind(code(entry, verdict).as_str())
            .bind(storable(&reason(entry, verdict)))
            .bind(entry.envelope.as_ref().map(|envelope| envelope.event_type()))
            .bind(record.partition)
            .bind(record.offset)
            .bind(record.key.as_deref())
            .bind(record.payload.as_deref())
            .bind(Json(record.headers.to_json()))
            .fetch_one(executor)
            .await?;
    Ok(if is_new { ParkOutcome::New } else { ParkOutcome::Duplicate })
}

fn code<E>(entry: &Entry<E>, verdict: ParkingVerdict) -> ReasonCode {
    match (verdict, entry.fault()) {
        (ParkingVerdict::Invalid, Some(fault)) => fault.code,
        (ParkingVerdict::Gap, _) => ReasonCode::Gap,
        (ParkingVerdict::Conflict, _) => ReasonCode::Conflict,
        (ParkingVerdict::Blocked | ParkingVerdict::Invalid, _) => ReasonCode::Blocked,
    }
}

/// Postgres' text cannot contain NUL, and an error may quote the event.
pub(crate) fn storable(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

/// Human-readable reason for which an entry is parked.
pub(crate) fn reason<E>(entry: &Entry<E>, verdict: ParkingVerdict) -> String {
    let record = &entry.record;
    match (verdict, entry.fault()) {
        (ParkingVerdict::Invalid, Some(fault)) => format!("{record}: {}", fault.reason),
        (ParkingVerdict::Gap, _) => format!("{record}: {}", gap(entry.previous())),
        (ParkingVerdict::Conflict, _) => {
            let revision = entry.revision().unwrap_or_default();
            format!("{record}: another event came before it under revision {revision} of the stream")
        }
        (ParkingVerdict::Blocked | ParkingVerdict::Invalid, _) => {
            format!("{record}: an earlier event of the stream is parked")
        }
    }
}

pub(crate) fn gap(previous: Previous) -> String {
    match previous {
        Previous::Revision(revision) => {
            format!("gap: revision {revision}, which precedes it, is not the last applied one")
        }
        Previous::First | Previous::Unknown => {
            "gap: it is marked as the first record of its stream, but others were applied".to_owned()
        }
    }
}
