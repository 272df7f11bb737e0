//! Names, labels and help texts of this crate's metrics.

use metrics::{Unit, counter, describe_counter};

/// Resubscriptions to `$all`, by `reason`.
pub const RESUBSCRIPTIONS: &str = "aqueduct_eventstore_resubscriptions_total";
/// Clients built, including the first one of each connection.
pub const CLIENTS_BUILT: &str = "aqueduct_eventstore_clients_built_total";
/// Sockets of the client on which TCP_NODELAY was set.
pub const NODELAY_SET: &str = "aqueduct_eventstore_nodelay_set_total";

/// Registers the help texts with the recorder that is installed.
pub fn describe() {
    describe_counter!(
        RESUBSCRIPTIONS,
        Unit::Count,
        "Resubscriptions to $all by reason (consumer_too_slow, error, connection, behind, ended, silent, panic)."
    );
    describe_counter!(
        CLIENTS_BUILT,
        Unit::Count,
        "Event store clients built, including the first one of each connection."
    );
    describe_counter!(NODELAY_SET, Unit::Count, "Sockets of the event store client set to TCP_NODELAY.");
}

pub(crate) fn resubscription(reason: &'static str) {
    counter!(RESUBSCRIPTIONS, "reason" => reason).increment(1);
}

pub(crate) fn client_built() {
    counter!(CLIENTS_BUILT).increment(1);
}

pub(crate) fn nodelay_set(sockets: u64) {
    counter!(NODELAY_SET).increment(sockets);
}
