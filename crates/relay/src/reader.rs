//! Reading `$all`: the lanes of a process share readers.

pub(crate) mod feed;
pub(crate) mod filter;
pub(crate) mod limits;
pub(crate) mod queue;
pub(crate) mod reader_error;
pub(crate) mod readers;
pub(crate) mod shared;
mod task;

#[cfg(test)]
mod tests;
