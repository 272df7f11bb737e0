//! The consumer is frozen in a transaction, past its session, and thaws when another instance has its partitions.

use std::time::Duration;

use nix::sys::signal::Signal;

use crate::activity::{Moment, end_transactions, freeze_at, slow_commits};
use crate::properties::Material;
use crate::property::Property;
use crate::record::Record;
use crate::script::{Expected, Sent};
use crate::strikes::Strikes;
use crate::trial::{Batch, SESSION_TIMEOUT_MS, Trial};
use crate::trial_error::TrialError;

/// How much longer than its session it is frozen.
const MARGIN: Duration = Duration::from_secs(1);

/// Twice: what an instance does wrong when it thaws shows in most cases, not in all.
pub(super) async fn run(material: Material<'_>, strikes: &mut Strikes) -> Result<(), TrialError> {
    let mut trial = Trial::create(material.setup, &material.name(Property::Freeze)).await?;
    slow_commits(&trial).await?;
    for records in material.records.chunks(material.records.len().div_ceil(2).max(1)) {
        if trial.instances.len() > 1 {
            trial.catch_up().await?;
            trial.stop(0).await?;
        }
        freeze_at_work(&mut trial, records, strikes).await?;
    }
    trial.finish(material.oracle.tables(Expected::All)).await
}

/// Freezes the only instance, which another one replaces, and writes the second half of the records when both run.
async fn freeze_at_work(
    trial: &mut Trial<'_>,
    records: &[Record],
    strikes: &mut Strikes,
) -> Result<(), TrialError> {
    let (first, second) = records.split_at(records.len() / 2);
    trial.write_all(first.iter().map(Sent::applied).collect()).await?;
    if trial.instances.is_empty() {
        // Not one record a transaction: that of a single event, applied again, need not show in the tables.
        trial.start(Batch::Few).await?;
    }
    if freeze_at(trial, Moment::Open).await? {
        strikes.count("freeze");
        tokio::time::sleep(Duration::from_millis(SESSION_TIMEOUT_MS) + MARGIN).await;
        end_transactions(trial).await?;
        trial.start(Batch::Few).await?;
        trial.catch_up().await?;
        trial.instances[0].signal(Signal::SIGCONT);
    }
    Ok(trial.write_all(second.iter().map(Sent::applied).collect()).await?)
}
