//! The read model `shop.stock`.

use aqueduct::{Envelope, Key, Revision, View, run_query};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;

use super::InventoryEvent;
use crate::topics;

/// Keeps `shop.stock`: a row per product. All columns count pieces.
#[derive(Debug, Clone, Copy, Default)]
pub struct Stock;

/// A row of `shop.stock`. `on_hand = received - reserved + returned + corrected`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct StockRow {
    sku: String,
    received: i64,
    reserved: i64,
    returned: i64,
    /// What corrections changed, down being negative.
    corrected: i64,
    /// What orders asked for in vain.
    refused: i64,
    on_hand: i64,
    /// Of the last event in the row, within the product's stream.
    revision: Revision,
}

impl View for Stock {
    const NAME: &'static str = "stock";
    const TOPICS: &'static [&'static str] = &[topics::INVENTORY];
    const TABLE: &'static str = "shop.stock";
    const KEY: &'static [&'static str] = &["sku"];
    type Event = InventoryEvent;
    type Row = StockRow;

    fn key(event: &InventoryEvent, _: &Envelope) -> Key {
        [sku(event)].into()
    }

    fn fold(row: Option<StockRow>, event: &InventoryEvent, envelope: &Envelope) -> Option<StockRow> {
        let mut row = row.unwrap_or_else(|| StockRow { sku: sku(event).to_owned(), ..StockRow::default() });
        let (column, pieces, change) = match event {
            InventoryEvent::StockReceived(event) => (&mut row.received, event.quantity, 1),
            InventoryEvent::StockReserved(event) => (&mut row.reserved, event.quantity, -1),
            InventoryEvent::StockReturned(event) => (&mut row.returned, event.quantity, 1),
            InventoryEvent::StockCorrected(event) => (&mut row.corrected, event.applied, 1),
            InventoryEvent::StockRefused(event) => (&mut row.refused, event.quantity, 0),
        };
        *column += i64::from(pieces);
        row.on_hand += change * i64::from(pieces);
        row.revision = envelope.revision;
        Some(row)
    }
}

fn sku(event: &InventoryEvent) -> &str {
    match event {
        InventoryEvent::StockReceived(event) => &event.sku,
        InventoryEvent::StockReserved(event) => &event.sku,
        InventoryEvent::StockRefused(event) => &event.sku,
        InventoryEvent::StockReturned(event) => &event.sku,
        InventoryEvent::StockCorrected(event) => &event.sku,
    }
}

/// A product's stock, as the inventory service shows it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StockLevel {
    sku: String,
    on_hand: i64,
    received: i64,
    reserved: i64,
    returned: i64,
    corrected: i64,
    refused: i64,
    revision: i64,
}
aqueduct::from_row!(StockLevel { sku, on_hand, received, reserved, returned, corrected, refused, revision });

/// The stock of the product with this code, as far as the projection has come.
pub(super) async fn find(views: &PgPool, sku: &str) -> sqlx::Result<Option<StockLevel>> {
    const SQL: &str = "
        SELECT sku, on_hand, received, reserved, returned, corrected, refused, revision
        FROM shop.stock WHERE sku = $1";
    run_query(views, |connection| {
        Box::pin(sqlx::query_as(SQL).bind(sku.to_owned()).fetch_optional(connection))
    })
    .await
}
