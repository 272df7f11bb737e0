//! The sample system: a shop with users, orders and inventory, on real orders.
//!
//! Three services, each a process of its own. `users` and `orders` take commands over HTTP and answer queries
//! from read models; `inventory` does so too and is a reactor besides: what an order asks for leaves the
//! shelves, or not, and the order ends accordingly. Each context has its aggregates (pure), its HTTP routes,
//! its views, and a `run` that makes them a service; [`app`] makes them an App. [`input`] reads the shop's file of orders and feeds
//! it to the services.
//!
//! *Commands* carry an id chosen by the caller (`Idempotency-Key`, or `commandId` in a batch): sent again,
//! they get their first answer and append nothing. *Answers* of the domain are answers: a refusal is a 4xx
//! with a stable code, an empty shelf an event. *Queries* show what the projections have come to.
//!
//! ```
//! use aqueduct::testing::given;
//! use aqueduct_shop::events::{StockReceived, StockRefused};
//! use aqueduct_shop::inventory::{InventoryCommand, InventoryItem, ReserveStock};
//!
//! let [sku, order_id] = ["85123A", "536365"].map(str::to_owned);
//! let delivery = StockReceived { sku: sku.clone(), quantity: 5, delivery_id: "2010-12/85123A".into() };
//! let reserve = ReserveStock { sku: sku.clone(), order_id: order_id.clone(), quantity: 6 };
//! given::<InventoryItem>([delivery.into()])
//!     .when(InventoryCommand::Reserve(reserve))
//!     .then([StockRefused { sku, order_id, quantity: 6 }.into()]);
//! ```

pub mod amount;
mod app;
pub mod events;
pub mod http;
pub mod input;
pub mod inventory;
pub mod metrics;
pub mod orders;
mod product;
mod refusal;
mod settings;
pub mod topics;
pub mod users;

pub use app::app;
pub use product::{QuantityOverflow, product_code, quantities};
pub use refusal::{InvalidField, Refusal, RefusalKind};
pub use settings::Settings;
