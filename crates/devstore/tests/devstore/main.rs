//! The server as its clients meet it: over the wire.

mod client;
mod durability;
mod falsified;
mod player;
mod recordings;
mod running;
mod server;
mod subscriptions;
mod wire;
