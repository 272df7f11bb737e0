//! The trials, one for each property.

mod at_work;
mod commit_unknown;
mod feeds;
mod freeze;
mod kill;
mod postgres_restart;
mod topic_recreated;
mod two_instances;
mod unresolvable_schema;

use std::time::Instant;

use aqueduct_core::with_causes;
use fastrand::Rng;

use crate::cuts::Cuts;
use crate::oracle::Oracle;
use crate::properties::feeds::KINDS_OF_POISON;
use crate::property::Property;
use crate::record::Record;
use crate::report::{Failure, PropertyReport, Verdict};
use crate::script::{Expected, Script};
use crate::strikes::Strikes;
use crate::trial::{Batch, Setup, Trial};
use crate::trial_error::TrialError;

/// What all trials need.
#[derive(Clone, Copy)]
pub(crate) struct Material<'a> {
    pub(crate) setup: Setup<'a>,
    /// Of the history, in its order.
    pub(crate) records: &'a [Record],
    pub(crate) cuts: &'a Cuts,
    pub(crate) oracle: &'a Oracle,
    pub(crate) seed: u64,
    /// Counts the trials of a property.
    pub(crate) attempt: usize,
}

impl Material<'_> {
    /// The name of a trial.
    fn name(&self, property: Property) -> String {
        format!("{property}_{}", self.attempt).replace('-', "_")
    }
}

/// Trials of a property whose moments are not caught: a busy machine misses some of them.
const ATTEMPTS: usize = 3;

/// Tests a property. An error of the kit says nothing about the consumer, and leaves the other properties to be tested.
pub(crate) async fn judge(property: Property, mut material: Material<'_>) -> PropertyReport {
    let _turn = material.setup.servers.wait_for_turn().await;
    let started = Instant::now();
    // Of all trials: those before the last one have passed.
    let mut strikes = Strikes::default();
    let tested = loop {
        let tested = run(property, material, &mut strikes).await;
        material.attempt += 1;
        if tested.is_err() || strikes.are_complete() || material.attempt == ATTEMPTS || !property.is_timed() {
            break tested;
        }
    };
    let (strikes, missing) = (strikes.number(), strikes.missing());
    let (verdict, failure) = match tested {
        Ok(()) if strikes == 0 => (Verdict::NotJudged, Some(not_judged(property, material))),
        Ok(()) => match missing {
            None => (Verdict::Passed, None),
            Some(kind) => {
                let problem =
                    format!("there was no {kind}: its moment was not caught, or the history is too short");
                (Verdict::NotJudged, Some(Failure { problem, ..Failure::default() }))
            }
        },
        Err(TrialError::Consumer(failure)) => (Verdict::Failed, Some(failure)),
        Err(TrialError::Kit(error)) => {
            let problem = format!("the kit failed, not the consumer: {}", with_causes(&error));
            (Verdict::NotJudged, Some(Failure { problem, ..Failure::default() }))
        }
    };
    let seconds = started.elapsed().as_secs_f64();
    PropertyReport { property, verdict, strikes, seconds, limitation: limitation(property, strikes), failure }
}

/// What a trial of this property leaves out because of the history.
fn limitation(property: Property, strikes: usize) -> Option<String> {
    (property == Property::Poison && (1..KINDS_OF_POISON).contains(&strikes)).then(|| {
        format!(
            "only the first {strikes} of the {KINDS_OF_POISON} kinds of damage: the history has too few streams with two \
             events"
        )
    })
}

/// Runs a trial, and counts how often the consumer was disturbed.
async fn run(property: Property, material: Material<'_>, strikes: &mut Strikes) -> Result<(), TrialError> {
    let Material { records, cuts, seed, .. } = material;
    let mut random = Rng::with_seed(seed);
    let script = match property {
        Property::Duplicates => feeds::duplicates(records, &mut random),
        Property::Replay => feeds::replay(records),
        Property::Gap => feeds::gap(records, cuts),
        Property::LateArrival => feeds::late_arrival(records, cuts),
        Property::AbortedTransactions => feeds::aborted_transactions(records, cuts),
        Property::Poison => feeds::poison(records, cuts),
        Property::UnknownSchema => feeds::unknown_schema(records, cuts),
        Property::UnresolvableSchema => return unresolvable_schema::run(material, strikes).await,
        Property::LargeBatch => feeds::large_batch(records),
        Property::Kill => return kill::run(material, strikes).await,
        Property::TwoInstances => return two_instances::run(material, strikes).await,
        Property::Freeze => return freeze::run(material, strikes).await,
        Property::CommitUnknown => return commit_unknown::run(material, strikes).await,
        Property::TopicRecreated => return topic_recreated::run(material, strikes).await,
        Property::PostgresRestart => return postgres_restart::run(material, strikes).await,
    };
    if property.expected() == Expected::Intact && !material.oracle.shows_damage() {
        return Ok(());
    }
    strikes.add("damaged feed", script.strikes);
    play(property, script, material).await
}

async fn play(property: Property, script: Script, material: Material<'_>) -> Result<(), TrialError> {
    let mut trial = Trial::create(material.setup, &material.name(property)).await?;
    let mut phases = script.phases.into_iter();
    trial.write(phases.next().unwrap_or_default()).await?;
    trial.start(Batch::Own).await?;
    for phase in phases {
        trial.catch_up().await?;
        trial.write(phase).await?;
    }
    trial.finish(material.oracle.tables(property.expected())).await
}

fn not_judged(property: Property, material: Material<'_>) -> Failure {
    let problem = match property {
        Property::Kill | Property::Freeze | Property::CommitUnknown | Property::PostgresRestart => {
            "the consumer was never seen in a transaction: the history is too short, or the consumer does not call \
             aqueduct_consumer.advance in the transaction of its work"
        }
        Property::TwoInstances => "no instance claimed a partition after the first one",
        Property::TopicRecreated => "the consumer had read nothing before the topics were created again",
        Property::UnresolvableSchema => "the event types of the history have no fields",
        _ if material.cuts.is_empty() => "no stream of the history has two events",
        _ => "the tables are the same without the damaged events: take a longer history or another seed",
    };
    Failure { problem: problem.to_owned(), ..Failure::default() }
}
