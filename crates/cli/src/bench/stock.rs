//! The view that is measured: a row per product, replaced by each batch that concerns it.

use std::collections::{BTreeMap, HashMap};

use aqueduct_core::RecordedEvent;
use aqueduct_projection::Projection;
use aqueduct_schema::SchemaSet;
use aqueduct_shop::inventory::{InventoryEvent, Stock};
use aqueduct_shop::topics;
use bytes::Bytes;
use serde::Deserialize;

use super::decoding::WriterSchemas;
use super::read_models::{Column, Fold, ReadModel, latest};
use crate::Failure;

pub(super) fn read_model() -> ReadModel {
    ReadModel {
        name: "view stock",
        topic: topics::INVENTORY,
        category: "inventory",
        projection: Projection::view::<Stock>,
        table: "create table stock (like shop.stock including all)",
        upsert: "insert into stock (sku, received, reserved, refused, on_hand, revision, returned, corrected)
                 select r.*, 0, 0 from unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[],
                                              $6::bigint[])
                     as r (sku, received, reserved, refused, on_hand, revision)
                  order by r.sku
                     on conflict (sku) do update
                    set received = excluded.received, reserved = excluded.reserved, refused = excluded.refused,
                        on_hand = excluded.on_hand, revision = excluded.revision",
        differences: "select count(*) from (
                          (table shop.stock except table stock) union all
                          (table stock except table shop.stock)) as different",
        fold: || Box::new(Shelves::default()),
    }
}

/// Received, reserved, refused, on hand, revision.
type Shelf = [i64; 5];

/// All products so far.
#[derive(Default)]
struct Shelves(HashMap<String, Shelf>);

/// What the rows need of an event of inventory: each type has these two fields.
#[derive(Deserialize)]
struct Moved<'a> {
    sku: &'a str,
    quantity: i32,
}

impl Shelves {
    fn change(
        &mut self,
        sku: &str,
        event_type: &str,
        quantity: i32,
        revision: i64,
    ) -> Result<Shelf, Failure> {
        let quantity = i64::from(quantity);
        let change = match event_type {
            "StockReceived" => [quantity, 0, 0, quantity],
            "StockReserved" => [0, quantity, 0, -quantity],
            "StockRefused" => [0, 0, quantity, 0],
            other => return Err(format!("the history holds {other}").into()),
        };
        let shelf = match self.0.get_mut(sku) {
            Some(shelf) => shelf,
            None => self.0.entry(sku.to_owned()).or_default(),
        };
        for (sum, change) in shelf.iter_mut().zip(change) {
            *sum += change;
        }
        shelf[4] = revision;
        Ok(*shelf)
    }
}

impl Fold for Shelves {
    fn events(&mut self, events: &[&RecordedEvent], schemas: &SchemaSet) -> Result<Vec<Column>, Failure> {
        let mut changed = BTreeMap::new();
        for event in events {
            let (sku, quantity) = match latest(event, schemas)? {
                InventoryEvent::StockReceived(it) => (it.sku, it.quantity),
                InventoryEvent::StockReserved(it) => (it.sku, it.quantity),
                InventoryEvent::StockRefused(it) => (it.sku, it.quantity),
                other => return Err(format!("the history holds {other:?}").into()),
            };
            let shelf = self.change(&sku, &event.event_type, quantity, event.revision.cast_signed())?;
            changed.insert(sku, shelf);
        }
        Ok(columns(changed.iter().map(|(sku, shelf)| (sku.as_str(), *shelf)).collect()))
    }

    fn payloads(
        &mut self,
        payloads: &[Bytes],
        revisions: &[i64],
        schemas: &WriterSchemas,
    ) -> Result<Vec<Column>, Failure> {
        let mut changed = HashMap::new();
        for (payload, revision) in payloads.iter().zip(revisions) {
            let (event_type, datum) = schemas.datum(payload)?;
            let Moved { sku, quantity } = datum.read()?;
            changed.insert(sku, self.change(sku, event_type, quantity, *revision)?);
        }
        Ok(columns(changed.into_iter().collect()))
    }
}

fn columns(rows: Vec<(&str, Shelf)>) -> Vec<Column> {
    let mut columns = vec![Column::Text(rows.iter().map(|(sku, _)| (*sku).to_owned()).collect())];
    columns.extend((0..5).map(|n| Column::Number(rows.iter().map(|(_, shelf)| shelf[n]).collect())));
    columns
}
