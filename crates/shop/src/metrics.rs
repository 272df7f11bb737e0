//! Names, labels and help texts of the shop's metrics.

use std::time::Duration;

use aqueduct_core::{Answer, DomainEvent, ErrorKind, EventBus, ExecuteError};
use metrics::{Unit, counter, describe_counter, describe_histogram, histogram};

use crate::command::Committed;

/// Commands by `aggregate`, `command` and `outcome`, see [`Outcome`].
pub const COMMANDS: &str = "aqueduct_shop_commands_total";
/// Seconds from a command's arrival to its answer, by `aggregate` and `command`.
pub const COMMAND_SECONDS: &str = "aqueduct_shop_command_seconds";
/// Events that this process appended, by `event_type`.
pub const EVENTS_APPENDED: &str = "aqueduct_shop_events_appended_total";
/// Times an order found too little on a shelf.
pub const EMPTY_SHELVES: &str = "aqueduct_shop_empty_shelves_total";

/// Registers the help texts. Call it once the recorder is installed.
pub fn describe() {
    describe_counter!(COMMANDS, "Commands, by what became of them");
    describe_histogram!(COMMAND_SECONDS, Unit::Seconds, "From a command's arrival to its answer");
    describe_counter!(EVENTS_APPENDED, "Events that this process appended to the store");
    describe_counter!(EMPTY_SHELVES, "Times an order found too little on a shelf");
}

/// What became of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Events were appended.
    Appended,
    /// Answered, and nothing changed.
    Unchanged,
    /// Answered before; it got the first answer again.
    Repeated,
    /// The domain refuses it.
    Refused,
    /// The store could not be reached, or others were always faster: the caller may try again.
    Unavailable,
    /// Something is broken.
    Failed,
}

impl Outcome {
    /// Of an executed command.
    pub fn of<E, D: std::error::Error>(result: &Result<Answer<E>, ExecuteError<D>>) -> Self {
        match result {
            Ok(answer) if answer.repeated => Self::Repeated,
            Ok(answer) if answer.events.is_empty() => Self::Unchanged,
            Ok(_) => Self::Appended,
            Err(ExecuteError::Domain(_)) => Self::Refused,
            Err(error) if error.kind() == ErrorKind::Retry => Self::Unavailable,
            Err(_) => Self::Failed,
        }
    }

    fn label(self) -> &'static str {
        match self {
            Self::Appended => "appended",
            Self::Unchanged => "unchanged",
            Self::Repeated => "repeated",
            Self::Refused => "refused",
            Self::Unavailable => "unavailable",
            Self::Failed => "failed",
        }
    }
}

pub(crate) fn command(aggregate: &'static str, command: &'static str, outcome: Outcome, took: Duration) {
    counter!(COMMANDS, "aggregate" => aggregate, "command" => command, "outcome" => outcome.label())
        .increment(1);
    histogram!(COMMAND_SECONDS, "aggregate" => aggregate, "command" => command).record(took);
}

/// Counts what is appended to the aggregates whose events are `E`.
pub(crate) fn count_events<E: DomainEvent>(bus: &mut EventBus) {
    bus.subscribe("count appended events", |committed: &Committed<E>| {
        for event in &committed.events {
            counter!(EVENTS_APPENDED, "event_type" => event.event_type()).increment(1);
        }
        std::future::ready(Ok(()))
    });
}
