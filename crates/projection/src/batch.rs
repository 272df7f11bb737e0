//! Processing of a batch: read, check against the inbox, react, commit.

pub(crate) mod context;
pub(crate) mod error;
pub(crate) mod outcome;
pub(crate) mod react;
pub(crate) mod read;
pub(crate) mod retry_gate;
pub(crate) mod runner;
pub(crate) mod schedule;
pub(crate) mod single_statement;
mod slow_event;
pub(crate) mod table_fault;
pub(crate) mod trace;
pub(crate) mod transaction;
pub(crate) mod turn;
