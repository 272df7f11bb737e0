//! The server as its clients meet it: over the wire.

mod client;
mod player;
mod recordings;
mod running;
