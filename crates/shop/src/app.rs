//! The shop as an App.

use aqueduct::App;

use crate::settings::Settings;
use crate::{inventory, orders, users};

/// The shop: three services, one of them also in its old version, and four read models. Its reactor runs within
/// the inventory service.
pub fn app() -> App {
    App::new("shop")
        .about("The sample system: a shop with users, orders and inventory")
        .migrations([(1, "read models", include_str!("../migrations/0001_read_models.sql"))])
        .view::<users::Customers>()
        .view::<orders::Orders>()
        .deltas::<orders::Revenue>()
        .view::<inventory::Stock>()
        .service("users", users::run)
        .service("orders", orders::run)
        .service("legacy-orders", orders::run_legacy)
        .service("inventory", inventory::run)
        .section::<Settings>("shop")
        .rename_key("http.users", "shop.users")
        .rename_key("http.orders", "shop.orders")
        .rename_key("http.legacy_orders", "shop.legacy_orders")
        .rename_key("http.inventory", "shop.inventory")
}
