//! Postgres is stopped while a transaction of the consumer is open, and started again.

use std::time::Duration;

use aqueduct_devstack::Server;
use nix::sys::signal::Signal;

use crate::activity::{Moment, freeze_at, slow_commits};
use crate::error::Error;
use crate::properties::{Material, trial_name};
use crate::property::Property;
use crate::script::{Expected, Sent};
use crate::trial::{Batch, Trial};
use crate::trial_error::TrialError;

/// How long Postgres is away: the consumer runs, and cannot connect.
const AWAY: Duration = Duration::from_secs(2);

/// How Postgres ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// Its fast shutdown, which ends the transactions.
    Shutdown,
    /// SIGKILL.
    Crash,
}

pub(super) async fn run(material: Material<'_>, strikes: &mut usize) -> Result<(), TrialError> {
    let mut trial = Trial::create(material.setup, &trial_name(Property::PostgresRestart)).await?;
    slow_commits(&trial).await?;
    let postgres = material.setup.servers.stack.postgres().map_err(Error::from)?;
    let (first, second) = material.records.split_at(material.records.len() / 2);
    for (records, end) in [(first, End::Shutdown), (second, End::Crash)] {
        trial.write_all(records.iter().map(Sent::applied).collect()).await?;
        if trial.instances.is_empty() {
            trial.start(Batch::Single).await?;
        }
        trial.wait_until_left(trial.left().await? / 2).await?;
        if !freeze_at(&trial, Moment::Open).await? {
            return Ok(());
        }
        restart(postgres, end, &trial).await?;
        *strikes += 1;
    }
    trial.finish(material.oracle.tables(Expected::All)).await
}

/// Restarts Postgres and lets the frozen consumer continue in between.
async fn restart(postgres: &Server, end: End, trial: &Trial<'_>) -> Result<(), Error> {
    match end {
        End::Shutdown => postgres.stop().await,
        End::Crash => postgres.kill().await,
    }
    for instance in &trial.instances {
        instance.signal(Signal::SIGCONT);
    }
    tokio::time::sleep(AWAY).await;
    Ok(postgres.start().await?)
}
