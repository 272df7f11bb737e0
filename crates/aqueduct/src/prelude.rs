//! What a system of one's own needs in most files: `use aqueduct::prelude::*`.

pub use crate::{
    Aggregate, App, Command, CommandId, CommandRequest, Commands, Connections, Deltas, Envelope, Failure,
    Key, Reactor, Service, View, domain_event,
};
