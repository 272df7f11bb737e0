//! The server as its clients meet it: over the wire.
#![expect(clippy::unwrap_used, reason = "in a test, what must not happen may panic")]
#![expect(clippy::print_stdout, reason = "the count of recordings that were answered alike is a result")]

mod client;
mod durability;
mod falsified;
mod player;
mod recordings;
mod server;
mod subscriptions;
mod support;
mod wire;
