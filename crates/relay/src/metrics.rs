//! The relay's metrics: names, labels, help texts.

use std::time::Duration;

use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};

use crate::record::code::Code;

/// Events that became records in a committed transaction. Labels `route`, `lane`.
pub const EVENTS_RELAYED: &str = "aqueduct_relay_events_relayed_total";
/// Relayed events that were brought to a later schema version. Labels `route`, `event_type`.
pub const UPCAST: &str = "aqueduct_relay_upcast_total";
/// Kafka transactions. Labels `route`, `lane`, `outcome` (`committed`, `failed`).
pub const TRANSACTIONS: &str = "aqueduct_relay_transactions_total";
/// Time from a batch's first event to the end of its transaction. Labels `route`, `lane`.
pub const BATCH_SECONDS: &str = "aqueduct_relay_batch_seconds";
/// Faults. Labels `route`, `kind` (`event`, `schema`, `kafka`, `fenced`, `topic`, `checkpoint`, `store`, `hung`).
/// `hung` counts threads that hung, panicked or could not be started.
pub const ERRORS: &str = "aqueduct_relay_errors_total";
/// How far the checkpoint is behind the last event of the store, in positions (bytes of the store's log).
/// Labels `route`, `lane`.
pub const LAG_POSITIONS: &str = "aqueduct_relay_lag_positions";
/// Records without a previous revision: the stream was truncated, or the search for it would read more than
/// 10,000 events. Label `route`.
pub const PREVIOUS_HIDDEN: &str = "aqueduct_relay_previous_revision_hidden_total";
/// Relayed events of whose metadata something could not be used. Labels `route`, `reason` (`metadata_empty`,
/// `metadata_null`, `metadata_not_an_object`, `metadata_not_json`, `correlation_id`, `causation_id`,
/// `trace_context`).
pub const METADATA_LEFT_OUT: &str = "aqueduct_relay_metadata_left_out_total";
/// Fields of relayed events that no schema has and that were left out, where the schema says so. Labels `route`,
/// `event_type` (as stored).
pub const DROPPED_FIELDS: &str = "aqueduct_relay_dropped_fields_total";
/// Records of other producers behind the last record of the relay's own, counted when the lane starts. Labels
/// `route`, `lane`.
pub const FOREIGN_RECORDS: &str = "aqueduct_relay_foreign_records";
/// Events that were passed without a record. Labels `route`, `state` (`parked`, `skipped`, `discarded`), `code`
/// (see [`Code`]).
pub const EXCEPTIONS: &str = "aqueduct_relay_exceptions_total";
/// Events of a lane that are parked. Labels `route`, `lane`.
pub const PARKED_EVENTS: &str = "aqueduct_relay_parked_events";
/// Events that the readers of `$all` have read, those of no route included. More than `$all` has grown by were read more
/// than once: by lanes that were not at the same place.
pub const EVENTS_READ: &str = "aqueduct_relay_events_read_total";
/// Subscriptions to `$all` that readers began. Those that the store's client replaces after an interruption are not counted.
pub const READER_SUBSCRIPTIONS: &str = "aqueduct_relay_reader_subscriptions_total";
/// Lanes that left a shared reader because they were too slow for it. Label `reader` (`behind`, `live`).
pub const LANES_LET_GO: &str = "aqueduct_relay_lanes_let_go_total";
/// 1 for a lane of this instance that does its work, 0 for one that starts, retries or is halted. Labels
/// `route`, `lane`.
pub const LANE_READY: &str = "aqueduct_relay_lane_ready";

