//! Runs a reactor on the parked events of a step, before the transaction that marks them as handled.

use aqueduct_core::{ErrorKind, with_causes};

use crate::batch::error::BatchError;
use crate::batch::react::attempt;
use crate::batch::runner::BatchRunner;
use crate::inbox::entry::Fault;
use crate::model::handler::Handler;
use crate::parked::replay_batch::ReplayBatch;
use crate::parked::steps::StreamStep;

/// Reacts to the events of the batch, which then ends before the first one that fails. Returns `None` if the process
/// is shutting down, or the partition has another owner.
pub(crate) async fn react<H: Handler>(
    runner: &BatchRunner<H>,
    StreamStep { partition, .. }: StreamStep<'_>,
    mut batch: ReplayBatch<H::Event>,
) -> Result<Option<ReplayBatch<H::Event>>, BatchError> {
    for index in 0..batch.rows.len() {
        let row = &batch.rows[index];
        let Some((entry, (event, envelope))) =
            row.entry.as_ref().and_then(|entry| Some((entry, entry.event()?)))
        else {
            continue;
        };
        if runner.context.shutdown.is_cancelled() || !runner.context.ownership.owns_partition(partition) {
            return Ok(None);
        }
        let Err((code, error)) = attempt(&runner.transactions.handler, event, envelope).await else {
            continue;
        };
        if error.kind() == ErrorKind::Retry {
            return Err(BatchError::Reaction(error));
        }
        let fault = Fault { code, reason: format!("{}: {}", entry.record, with_causes(&error)) };
        batch.end_before(index, fault);
        break;
    }
    Ok(Some(batch))
}
