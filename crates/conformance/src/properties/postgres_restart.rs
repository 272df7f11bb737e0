//! Postgres is stopped while a transaction of the consumer is open, and started again.

use std::time::Duration;

use aqueduct_devstack::{DevStack, Options, Part, Server};
use nix::sys::signal::Signal;

use crate::activity::{Moment, freeze_at, slow_commits};
use crate::databases::Databases;
use crate::error::Error;
use crate::properties::Material;
use crate::property::Property;
use crate::script::{Expected, Sent};
use crate::strikes::Strikes;
use crate::trial::{Batch, Setup, Trial};
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

impl End {
    const fn name(self) -> &'static str {
        match self {
            Self::Shutdown => "shutdown of Postgres while a transaction was open",
            Self::Crash => "crash of Postgres while a transaction was open",
        }
    }
}

/// On a Postgres server of its own: others work on the one of the other trials.
pub(super) async fn run(material: Material<'_>, strikes: &mut Strikes) -> Result<(), TrialError> {
    let Setup { definition, servers, test, .. } = material.setup;
    let options = Options { postgres: Part::start(), ..Options::none() };
    let stack = DevStack::start(options).await.map_err(Error::from)?;
    let template = format!("{test}_template");
    let databases = Databases::prepare(&stack, definition, &servers.password, template).await?;
    let setup = Setup { databases: &databases, ..material.setup };
    let restarted = restart_at_work(&stack, Material { setup, ..material }, strikes).await;
    stack.shutdown().await;
    restarted
}

async fn restart_at_work(
    stack: &DevStack,
    material: Material<'_>,
    strikes: &mut Strikes,
) -> Result<(), TrialError> {
    let postgres = stack.postgres().map_err(Error::from)?;
    let mut trial = Trial::create(material.setup, &material.name(Property::PostgresRestart)).await?;
    slow_commits(&trial).await?;
    strikes.require([End::Shutdown, End::Crash].map(End::name));
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
        strikes.count(end.name());
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