/// Registers the help texts with the recorder. Call it once, after the recorder is installed.
pub fn describe() {
    describe_counter!(EVENTS_RELAYED, "Events that became records in a committed transaction.");
    describe_counter!(UPCAST, "Relayed events that were brought to a later schema version.");
    describe_counter!(TRANSACTIONS, "Kafka transactions by outcome (committed, failed).");
    describe_histogram!(
        BATCH_SECONDS,
        Unit::Seconds,
        "Time from a batch's first event to the end of its transaction."
    );
    describe_counter!(ERRORS, "Errors by kind.");
    describe_gauge!(LAG_POSITIONS, "Positions in $all from the checkpoint to the last event.");
    describe_counter!(
        PREVIOUS_HIDDEN,
        "Records without a previous revision: the stream was truncated, or the search was too long."
    );
    describe_counter!(METADATA_LEFT_OUT, "Relayed events with metadata that could not be used, by reason.");
    describe_counter!(DROPPED_FIELDS, "Fields of relayed events that no schema has and that were left out.");
    describe_gauge!(
        FOREIGN_RECORDS,
        "Records of other producers behind the relay's last, at the lane's start."
    );
    describe_counter!(
        EXCEPTIONS,
        "Events passed without a record, by state (parked, skipped, discarded) and code."
    );
    describe_gauge!(PARKED_EVENTS, "Events that are parked now, with the later events of their streams.");
    describe_counter!(EVENTS_READ, "Events of $all that were read, those of no route included.");
    describe_counter!(READER_SUBSCRIPTIONS, "Subscriptions to $all that readers began.");
    describe_counter!(LANES_LET_GO, "Lanes that left a shared reader because they were too slow for it.");
    describe_gauge!(LANE_READY, "1 if the lane relays, 0 if it starts, retries or is halted.");
}

pub(crate) fn events_read(count: u64) {
    counter!(EVENTS_READ).increment(count);
}

pub(crate) fn reader_subscribed() {
    counter!(READER_SUBSCRIPTIONS).increment(1);
}

pub(crate) fn lane_let_go(behind: bool) {
    counter!(LANES_LET_GO, "reader" => if behind { "behind" } else { "live" }).increment(1);
}

/// Counts for one lane.
#[derive(Debug, Clone)]
pub(crate) struct LaneMetrics {
    route: String,
    lane: String,
}

impl LaneMetrics {
    pub(crate) fn new(route: &str, lane: u32) -> Self {
        Self { route: route.to_owned(), lane: lane.to_string() }
    }

    fn labels(&self) -> [(&'static str, String); 2] {
        [("route", self.route.clone()), ("lane", self.lane.clone())]
    }

    pub(crate) fn transaction(&self, outcome: &'static str) {
        let [route, lane] = self.labels();
        counter!(TRANSACTIONS, &[route, lane, ("outcome", outcome.to_owned())]).increment(1);
    }

    pub(crate) fn events_relayed(&self, count: u64) {
        counter!(EVENTS_RELAYED, &self.labels()).increment(count);
    }

    pub(crate) fn batch_took(&self, time: Duration) {
        histogram!(BATCH_SECONDS, &self.labels()).record(time);
    }

    pub(crate) fn upcast(&self, event_type: &str, count: u64) {
        let labels = [("route", self.route.clone()), ("event_type", event_type.to_owned())];
        counter!(UPCAST, &labels).increment(count);
    }

    pub(crate) fn dropped_fields(&self, event_type: &str, count: u64) {
        let labels = [("route", self.route.clone()), ("event_type", event_type.to_owned())];
        counter!(DROPPED_FIELDS, &labels).increment(count);
    }

    pub(crate) fn left_out(&self, reason: &'static str, count: u64) {
        let labels = [("route", self.route.clone()), ("reason", reason.to_owned())];
        counter!(METADATA_LEFT_OUT, &labels).increment(count);
    }

    pub(crate) fn previous_hidden(&self, count: u64) {
        if count > 0 {
            counter!(PREVIOUS_HIDDEN, "route" => self.route.clone()).increment(count);
        }
    }

    pub(crate) fn error(&self, kind: &'static str) {
        counter!(ERRORS, "route" => self.route.clone(), "kind" => kind).increment(1);
    }

    pub(crate) fn lag(&self, positions: u64) {
        gauge!(LAG_POSITIONS, &self.labels()).set(positions as f64);
    }

    pub(crate) fn foreign(&self, records: u64) {
        gauge!(FOREIGN_RECORDS, &self.labels()).set(records as f64);
    }

    pub(crate) fn exceptions(&self, state: &'static str, code: Code, count: u64) {
        let labels = [("route", self.route.clone()), ("state", state.to_owned()), ("code", code.to_string())];
        counter!(EXCEPTIONS, &labels).increment(count);
    }

    pub(crate) fn parked(&self, events: u64) {
        gauge!(PARKED_EVENTS, &self.labels()).set(events as f64);
    }

    pub(crate) fn ready(&self, ready: bool) {
        gauge!(LANE_READY, &self.labels()).set(if ready { 1.0 } else { 0.0 });
    }
}
