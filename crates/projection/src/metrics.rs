//! Names of the metrics, their labels and help texts.

use std::time::Duration;

use aqueduct_core::ErrorKind;
use metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};

use crate::Outcome;

/// Counter `{projection}`: events applied, those included that the projection passes over.
pub const EVENTS_APPLIED: &str = "aqueduct_projection_events_applied_total";
/// Counter `{projection}`: records that were applied or parked before.
pub const DUPLICATES: &str = "aqueduct_projection_duplicates_total";
/// Counter `{projection}`: gaps found in streams.
pub const GAPS: &str = "aqueduct_projection_gaps_total";
/// Counter `{projection}`: events parked, with their followers.
pub const PARKED: &str = "aqueduct_projection_parked_total";
/// Gauge `{projection}`: events that are parked now.
pub const PARKED_NOW: &str = "aqueduct_projection_parked_events";
/// Counter `{projection}`: events applied without a gap being judged, because their record does not name the
/// one before it.
pub const UNJUDGED: &str = "aqueduct_projection_unjudged_total";
/// Histogram `{projection}`: seconds from a batch in hand to its commit.
pub const BATCH_SECONDS: &str = "aqueduct_projection_batch_seconds";
/// Counter `{projection, kind}`: failed attempts by kind (`retry`, `park`, `stop`), and errors of the Kafka
/// client (`kafka`).
pub const ERRORS: &str = "aqueduct_projection_errors_total";
/// Gauge `{projection, topic, partition}`: records up to the last stable offset that are not applied yet.
pub const LAG_RECORDS: &str = "aqueduct_projection_lag_records";

/// Tells the recorder what the metrics mean.
pub fn describe() {
    describe_counter!(EVENTS_APPLIED, "Events applied, those included that the projection passes over.");
    describe_counter!(DUPLICATES, "Records that were applied or parked before.");
    describe_counter!(GAPS, "Gaps found in streams.");
    describe_counter!(PARKED, "Events parked, with their followers.");
    describe_gauge!(PARKED_NOW, "Events that are parked now.");
    describe_counter!(UNJUDGED, "Events applied whose record does not name the one before it.");
    describe_histogram!(BATCH_SECONDS, metrics::Unit::Seconds, "From a batch in hand to its commit.");
    describe_counter!(ERRORS, "Failed attempts by kind (retry, park, stop) and errors of the Kafka client.");
    describe_gauge!(LAG_RECORDS, "Records up to the last stable offset that are not applied yet.");
}

pub(crate) fn committed(projection: &'static str, outcome: &Outcome, took: Duration) {
    histogram!(BATCH_SECONDS, "projection" => projection).record(took);
    for (name, count) in [
        (EVENTS_APPLIED, outcome.applied),
        (DUPLICATES, outcome.duplicates),
        (GAPS, outcome.gaps),
        (PARKED, outcome.parked),
        (UNJUDGED, outcome.unjudged),
    ] {
        counter!(name, "projection" => projection).increment(count);
    }
}

pub(crate) fn error(projection: &'static str, kind: ErrorKind) {
    let kind = match kind {
        ErrorKind::Retry => "retry",
        ErrorKind::Park => "park",
        ErrorKind::Stop => "stop",
    };
    counter!(ERRORS, "projection" => projection, "kind" => kind).increment(1);
}

pub(crate) fn kafka_error(projection: &'static str) {
    counter!(ERRORS, "projection" => projection, "kind" => "kafka").increment(1);
}

pub(crate) fn parked_now(projection: &'static str, events: i64) {
    gauge!(PARKED_NOW, "projection" => projection).set(events as f64);
}

pub(crate) fn lag(projection: &'static str, topic: &str, partition: i32, records: i64) {
    gauge!(
        LAG_RECORDS,
        "projection" => projection, "topic" => topic.to_owned(), "partition" => partition.to_string()
    )
    .set(records as f64);
}
