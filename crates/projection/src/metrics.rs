//! Names, labels and help texts of the metrics.

use std::time::Duration;

use aqueduct_core::ErrorKind;
use metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};

/// Counter `{projection}`: events applied, including those that the projection ignores.
pub const EVENTS_APPLIED: &str = "aqueduct_projection_events_applied_total";
/// Counter `{projection}`: records that were applied or parked before.
pub const DUPLICATES: &str = "aqueduct_projection_duplicates_total";
/// Counter `{projection}`: gaps detected in streams.
pub const GAPS: &str = "aqueduct_projection_gaps_total";
/// Counter `{projection}`: events parked, including the later events of their streams.
pub const PARKED: &str = "aqueduct_projection_parked_total";
/// Counter `{projection}`: parked events discarded on request.
pub const DISCARDED: &str = "aqueduct_projection_discarded_total";
/// Gauge `{projection}`: events that are parked now.
pub const PARKED_NOW: &str = "aqueduct_projection_parked_events";
/// Counter `{projection}`: events applied without a check for gaps, because the previous revision is not known.
pub const UNCHECKED: &str = "aqueduct_projection_unchecked_total";
/// Histogram `{projection}`: seconds from the start of a batch to its commit.
pub const BATCH_SECONDS: &str = "aqueduct_projection_batch_seconds";
/// Counter `{projection, reason}`: batches that were not written by a single statement, and why: `verdict` (a record is not
/// next of its stream, as far as the batch tells), `row` (a row of the inbox or the table is not as expected), `owner`
/// (another instance has a partition), `rejected` (Postgres or the projection's code refused an event), `table`, `key`,
/// `columns`, `type`, `sum` or `delete` (the table, a value or a change of a kind that the statement does not support),
/// `recent_failure` (batches before this one failed).
pub const SLOW_BATCHES: &str = "aqueduct_projection_slow_batches_total";
/// Counter `{projection, kind}`: failed attempts by kind (`retry`, `park`, `stop`), and errors of the Kafka
/// client (`kafka`).
pub const ERRORS: &str = "aqueduct_projection_errors_total";
/// Gauge `{projection, topic, partition}`: records up to the last stable offset that are not applied yet.
pub const LAG_RECORDS: &str = "aqueduct_projection_lag_records";
/// Gauge `{projection}`: partitions that are read through the consumer which the process's projections share. The others are
/// read by the projection's own consumer, because it is not at their ends.
pub const SHARED_PARTITIONS: &str = "aqueduct_projection_shared_partitions";
/// Gauge `{projection, topic, partition}`: seconds for which the claim of an assigned partition has waited; 0 once
/// it is claimed.
pub const CLAIM_WAIT_SECONDS: &str = "aqueduct_projection_claim_wait_seconds";

/// Registers the help texts with the recorder. Call it once, after the recorder is installed.
pub fn describe() {
    describe_counter!(EVENTS_APPLIED, "Events applied, including those that the projection ignores.");
    describe_counter!(DUPLICATES, "Records that were applied or parked before.");
    describe_counter!(GAPS, "Gaps detected in streams.");
    describe_counter!(PARKED, "Events parked, including the later events of their streams.");
    describe_counter!(DISCARDED, "Parked events discarded on request.");
    describe_gauge!(PARKED_NOW, "Events that are parked now.");
    describe_counter!(
        UNCHECKED,
        "Events applied without a check for gaps, because the previous revision is not known."
    );
    describe_histogram!(
        BATCH_SECONDS,
        metrics::Unit::Seconds,
        "Time from the start of a batch to its commit."
    );
    describe_counter!(SLOW_BATCHES, "Batches that were not written by a single statement, by reason.");
    describe_counter!(
        ERRORS,
        "Failed attempts by kind (retry, park, stop), and errors of the Kafka client (kafka)."
    );
    describe_gauge!(LAG_RECORDS, "Records up to the last stable offset that are not applied yet.");
    describe_gauge!(
        SHARED_PARTITIONS,
        "Partitions that are read through the consumer which the process's projections share."
    );
    describe_gauge!(
        CLAIM_WAIT_SECONDS,
        metrics::Unit::Seconds,
        "Time for which the claim of an assigned partition has waited for Postgres."
    );
}

pub(crate) fn batch_seconds(projection: &'static str, took: Duration) {
    histogram!(BATCH_SECONDS, "projection" => projection).record(took);
}

pub(crate) fn count(name: &'static str, projection: &'static str, count: u64) {
    counter!(name, "projection" => projection).increment(count);
}

pub(crate) fn slow_batch(projection: &'static str, reason: &'static str) {
    counter!(SLOW_BATCHES, "projection" => projection, "reason" => reason).increment(1);
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
    partition_gauge(LAG_RECORDS, projection, topic, partition, records as f64);
}

pub(crate) fn shared_partitions(projection: &'static str, partitions: usize) {
    gauge!(SHARED_PARTITIONS, "projection" => projection).set(partitions as f64);
}

pub(crate) fn claim_wait(projection: &'static str, topic: &str, partition: i32, waited: Duration) {
    partition_gauge(CLAIM_WAIT_SECONDS, projection, topic, partition, waited.as_secs_f64());
}

fn partition_gauge(name: &'static str, projection: &'static str, topic: &str, partition: i32, value: f64) {
    gauge!(
        name,
        "projection" => projection, "topic" => topic.to_owned(), "partition" => partition.to_string()
    )
    .set(value);
}
