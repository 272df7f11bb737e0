//! The consumer is killed at work.

use crate::activity::{Moment, freeze_at, slow_commits};
use crate::properties::Material;
use crate::properties::at_work::strike_at_work;
use crate::property::Property;
use crate::script::Expected;
use crate::strikes::Strikes;
use crate::trial::{Batch, Trial};
use crate::trial_error::TrialError;

const KINDS: [(&str, Moment); 2] =
    [("kill while a transaction was open", Moment::Open), ("kill at its COMMIT", Moment::Commit)];

pub(super) async fn run(material: Material<'_>, strikes: &mut Strikes) -> Result<(), TrialError> {
    let mut trial = Trial::create(material.setup, &material.name(Property::Kill)).await?;
    slow_commits(&trial).await?;
    strike_at_work(&mut trial, material.records, KINDS, strikes, kill_at).await?;
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
