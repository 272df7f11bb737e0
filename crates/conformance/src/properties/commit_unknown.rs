//! The connection is lost while a transaction commits, so that the consumer does not know whether it was committed.

use std::time::Instant;

use crate::activity::{Moment, PATIENCE, POLL, end_commits, is_at, slow_commits};
use crate::error::Error;
use crate::properties::Material;
use crate::properties::at_work::strike_at_work;
use crate::property::Property;
use crate::proxy::Proxy;
use crate::script::Expected;
use crate::strikes::Strikes;
use crate::trial::Trial;
use crate::trial_error::TrialError;

/// What becomes of a transaction whose COMMIT is not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Committed,
    RolledBack,
}

const KINDS: [(&str, Outcome); 2] = [
    ("lost connection at a COMMIT that succeeded", Outcome::Committed),
    ("lost connection at a COMMIT that was rolled back", Outcome::RolledBack),
];

pub(super) async fn run(material: Material<'_>, strikes: &mut Strikes) -> Result<(), TrialError> {
    let mut trial = Trial::create(material.setup, &material.name(Property::CommitUnknown)).await?;
    slow_commits(&trial).await?;
    let proxy = trial.connect_through_proxy().await?;
    let cut =
        async |trial: &mut Trial<'_>, outcome: Outcome, _| Ok(cut_at_commit(trial, &proxy, outcome).await?);
    strike_at_work(&mut trial, material.records, KINDS, strikes, cut).await?;
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
