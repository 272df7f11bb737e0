//! The connection is lost while a transaction commits, so that the consumer does not know whether it was committed.

use std::time::Instant;

use crate::activity::{Moment, PATIENCE, POLL, end_commits, is_at, slow_commits};
use crate::error::Error;
use crate::properties::{Material, trial_name};
use crate::property::Property;
use crate::proxy::Proxy;
use crate::script::{Expected, Sent};
use crate::trial::{Batch, Trial};
use crate::trial_error::TrialError;

/// What becomes of a transaction whose COMMIT is not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Committed,
    RolledBack,
}

/// With one record a transaction, and then with as many as the consumer likes.
const OUTCOMES: [Outcome; 4] =
    [Outcome::Committed, Outcome::RolledBack, Outcome::Committed, Outcome::RolledBack];
const OUTCOMES_OF_BATCHES: [Outcome; 2] = [Outcome::Committed, Outcome::RolledBack];

pub(super) async fn run(material: Material<'_>, strikes: &mut usize) -> Result<(), TrialError> {
    let mut trial = Trial::create(material.setup, &trial_name(Property::CommitUnknown)).await?;
    slow_commits(&trial).await?;
    let proxy = trial.connect_through_proxy().await?;
    let (first, second) = material.records.split_at(material.records.len() / 2);
    trial.write_all(first.iter().map(Sent::applied).collect()).await?;
    trial.start(Batch::Single).await?;
    let all = trial.left().await?;
    for (cut, outcome) in (1..).zip(OUTCOMES) {
        // Spread over the work, as the kills are.
        trial.wait_until_left(all - all * cut / (OUTCOMES.len() as i64 + 1)).await?;
        if !cut_at_commit(&trial, &proxy, outcome).await? {
            break;
        }
        *strikes += 1;
    }
    trial.catch_up().await?;
    trial.stop(0).await?;

    trial.write_all(second.iter().map(Sent::applied).collect()).await?;
    trial.start(Batch::Own).await?;
    for outcome in OUTCOMES_OF_BATCHES {
        if !cut_at_commit(&trial, &proxy, outcome).await? {
            break;
        }
        *strikes += 1;
    }
    trial.finish(material.oracle.tables(Expected::All)).await
}

/// Cuts the connections during a COMMIT. False: none was seen.
async fn cut_at_commit(trial: &Trial<'_>, proxy: &Proxy, outcome: Outcome) -> Result<bool, Error> {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        if is_at(trial, Moment::Commit).await? {
            proxy.cut();
            // The COMMIT may have been answered before the cut.
            let was_in_time = match outcome {
                Outcome::Committed => is_at(trial, Moment::Commit).await?,
                Outcome::RolledBack => end_commits(trial).await?,
            };
            if was_in_time {
                return Ok(true);
            }
        }
        tokio::time::sleep(POLL).await;
    }
    Ok(false)
}
