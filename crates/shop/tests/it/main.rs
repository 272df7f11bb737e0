//! The shop's services on an event store in memory: no servers, no sleeps.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "what fails in a helper fails the test")]

mod http;
mod inventory;
mod legacy;
mod orders;
mod reactor;
mod store;
mod users;
mod views;
