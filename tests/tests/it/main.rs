//! The whole product: its structure, and what runs end to end.
#![expect(clippy::unwrap_used, reason = "clippy knows tests by their attribute, not the helpers beside them")]

mod architecture;
mod bank;
mod configuration;
mod consumers;
mod dashboard;
mod demo;
mod dev;
mod docs;
mod halted_lane;
mod histories;
mod imports;
mod input;
mod kills;
mod live;
mod node_client;
mod outages;
mod own_store;
mod parked;
mod parked_kills;
mod planted;
mod schema_changes;
mod sql_examples;
mod sql_shop;
mod stranger;
mod support;
mod topic;
mod traces;
mod upgrade;
mod volume;
mod watch;
