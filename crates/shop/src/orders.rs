//! Orders and returns.

mod http;
mod legacy;
mod order;
mod returns;
mod revenue;
mod view;

pub use http::router;
pub use legacy::LegacyOrders;
pub use order::{
    CancelOrder, ConfirmOrder, CreateOrder, Order, OrderCommand, OrderError, OrderEvent, RejectOrder,
};
pub use returns::{RegisterReturn, Return, ReturnError, ReturnEvent};
pub use revenue::{Revenue, RevenueDelta, RevenueEvent};
pub use view::{OrderRow, OrderState, Orders};
