//! Partitions move from one instance to another, while there is work.

use std::time::{Duration, Instant};

use crate::activity::slow_commits;
use crate::error::Error;
use crate::properties::Material;
use crate::property::Property;
use crate::record::Record;
use crate::script::{Expected, Sent};
use crate::strikes::Strikes;
use crate::trial::{Batch, Trial};
use crate::trial_error::TrialError;

/// Pause between two records while partitions are to move.
const PAUSE: Duration = Duration::from_millis(100);
/// How long partitions may take to move.
const PATIENCE: Duration = Duration::from_secs(60);

/// Partitions move when the second instance comes, when the first leaves, and when a third comes.
pub(super) async fn run(material: Material<'_>, strikes: &mut Strikes) -> Result<(), TrialError> {
    let mut trial = Trial::create(material.setup, &material.name(Property::TwoInstances)).await?;
    slow_commits(&trial).await?;
    let mut parts = material.records.chunks(material.records.len().div_ceil(4));
    let mut next_part = || parts.next().unwrap_or_default();
    trial.write_all(next_part().iter().map(Sent::applied).collect()).await?;
    trial.start(Batch::Single).await?;
    trial.wait_until_left(trial.left().await? / 2).await?;
    let before = trial.claims().await?;
    trial.start(Batch::Single).await?;
    strikes.add("moved partition", write_until_moved(&mut trial, before, next_part()).await?.into());
    let before = trial.claims().await?;
    trial.stop(0).await?;
    strikes.add("moved partition", write_until_moved(&mut trial, before, next_part()).await?.into());
    let before = trial.claims().await?;
    trial.start(Batch::Own).await?;
    strikes.add("moved partition", write_until_moved(&mut trial, before, next_part()).await?.into());
    trial.finish(material.oracle.tables(Expected::All)).await
}

/// Writes one record after the other until an instance has claimed partitions since `before`, then the rest at once. False:
/// none was claimed.
async fn write_until_moved(trial: &mut Trial<'_>, before: i64, records: &[Record]) -> Result<bool, Error> {
    let deadline = Instant::now() + PATIENCE;
    let mut left = records.iter().map(Sent::applied);
    let mut moved = false;
    while !moved && Instant::now() < deadline {
        trial.write_all(left.by_ref().take(1).collect()).await?;
        tokio::time::sleep(PAUSE).await;
        moved = trial.claims().await? != before;
    }
    trial.write_all(left.collect()).await?;
    Ok(moved)
}
