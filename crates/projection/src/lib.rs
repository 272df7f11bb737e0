//! Projections: records from Kafka to Postgres, once each, with inbox, views, reactors and parked events.

mod deltas;
mod envelope;
mod key;
mod reactor;
mod view;

pub use deltas::Deltas;
pub use envelope::{Envelope, Place, Previous};
pub use key::Key;
pub use reactor::{ReactError, Reactor};
pub use view::View;
