//! What lies on the shelves.

mod http;
mod item;
mod notices;
mod reactor;
mod service;
mod shelves;
mod view;

pub use http::{BatchResponse, Correction, Receipt, router};
pub use item::{CorrectStock, InventoryCommand, InventoryError, InventoryEvent, InventoryItem};
pub use item::{ReceiveStock, Reservation, ReserveStock, ReturnStock};
pub use reactor::{OrdersEvent, StockReactor};
pub use service::run;
pub use shelves::Shelves;
pub use view::{Stock, StockLevel, StockRow};
