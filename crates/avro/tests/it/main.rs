//! Avro as its reference implementation has it.

mod golden;
mod hostile;
mod round_trips;
