//! The deltas that are measured: a row per day and country, to which each batch adds.

use std::collections::BTreeMap;

use aqueduct_core::RecordedEvent;
use aqueduct_projection::Projection;
use aqueduct_schema::SchemaSet;
use aqueduct_shop::orders::{OrderEvent, Revenue};
use aqueduct_shop::topics;
use jiff::civil::Date;
use rust_decimal::Decimal;

use super::read_models::{Column, Fold, ReadModel, latest};
use crate::Failure;

pub(super) fn read_model() -> ReadModel {
    ReadModel {
        name: "deltas revenue",
        topic: topics::ORDERS,
        category: "order",
        projection: Projection::deltas::<Revenue>,
        table: "create table revenue (like shop.revenue including all)",
        upsert: "insert into revenue as t (day, country, ordered, confirmed)
                 select * from unnest($1::text[]::date[], $2::text[], $3::text[]::numeric[], $4::text[]::numeric[])
                     as r (day, country, ordered, confirmed)
                  order by r.day, r.country
                     on conflict (day, country) do update
                    set ordered = t.ordered + excluded.ordered, confirmed = t.confirmed + excluded.confirmed",
        differences: "select count(*) from (
                          (table shop.revenue except table revenue) union all
                          (table revenue except table shop.revenue)) as different",
        fold: || Box::new(Sums),
    }
}

/// Sums have no memory of earlier batches.
struct Sums;

impl Fold for Sums {
    fn events(&mut self, events: &[&RecordedEvent], schemas: &SchemaSet) -> Result<Vec<Column>, Failure> {
        let mut sums = BTreeMap::new();
        for event in events {
            let (day, country, ordered, confirmed) = match latest(event, schemas)? {
                OrderEvent::OrderCreated(it) => (it.placed_at.date(), it.country, it.total, Decimal::ZERO),
                OrderEvent::OrderConfirmed(it) => (it.day, it.country, Decimal::ZERO, it.confirmed),
                other => return Err(format!("the history holds {other:?}").into()),
            };
            let sum: &mut [Decimal; 2] = sums.entry((day, country)).or_default();
            sum[0] += ordered;
            sum[1] += confirmed;
        }
        Ok(columns(sums.iter().map(|((day, country), sum)| (*day, country.as_str(), *sum)).collect()))
    }
}

fn columns(rows: Vec<(Date, &str, [Decimal; 2])>) -> Vec<Column> {
    let mut columns = vec![
        Column::Text(rows.iter().map(|(day, ..)| day.to_string()).collect()),
        Column::Text(rows.iter().map(|(_, country, _)| (*country).to_owned()).collect()),
    ];
    columns.extend((0..2).map(|n| Column::Text(rows.iter().map(|(.., sum)| sum[n].to_string()).collect())));
    columns
}
