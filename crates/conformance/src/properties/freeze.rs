//! The consumer is frozen in a transaction, past its session, and thaws when another instance has its partitions.

use std::time::Duration;

use nix::sys::signal::Signal;

use crate::activity::{Moment, end_transactions, freeze_at, slow_commits};
use crate::properties::{Material, trial_name};
use crate::property::Property;
use crate::script::{Expected, Sent};
use crate::strikes::Strikes;
use crate::trial::{Batch, SESSION_TIMEOUT_MS, Trial};
use crate::trial_error::TrialError;

/// How much longer than its session it is frozen.
const MARGIN: Duration = Duration::from_secs(1);

pub(super) async fn run(material: Material<'_>, strikes: &mut Strikes) -> Result<(), TrialError> {
    let Material { records, .. } = material;
    let (first, second) = records.split_at(records.len() / 2);
    let mut trial = Trial::create(material.setup, &trial_name(Property::Freeze)).await?;
    slow_commits(&trial).await?;
    trial.write_all(first.iter().map(Sent::applied).collect()).await?;
    // Not one record a transaction: that of a single event, applied again, need not show in the tables.
    trial.start(Batch::Few).await?;
    if !freeze_at(&trial, Moment::Open).await? {
        return Ok(());
    }
    strikes.count("freeze");
    tokio::time::sleep(Duration::from_millis(SESSION_TIMEOUT_MS) + MARGIN).await;
    end_transactions(&trial).await?;
    trial.start(Batch::Single).await?;
    trial.catch_up().await?;
    trial.instances[0].signal(Signal::SIGCONT);
    trial.write_all(second.iter().map(Sent::applied).collect()).await?;
    trial.finish(material.oracle.tables(Expected::All)).await
}
