//! The read model `shop.orders`.

use aqueduct::{Envelope, Key, Revision, View, run_query};
use jiff::civil::{Date, DateTime};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use sqlx::PgPool;

use super::OrderEvent;
use crate::topics;

/// Keeps `shop.orders`: a row per order, with its state.
#[derive(Debug, Clone, Copy, Default)]
pub struct Orders;

/// A row of `shop.orders`. Amounts in minor units.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OrderRow {
    order_id: String,
    customer_id: Option<String>,
    placed_at: DateTime,
    day: Date,
    country: String,
    state: OrderState,
    /// How many lines of products it has.
    lines: usize,
    total: Decimal,
    /// What inventory's answers left of the total, once it has answered.
    confirmed: Option<Decimal>,
    /// Of the last event in the row, within the order's stream.
    revision: Revision,
    /// Commit position of the last event in the row, in `$all`.
    position: u64,
}

/// Where an order stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OrderState {
    /// Inventory has not answered.
    Created,
    /// At least one product was reserved, or none was asked for.
    Confirmed,
    /// Nothing was reserved.
    Rejected,
    /// The customer sent everything back.
    Cancelled,
}

impl View for Orders {
    const NAME: &'static str = "orders";
    const TOPICS: &'static [&'static str] = &[topics::ORDERS];
    const TABLE: &'static str = "shop.orders";
    const KEY: &'static [&'static str] = &["order_id"];
    const IGNORED_TYPES: &'static [&'static str] = &["ReturnReceived"];
    type Event = OrderEvent;
    type Row = OrderRow;

    fn key(event: &OrderEvent, _: &Envelope) -> Key {
        let order_id = match event {
            OrderEvent::OrderCreated(event) => &event.order_id,
            OrderEvent::OrderConfirmed(event) => &event.order_id,
            OrderEvent::OrderRejected(event) => &event.order_id,
            OrderEvent::OrderCancelled(event) => &event.order_id,
        };
        [order_id.as_str()].into()
    }

    /// An event before `OrderCreated` finds no row and makes none; the inbox lets none through.
    fn fold(row: Option<OrderRow>, event: &OrderEvent, envelope: &Envelope) -> Option<OrderRow> {
        // The relay writes the position of each event.
        let (revision, position) = (envelope.revision, envelope.position.unwrap_or_default());
        let row = match event {
            OrderEvent::OrderCreated(event) => OrderRow {
                order_id: event.order_id.clone(),
                customer_id: event.customer_id.clone(),
                placed_at: event.placed_at,
                day: event.placed_at.date(),
                country: event.country.clone(),
                state: OrderState::Created,
                lines: event.lines.len(),
                total: event.total,
                confirmed: None,
                revision,
                position,
            },
            OrderEvent::OrderConfirmed(event) => {
                OrderRow { state: OrderState::Confirmed, confirmed: Some(event.confirmed), ..row? }
            }
            OrderEvent::OrderRejected(_) => OrderRow { state: OrderState::Rejected, ..row? },
            OrderEvent::OrderCancelled(_) => OrderRow { state: OrderState::Cancelled, ..row? },
        };
        Some(OrderRow { revision, position, ..row })
    }
}

/// An order, as the orders service shows it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OrderSummary {
    order_id: String,
    customer_id: Option<String>,
    placed_at: String,
    country: String,
    state: String,
    lines: i32,
    total: String,
    confirmed: Option<String>,
    revision: i64,
}
aqueduct::from_row!(OrderSummary {
    order_id,
    customer_id,
    placed_at,
    country,
    state,
    lines,
    total,
    confirmed,
    revision
});

/// The order with this number, as far as the projection has come.
pub(super) async fn find(views: &PgPool, order_id: &str) -> sqlx::Result<Option<OrderSummary>> {
    const SQL: &str = "
        SELECT order_id, customer_id, to_char(placed_at, 'YYYY-MM-DD\"T\"HH24:MI:SS.MS') AS placed_at,
               country, state, lines, total::text AS total, confirmed::text AS confirmed, revision
        FROM shop.orders WHERE order_id = $1";
    run_query(views, |connection| {
        Box::pin(sqlx::query_as(SQL).bind(order_id.to_owned()).fetch_optional(connection))
    })
    .await
}
