//! Applying the next parked events of a stream.

use aqueduct_core::{ErrorKind, with_causes};
use sqlx::{Connection as _, PgConnection};

use crate::batch::error::BatchError;
use crate::inbox::entry::{Entry, Fault};
use crate::model::handler::Handler;
use crate::parked::replay_batch::ReplayBatch;

/// Applies the events of the batch. A batch that Postgres rejects ends earlier: it is halved until it is applied, or
/// until one event is left, which is the one at fault. So is one whose statement takes too long: it is parked already, and the
/// request tells the operator.
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
            Err(error) if error.kind() == ErrorKind::Park || error.is_cancelled() => error,
            Err(error) => return Err(error.into()),
        };
        savepoint.rollback().await?;
        let rows = batch.rows.len();
        if rows > 1 {
            // Halves of what took too long would take too long, too.
            batch.keep(if error.is_cancelled() { 1 } else { rows / 2 });
        } else {
            let record = batch.entries().next().map(|entry| entry.record.to_string());
            let reason = format!("{}: {}", record.unwrap_or_default(), with_causes(&error));
            batch.end_before(0, Fault { code: error.code(), reason });
        }
    }
}
