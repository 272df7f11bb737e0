//! Partitions move from one instance to another and back, while there is work.

use crate::activity::slow_commits;
use crate::properties::{Material, trial_name};
use crate::property::Property;
use crate::script::{Expected, Sent};
use crate::trial::{Batch, Trial};
use crate::trial_error::TrialError;

/// Returns how often partitions moved: when the second instance came, when the first left, and when a third came.
pub(super) async fn run(material: Material<'_>) -> Result<usize, TrialError> {
    let mut trial = Trial::create(material.setup, &trial_name(Property::TwoInstances)).await?;
    slow_commits(&trial).await?;
    let third = material.records.len().div_ceil(3);
    let mut parts = material.records.chunks(third).map(|part| part.iter().map(Sent::applied).collect());
    trial.write_all(parts.next().unwrap_or_default()).await?;
    trial.start(Batch::Single)?;
    let all = trial.left().await?;
    trial.wait_until_left(all / 2).await?;
    trial.start(Batch::Single)?;
    trial.write_all(parts.next().unwrap_or_default()).await?;
    let all = trial.left().await?;
    trial.wait_until_left(all / 2).await?;
    trial.stop(0).await?;
    trial.write_all(parts.next().unwrap_or_default()).await?;
    trial.start(Batch::Own)?;
    trial.finish(material.oracle.tables(Expected::All)).await?;
    Ok(3)
}
