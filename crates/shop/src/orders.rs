//! Orders and returns.

mod goods;
mod http;
mod legacy;
mod order;
mod returns;
mod revenue;
mod service;
mod view;

pub use http::router;
pub use legacy::LegacyOrders;
pub use order::{
    CancelOrder, ConfirmOrder, CreateOrder, Order, OrderCommand, OrderError, OrderEvent, RejectOrder,
};
pub use returns::{RegisterReturn, Return, ReturnError, ReturnEvent};
pub use revenue::{DayRevenue, Revenue, RevenueDelta, RevenueEvent};
pub use service::{run, run_legacy};
pub use view::{OrderRow, OrderState, OrderSummary, Orders};
