//! What most files of a system need: `use aqueduct::prelude::*`.

pub use crate::{
    Aggregate, App, Command, CommandId, CommandRequest, Commands, Connections, Deltas, Envelope, Failure,
    Key, ProjectError, Projector, Reactor, Service, View, domain_event,
};
