//! The sample system: users, orders and inventory of a real shop.

pub mod amount;
mod command;
mod deps;
pub mod events;
pub mod http;
pub mod input;
pub mod inventory;
pub mod metrics;
mod migrate;
pub mod orders;
mod product;
mod refusal;
pub mod topics;
pub mod users;

pub use command::{Command, Commands, Committed};
pub use deps::{Deps, DepsError};
pub use migrate::migrate;
pub use product::{QuantityOverflow, product_code, quantities};
pub use refusal::{InvalidField, Refusal, RefusalKind};
