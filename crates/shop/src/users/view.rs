//! The read model `shop.customers`.

use aqueduct::{Envelope, Key, View, run_query};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;

use super::UserEvent;
use crate::topics;

/// Keeps `shop.customers`: a row per account.
#[derive(Debug, Clone, Copy, Default)]
pub struct Customers;

/// A row of `shop.customers`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CustomerRow {
    user_id: String,
    country: String,
    registered_at: String,
}

impl View for Customers {
    const NAME: &'static str = "customers";
    const TOPICS: &'static [&'static str] = &[topics::USERS];
    const TABLE: &'static str = "shop.customers";
    const KEY: &'static [&'static str] = &["user_id"];
    type Event = UserEvent;
    type Row = CustomerRow;

    fn key(UserEvent::UserRegistered(event): &UserEvent, _: &Envelope) -> Key {
        [event.user_id.as_str()].into()
    }

    fn fold(_: Option<CustomerRow>, event: &UserEvent, _: &Envelope) -> Option<CustomerRow> {
        let UserEvent::UserRegistered(event) = event;
        Some(CustomerRow {
            user_id: event.user_id.clone(),
            country: event.country.clone(),
            registered_at: event.registered_at.to_string(),
        })
    }
}

/// A customer, as the users service shows one.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Customer {
    user_id: String,
    country: String,
    registered_at: String,
}
aqueduct::from_row!(Customer { user_id, country, registered_at });

/// The customer with this number, as far as the projection has come.
pub(super) async fn find(views: &PgPool, user_id: &str) -> sqlx::Result<Option<Customer>> {
    const SQL: &str = "
        SELECT user_id, country, to_char(registered_at, 'YYYY-MM-DD\"T\"HH24:MI:SS.MS') AS registered_at
        FROM shop.customers WHERE user_id = $1";
    run_query(views, |connection| {
        Box::pin(sqlx::query_as(SQL).bind(user_id.to_owned()).fetch_optional(connection))
    })
    .await
}
