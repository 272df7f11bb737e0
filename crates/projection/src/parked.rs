//! Events that were not applied (migrations/0003_parked.sql).

use sqlx::types::Json;
use sqlx::{Executor, Postgres};

use crate::Previous;
use crate::batch::Entry;
use crate::inbox::{Verdict, revision_number, subindex_number};

/// Parks an entry with this transaction, if its verdict says so. False: it is parked already, or was not to
/// be parked.
pub(crate) async fn park<E>(
    executor: impl Executor<'_, Database = Postgres>,
    entry: &Entry<E>,
    verdict: Verdict,
) -> Result<bool, sqlx::Error> {
    let Some(parked_as) = verdict.parked() else { return Ok(false) };
    let record = &entry.record;
    sqlx::query_scalar("select aqueduct.park($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)")
        .bind(entry.inbox)
        .bind(&entry.stream)
        .bind(entry.place().map(revision_number))
        .bind(entry.place().map(subindex_number))
        .bind(parked_as)
        // Postgres' text can't hold a NUL, and an error may quote the event.
        .bind(reason(entry, verdict).replace('\0', "\u{fffd}"))
        .bind(entry.envelope.as_ref().map(|envelope| envelope.event_type()))
        .bind(record.partition)
        .bind(record.offset)
        .bind(record.key.as_deref())
        .bind(record.payload.as_deref())
        .bind(Json(record.headers.to_json()))
        .fetch_one(executor)
        .await
}

/// Why an entry is parked, for the person who looks at it.
pub(crate) fn reason<E>(entry: &Entry<E>, verdict: Verdict) -> String {
    let record = &entry.record;
    match (verdict, entry.fault()) {
        (Verdict::Faulty, Some(fault)) => format!("{record}: {fault}"),
        (Verdict::Gap, _) => match entry.previous() {
            Previous::At(place) => {
                format!(
                    "{record}: a gap: the record before it, of revision {place}, is not the last one applied"
                )
            }
            Previous::None | Previous::Unknown => {
                format!(
                    "{record}: a gap: it says that it is the first of its stream, but others were applied"
                )
            }
        },
        _ => format!("{record}: an earlier event of the stream is parked"),
    }
}
