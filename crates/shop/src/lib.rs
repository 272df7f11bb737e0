//! The sample system: users, orders and inventory of a real shop.
