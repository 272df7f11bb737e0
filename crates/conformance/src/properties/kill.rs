//! The consumer is killed at work.

use crate::activity::{Moment, freeze_at, slow_commits};
use crate::properties::{Material, trial_name};
use crate::property::Property;
use crate::script::{Expected, Sent};
use crate::trial::{Batch, Trial};
use crate::trial_error::TrialError;

/// The moments of the kills with one record a transaction.
const MOMENTS: [Moment; 4] = [Moment::Open, Moment::Commit, Moment::Open, Moment::Commit];
/// The moments of those with as many as the consumer likes.
const MOMENTS_OF_BATCHES: [Moment; 2] = [Moment::Open, Moment::Commit];

/// A strike is a kill while a transaction is open or at its COMMIT.
pub(super) async fn run(material: Material<'_>, strikes: &mut usize) -> Result<(), TrialError> {
    let mut trial = Trial::create(material.setup, &trial_name(Property::Kill)).await?;
    slow_commits(&trial).await?;
    let (first, second) = material.records.split_at(material.records.len() / 2);
    trial.write_all(first.iter().map(Sent::applied).collect()).await?;
    trial.start(Batch::Single).await?;
    let all = trial.left().await?;
    for (killed, moment) in (1..).zip(MOMENTS) {
        // Spread over the work: at first one of five parts is done, then two.
        trial.wait_until_left(all - all * killed / (MOMENTS.len() as i64 + 1)).await?;
        if !kill_at(&mut trial, moment, Batch::Single).await? {
            break;
        }
        *strikes += 1;
    }
    trial.catch_up().await?;
    trial.stop(0).await?;

    trial.write_all(second.iter().map(Sent::applied).collect()).await?;
    trial.start(Batch::Own).await?;
    for moment in MOMENTS_OF_BATCHES {
        if !kill_at(&mut trial, moment, Batch::Own).await? {
            break;
        }
        *strikes += 1;
    }
    trial.finish(material.oracle.tables(Expected::All)).await
}

/// Kills the consumer at the moment and starts it again. False: the moment did not come.
async fn kill_at(trial: &mut Trial<'_>, moment: Moment, batch: Batch) -> Result<bool, TrialError> {
    if !freeze_at(trial, moment).await? {
        return Ok(false);
    }
    trial.kill(0).await?;
    trial.start(batch).await?;
    Ok(true)
}
