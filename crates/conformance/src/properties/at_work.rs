//! Strikes that are spread over the consumer's work.

use crate::record::Record;
use crate::script::Sent;
use crate::strikes::Strikes;
use crate::trial::{Batch, Trial};
use crate::trial_error::TrialError;

/// Strikes of each kind while the consumer has one record a transaction.
const TIMES: i64 = 2;

/// Writes the records and strikes while the consumer applies them, with each kind in turn: at first with one record a
/// transaction, then with as many as the consumer likes. `strike` waits for its moment, and returns false if that did not
/// come.
pub(super) async fn strike_at_work<K: Copy>(
    trial: &mut Trial<'_>,
    records: &[Record],
    kinds: [(&'static str, K); 2],
    strikes: &mut Strikes,
    mut strike: impl AsyncFnMut(&mut Trial<'_>, K, Batch) -> Result<bool, TrialError>,
) -> Result<(), TrialError> {
    strikes.require(kinds.map(|(name, _)| name));
    let (first, second) = records.split_at(records.len() / 2);
    trial.write_all(first.iter().map(Sent::applied).collect()).await?;
    trial.start(Batch::Single).await?;
    let all = trial.left().await?;
    let number = TIMES * kinds.len() as i64;
    for (struck, (name, kind)) in (1..=number).zip(kinds.into_iter().cycle()) {
        // At first one of five parts is done, then two.
        trial.wait_until_left(all - all * struck / (number + 1)).await?;
        if !strike(trial, kind, Batch::Single).await? {
            break;
        }
        strikes.count(name);
    }
    trial.catch_up().await?;
    trial.stop(0).await?;

    trial.write_all(second.iter().map(Sent::applied).collect()).await?;
    trial.start(Batch::Own).await?;
    for (name, kind) in kinds {
        if !strike(trial, kind, Batch::Own).await? {
            break;
        }
        strikes.count(name);
    }
    Ok(())
}
