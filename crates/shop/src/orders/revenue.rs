//! The read model `shop.revenue`: money per day and country, a sum over all orders and returns.

use aqueduct::{Deltas, Envelope, domain_event, run_query};
use jiff::civil::{Date, DateTime};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use sqlx::PgPool;

use crate::topics;

domain_event! {
    /// What moves money. Only the fields that the rows need: whatever else an event has, its lines above all, is not
    /// decoded.
    pub enum RevenueEvent { OrderCreated, OrderConfirmed, ReturnReceived }
}

/// Of an order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OrderCreated {
    placed_at: DateTime,
    country: String,
    total: Decimal,
}

/// Of what could be reserved of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OrderConfirmed {
    day: Date,
    country: String,
    confirmed: Decimal,
}

/// Of what came back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReturnReceived {
    received_at: DateTime,
    country: String,
    total: Decimal,
}

/// Keeps `shop.revenue`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Revenue;

/// What an event adds to a row of `shop.revenue`, in minor units.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RevenueDelta {
    day: Date,
    country: String,
    /// Booked under the day of the order.
    #[serde(skip_serializing_if = "Decimal::is_zero")]
    ordered: Decimal,
    /// What was paid back, positive, booked under the day of the return.
    #[serde(skip_serializing_if = "Decimal::is_zero")]
    returned: Decimal,
    /// What inventory's answers left of the order, booked under the day of the order.
    #[serde(skip_serializing_if = "Decimal::is_zero")]
    confirmed: Decimal,
}

impl RevenueDelta {
    fn nothing(day: Date, country: &str) -> Self {
        let [ordered, returned, confirmed] = [Decimal::ZERO; 3];
        Self { day, country: country.to_owned(), ordered, returned, confirmed }
    }
}

impl Deltas for Revenue {
    const NAME: &'static str = "revenue";
    const TOPICS: &'static [&'static str] = &[topics::ORDERS];
    const TABLE: &'static str = "shop.revenue";
    const KEY: &'static [&'static str] = &["day", "country"];
    const SUMS: &'static [&'static str] = &["ordered", "returned", "confirmed"];
    const IGNORED_TYPES: &'static [&'static str] = &["OrderRejected", "OrderCancelled"];
    type Event = RevenueEvent;
    type Row = RevenueDelta;

    fn deltas(event: &RevenueEvent, _: &Envelope) -> Vec<RevenueDelta> {
        vec![match event {
            RevenueEvent::OrderCreated(event) => RevenueDelta {
                ordered: event.total,
                ..RevenueDelta::nothing(event.placed_at.date(), &event.country)
            },
            RevenueEvent::OrderConfirmed(event) => RevenueDelta {
                confirmed: event.confirmed,
                ..RevenueDelta::nothing(event.day, &event.country)
            },
            RevenueEvent::ReturnReceived(event) => RevenueDelta {
                returned: event.total,
                ..RevenueDelta::nothing(event.received_at.date(), &event.country)
            },
        }]
    }
}

/// A day's revenue in a country, as the orders service shows it; amounts in minor units.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DayRevenue {
    day: String,
    country: String,
    ordered: String,
    returned: String,
    confirmed: String,
}
aqueduct::from_row!(DayRevenue { day, country, ordered, returned, confirmed });

/// The revenue of a day by country, as far as the projection has come.
pub(super) async fn of_day(views: &PgPool, day: Date) -> sqlx::Result<Vec<DayRevenue>> {
    const SQL: &str = "
        SELECT day::text AS day, country, ordered::text AS ordered, returned::text AS returned,
               confirmed::text AS confirmed
        FROM shop.revenue WHERE day = $1::date ORDER BY country";
    run_query(views, |connection| Box::pin(sqlx::query_as(SQL).bind(day.to_string()).fetch_all(connection)))
        .await
}
