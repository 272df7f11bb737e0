//! The way of a batch through the inbox, the handler and one transaction.

pub(crate) mod batches;
pub(crate) mod context;
pub(crate) mod error;
pub(crate) mod outcome;
pub(crate) mod processor;
pub(crate) mod react;
pub(crate) mod read;
pub(crate) mod refusals;
pub(crate) mod trace;
pub(crate) mod transaction;
