//! What a projection does with its events: views, deltas, reactors.

pub(crate) mod deltas;
pub(crate) mod error;
pub(crate) mod handler;
pub(crate) mod key;
pub(crate) mod reactor;
pub(crate) mod statements;
pub(crate) mod table;
pub(crate) mod view;
