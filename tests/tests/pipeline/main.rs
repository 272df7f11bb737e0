//! The whole product: its structure, and what runs end to end.

mod architecture;
mod dashboard;
mod demo;
mod harness;
mod kills;
mod outages;
mod traces;
mod watch;
