//! Customers with an account.

mod http;
mod user;
mod view;

pub use http::router;
pub use user::{RegisterUser, User, UserError, UserEvent};
pub use view::{CustomerRow, Customers};
