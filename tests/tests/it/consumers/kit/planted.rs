//! The conformance kit, on programs with a defect.

use std::path::Path;

use aqueduct_conformance::{Failure, Property, PropertyReport, Verdict};

use crate::consumers::kit::{definition, test};
use crate::consumers::{GO, PYTHON, TYPESCRIPT, Template, go, python, typescript};
use crate::support::ROOT;

/// Tests one property of the template in Python with a defect, and returns what the report says of it.
#[track_caller]
fn found_in_python(defect: &str, property: Property) -> Failure {
    let program = Path::new(ROOT).join("tests/consumers/planted/python").join(defect).with_extension("py");
    found_in(&PYTHON, &python::command_line_of(&program), property)
}

/// The same of the template in TypeScript.
#[track_caller]
fn found_in_typescript(defect: &str, property: Property) -> Failure {
    found_in(&TYPESCRIPT, &typescript::command_line_of(&format!("planted/{defect}")), property)
}

/// The same of the template in Go.
#[track_caller]
fn found_in_go(defect: &str, property: Property) -> Failure {
    found_in(&GO, &go::command_line_of(defect), property)
}

/// One that needs a moment which the kit does not choose is looked for three times.
#[track_caller]
fn found_in(template: &Template, command_line: &[String], property: Property) -> Failure {
    let attempts = match property {
        Property::Kill | Property::TwoInstances | Property::Freeze | Property::CommitUnknown => 3,
        _ => 1,
    };
    let reports =
        (1..=attempts).map(|seed| test(&definition(template), command_line, seed, &[property]).unwrap());
    let mut texts = Vec::new();
    for mut report in reports {
        match report.properties.remove(0) {
            PropertyReport { verdict: Verdict::Failed, failure: Some(failure), .. } => return failure,
            other => texts.push(other.to_string()),
        }
    }
    panic!("not found: {texts:?}")
}

/// Whether a row is missing that a correct consumer has.
fn misses_a_row(failure: &Failure) -> bool {
    failure.rows.iter().any(|row| row.is_expected)
}

/// Whether a row is there that a correct consumer does not have.
fn has_a_wrong_row(failure: &Failure) -> bool {
    failure.rows.iter().any(|row| !row.is_expected)
}

/// Whether it ended with an error. If it was being stopped at that moment, the problem is its exit status.
fn has_ended(failure: &Failure) -> bool {
    ["the consumer ended", "the consumer did not end with exit status 0"]
        .iter()
        .any(|problem| failure.problem.starts_with(problem))
}

#[test]
fn a_consumer_that_reads_uncommitted_is_found() {
    let failure = found_in_python("reads_uncommitted", Property::AbortedTransactions);
    assert!(failure.records.iter().any(|it| it.ends_with("in an aborted transaction")), "{failure}");
}

#[test]
fn a_consumer_that_ignores_gaps_is_found() {
    let failure = found_in_python("ignores_gaps", Property::Gap);
    assert!(!failure.rows.is_empty(), "{failure}");
}

#[test]
fn a_consumer_that_forgets_followers_is_found() {
    let failure = found_in_python("forgets_followers", Property::Poison);
    assert!(!failure.rows.is_empty(), "{failure}");
}

#[test]
fn a_consumer_whose_dedup_is_outside_the_transaction_is_found() {
    let failure = found_in_python("dedup_outside_transaction", Property::Kill);
    assert!(misses_a_row(&failure), "{failure}");
}

#[test]
fn a_consumer_that_resumes_from_kafka_is_found() {
    let failure = found_in_python("resumes_from_kafka", Property::Kill);
    assert!(misses_a_row(&failure), "{failure}");
}

#[test]
fn a_consumer_that_keeps_orders_in_memory_is_found() {
    let failure = found_in_python("keeps_orders_in_memory", Property::TwoInstances);
    assert!(!failure.rows.is_empty(), "{failure}");
}

#[test]
fn a_consumer_that_claims_what_kafka_has_not_assigned_is_found() {
    let failure = found_in_python("claims_again", Property::Freeze);
    assert!(has_ended(&failure), "{failure}");
}

#[test]
fn a_consumer_that_dedups_by_offset_is_found() {
    let failure = found_in_typescript("dedupsByOffset", Property::Replay);
    assert!(has_a_wrong_row(&failure), "{failure}");
}

#[test]
fn a_consumer_that_forgets_held_events_is_found() {
    let failure = found_in_typescript("forgetsHeld", Property::LateArrival);
    assert!(misses_a_row(&failure), "{failure}");
}

#[test]
fn a_consumer_that_skips_unknown_schemas_is_found() {
    let failure = found_in_typescript("skipsUnknownSchemas", Property::UnknownSchema);
    assert!(failure.records.iter().any(|it| it.contains("unknown schema id")), "{failure}");
}

#[test]
fn a_consumer_that_keeps_the_last_event_of_a_stream_is_found() {
    let failure = found_in_typescript("keepsLastOfStream", Property::LargeBatch);
    assert!(misses_a_row(&failure), "{failure}");
}

#[test]
fn a_consumer_that_commits_offsets_first_is_found() {
    let failure = found_in_typescript("commitsOffsetsFirst", Property::Kill);
    assert!(misses_a_row(&failure), "{failure}");
}

#[test]
fn a_consumer_that_starts_at_the_end_is_found() {
    let failure = found_in_typescript("startsAtTheEnd", Property::TwoInstances);
    // Where no record comes after the end, it does not even move its offset.
    let is_stuck = failure.problem.starts_with("the consumer made no progress");
    assert!(is_stuck || misses_a_row(&failure), "{failure}");
}

#[test]
fn a_consumer_that_ignores_epochs_is_found() {
    let failure = found_in_typescript("ignoresEpochs", Property::Freeze);
    // Its offsets fall behind Kafka's, which halts it when it claims them again.
    assert!(has_a_wrong_row(&failure) || has_ended(&failure), "{failure}");
}

#[test]
fn a_consumer_that_takes_a_lost_commit_for_success_is_found() {
    found_in_python("takes_lost_commit_for_success", Property::CommitUnknown);
}

#[test]
fn a_consumer_that_ignores_topic_changes_is_found() {
    let failure = found_in_python("ignores_topic_changes", Property::TopicRecreated);
    assert!(failure.problem.contains("neither ended"), "{failure}");
}

#[test]
fn a_consumer_that_ends_with_postgres_is_found() {
    let failure = found_in_go("endsWithPostgres", Property::PostgresRestart);
    assert!(has_ended(&failure), "{failure}");
}

#[test]
fn a_consumer_that_parks_what_does_not_resolve_is_found() {
    let failure = found_in_go("parksUnresolvable", Property::UnresolvableSchema);
    assert!(failure.problem.ends_with("but the consumer read on"), "{failure}");
}
