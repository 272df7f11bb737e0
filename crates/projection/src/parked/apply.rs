//! Applying the next parked events of a stream.

use aqueduct_core::{ErrorKind, with_causes};
use sqlx::{Connection as _, PgConnection};

use crate::batch::error::BatchError;
use crate::inbox::entry::{Entry, Fault};
use crate::model::handler::Handler;
use crate::parked::replay_batch::ReplayBatch;

/// Applies the events of the batch. A batch that Postgres rejects ends earlier: it is halved until it is applied, or
/// until one event is left, which is the one at fault.
pub(crate) async fn apply_with_bisection<H: Handler>(
    handler: &H,
    connection: &mut PgConnection,
    batch: &mut ReplayBatch<H::Event>,
) -> Result<(), BatchError> {
    loop {
        let events: Vec<_> = batch.entries().filter_map(Entry::event).collect();
        if events.is_empty() {
            return Ok(());
        }
        let mut savepoint = connection.begin().await?;
        let error = match handler.apply(&mut savepoint, &events).await {
            Ok(()) => {
                savepoint.commit().await?;
                return Ok(());
            }
            Err(error) if error.kind() == ErrorKind::Park => error,
            Err(error) => return Err(error.into()),
        };
        savepoint.rollback().await?;
        if batch.rows.len() > 1 {
            batch.halve();
        } else {
            let record = batch.entries().next().map(|entry| entry.record.to_string());
            let reason = format!("{}: {}", record.unwrap_or_default(), with_causes(&error));
            batch.end_before(0, Fault { code: error.code(), reason });
        }
    }
}
