//! Avro as its reference implementation has it.

#![expect(clippy::unwrap_used, reason = "a failure in a helper fails the test")]

mod golden;
mod hostile;
mod round_trips;
