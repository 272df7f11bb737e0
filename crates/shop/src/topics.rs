//! The topics that the shop's events are relayed to.

/// Events of `user-…` streams.
pub const USERS: &str = "shop.users";
/// Events of `order-…` and `return-…` streams.
pub const ORDERS: &str = "shop.orders";
/// Events of `inventory-…` streams.
pub const INVENTORY: &str = "shop.inventory";
