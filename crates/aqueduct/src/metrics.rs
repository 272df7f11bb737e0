//! Names, labels and help texts of the metrics of commands.

use std::time::Duration;

use aqueduct_core::{CommandResult, DomainEvent, ErrorKind, ExecuteError};
use metrics::{Unit, counter, describe_counter, describe_histogram, histogram};

/// Commands by `aggregate`, `command` and `outcome`, see [`Outcome`].
pub const COMMANDS: &str = "aqueduct_commands_total";
/// Seconds from a command's arrival to its answer, by `aggregate` and `command`.
pub const COMMAND_SECONDS: &str = "aqueduct_command_seconds";
/// Events that this process appended, by `event_type`.
pub const EVENTS_APPENDED: &str = "aqueduct_events_appended_total";

/// Registers the help texts with the recorder. Call it once, after the recorder is installed.
pub fn describe() {
    describe_counter!(COMMANDS, "Commands by outcome.");
    describe_histogram!(COMMAND_SECONDS, Unit::Seconds, "Time from a command's arrival to its answer.");
    describe_counter!(EVENTS_APPENDED, "Events that this process appended to the store.");
}

/// The outcome of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Events were appended.
    Appended,
    /// Accepted, without an event.
    Unchanged,
    /// Executed before: it got its first result again.
    Repeated,
    /// The aggregate refuses it.
    Refused,
    /// The store was out of reach, or every attempt met a conflict: the caller may retry.
    Unavailable,
    /// Something is broken.
    Failed,
}

impl Outcome {
    /// Of an executed command.
    pub fn of<E, D: std::error::Error>(result: &Result<CommandResult<E>, ExecuteError<D>>) -> Self {
        match result {
            Ok(answer) if answer.duplicate => Self::Repeated,
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

pub(crate) fn appended<E: DomainEvent>(events: &[E]) {
    for event in events {
        counter!(EVENTS_APPENDED, "event_type" => event.event_type()).increment(1);
    }
}
