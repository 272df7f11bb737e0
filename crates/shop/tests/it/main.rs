//! The shop's services on an event store in memory: no servers, no sleeps.

mod http;
mod inventory;
mod legacy;
mod orders;
mod reactor;
mod store;
mod users;
mod views;
