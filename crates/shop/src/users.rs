//! Customers with an account.

mod http;
mod service;
mod user;
mod view;

pub use http::router;
pub use service::run;
pub use user::{RegisterUser, User, UserError, UserEvent};
pub use view::{Customer, CustomerRow, Customers};
