//! The read models that are measured, each as the product keeps it and as bare SQL would.

use std::collections::BTreeMap;
use std::sync::Arc;

use aqueduct_core::{Codec as _, DomainEvent, RecordedEvent};
use aqueduct_projection::{Decoder, Options, Projection};
use aqueduct_schema::SchemaSet;
use aqueduct_shop::inventory::{InventoryEvent, Stock};
use aqueduct_shop::orders::{OrderEvent, Revenue};
use aqueduct_shop::topics;

use crate::Failure;

/// A read model, the statements of its bare side and the rows that these are given.
pub(super) struct ReadModel {
    pub(super) name: &'static str,
    pub(super) topic: &'static str,
    /// The streams whose events it keeps.
    pub(super) category: &'static str,
    pub(super) projection: fn(Options, Arc<dyn Decoder>) -> Projection,
    /// Makes the bare side's table, with what the product's own has.
    pub(super) table: &'static str,
    /// Writes a batch's rows, which are bound as one array a column.
    pub(super) upsert: &'static str,
    /// Counts the rows in which both sides' tables differ.
    pub(super) differences: &'static str,
    /// What a batch of events makes of the rows; batches come in order.
    pub(super) rows: Rows,
}

type Rows = Box<dyn FnMut(&[&RecordedEvent], &SchemaSet) -> Result<Vec<Column>, Failure> + Send>;

/// Values of one column.
pub(super) enum Column {
    Text(Vec<String>),
    Number(Vec<i64>),
}

/// A view: a row per product, replaced by each batch that concerns it.
pub(super) fn stock() -> ReadModel {
    let mut shelves = BTreeMap::new();
    ReadModel {
        name: "view stock",
        topic: topics::INVENTORY,
        category: "inventory",
        projection: Projection::view::<Stock>,
        table: "create table bare.stock (like shop.stock including all)",
        upsert: "insert into bare.stock (sku, received, reserved, refused, on_hand, revision, returned, corrected)
                 select r.*, 0, 0 from unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[],
                                              $6::bigint[])
                     as r (sku, received, reserved, refused, on_hand, revision)
                  order by r.sku
                     on conflict (sku) do update
                    set received = excluded.received, reserved = excluded.reserved, refused = excluded.refused,
                        on_hand = excluded.on_hand, revision = excluded.revision",
        differences: "select count(*) from (
                          (table shop.stock except table bare.stock) union all
                          (table bare.stock except table shop.stock)) as different",
        rows: Box::new(move |events, schemas| shelves_after(&mut shelves, events, schemas)),
    }
}

/// Received, reserved, refused, on hand, revision.
type Shelf = [i64; 5];

fn shelves_after(
    shelves: &mut BTreeMap<String, Shelf>,
    events: &[&RecordedEvent],
    schemas: &SchemaSet,
) -> Result<Vec<Column>, Failure> {
    let mut changed = BTreeMap::new();
    for event in events {
        let (sku, change) = match latest(event, schemas)? {
            InventoryEvent::StockReceived(it) => (it.sku, [it.quantity, 0, 0, it.quantity]),
            InventoryEvent::StockReserved(it) => (it.sku, [0, it.quantity, 0, -it.quantity]),
            InventoryEvent::StockRefused(it) => (it.sku, [0, 0, it.quantity, 0]),
            other => return Err(format!("the history holds {other:?}").into()),
        };
        let shelf: &mut Shelf = shelves.entry(sku.clone()).or_default();
        for (sum, change) in shelf.iter_mut().zip(change) {
            *sum += i64::from(change);
        }
        shelf[4] = event.revision.cast_signed();
        changed.insert(sku, *shelf);
    }
    let mut columns = vec![Column::Text(changed.keys().cloned().collect())];
    columns.extend((0..5).map(|n| Column::Number(changed.values().map(|shelf| shelf[n]).collect())));
    Ok(columns)
}

/// Deltas: a row per day and country, to which each batch adds.
pub(super) fn revenue() -> ReadModel {
    ReadModel {
        name: "deltas revenue",
        topic: topics::ORDERS,
        category: "order",
        projection: Projection::deltas::<Revenue>,
        table: "create table bare.revenue (like shop.revenue including all)",
        upsert: "insert into bare.revenue as t (day, country, ordered, confirmed)
                 select * from unnest($1::text[]::date[], $2::text[], $3::text[]::numeric[], $4::text[]::numeric[])
                     as r (day, country, ordered, confirmed)
                  order by r.day, r.country
                     on conflict (day, country) do update
                    set ordered = t.ordered + excluded.ordered, confirmed = t.confirmed + excluded.confirmed",
        differences: "select count(*) from (
                          (table shop.revenue except table bare.revenue) union all
                          (table bare.revenue except table shop.revenue)) as different",
        rows: Box::new(sums_of),
    }
}

fn sums_of(events: &[&RecordedEvent], schemas: &SchemaSet) -> Result<Vec<Column>, Failure> {
    let mut sums = BTreeMap::new();
    for event in events {
        let (day, country, ordered, confirmed) = match latest(event, schemas)? {
            OrderEvent::OrderCreated(it) => (it.placed_at.date(), it.country, it.total, 0.into()),
            OrderEvent::OrderConfirmed(it) => (it.day, it.country, 0.into(), it.confirmed),
            other => return Err(format!("the history holds {other:?}").into()),
        };
        let sum: &mut [rust_decimal::Decimal; 2] = sums.entry((day.to_string(), country)).or_default();
        sum[0] += ordered;
        sum[1] += confirmed;
    }
    let column = |of: fn(&(String, String)) -> &String| Column::Text(sums.keys().map(of).cloned().collect());
    let mut columns = vec![column(|(day, _)| day), column(|(_, country)| country)];
    columns.extend((0..2).map(|n| Column::Text(sums.values().map(|sum| sum[n].to_string()).collect())));
    Ok(columns)
}

fn latest<E: DomainEvent>(event: &RecordedEvent, schemas: &SchemaSet) -> Result<E, Failure> {
    let version = event.parse_metadata()?.schema_version;
    let json = schemas.upcast(&event.event_type, version, &event.data)?;
    let read = E::from_json(&event.event_type, &json);
    Ok(read.ok_or_else(|| format!("the history holds {}", event.event_type))??)
}
