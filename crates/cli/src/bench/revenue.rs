//! The deltas that are measured: a row per day and country, to which each batch adds.

use std::collections::BTreeMap;

use aqueduct_core::RecordedEvent;
use aqueduct_projection::Projection;
use aqueduct_schema::SchemaSet;
use aqueduct_shop::orders::{OrderEvent, Revenue};
use aqueduct_shop::topics;
use bytes::Bytes;
use jiff::ToSpan as _;
use jiff::civil::{Date, date};
use rust_decimal::Decimal;
use serde::Deserialize;

use super::decoding::{WriterSchemas, unscaled};
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

const MILLISECONDS_OF_A_DAY: i64 = 86_400_000;
/// Scale of the amounts, as the schemas have it.
const SCALE: u32 = 3;

/// Sums have no memory of earlier batches.
struct Sums;

/// What the rows need of an order.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Created<'a> {
    placed_at: i64,
    country: &'a str,
    total: &'a [u8],
}

/// What they need of its confirmation.
#[derive(Deserialize)]
struct Confirmed<'a> {
    day: i64,
    country: &'a str,
    confirmed: &'a [u8],
}

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

    fn payloads(
        &mut self,
        payloads: &[Bytes],
        _: &[i64],
        schemas: &WriterSchemas,
    ) -> Result<Vec<Column>, Failure> {
        let mut sums = BTreeMap::new();
        for payload in payloads {
            let (event_type, datum) = schemas.datum(payload)?;
            let (day, country, ordered, confirmed) = match event_type {
                "OrderCreated" => {
                    let Created { placed_at, country, total } = datum.read()?;
                    (placed_at.div_euclid(MILLISECONDS_OF_A_DAY), country, unscaled(total)?, 0)
                }
                "OrderConfirmed" => {
                    let Confirmed { day, country, confirmed } = datum.read()?;
                    (day, country, 0, unscaled(confirmed)?)
                }
                other => return Err(format!("the history holds {other}").into()),
            };
            let sum: &mut [i128; 2] = sums.entry((day, country)).or_default();
            sum[0] += ordered;
            sum[1] += confirmed;
        }
        let row = |((day, country), sum): ((i64, _), [i128; 2])| {
            let day = date(1970, 1, 1).checked_add(day.days())?;
            Ok::<_, Failure>((day, country, sum.map(|amount| Decimal::from_i128_with_scale(amount, SCALE))))
        };
        Ok(columns(sums.into_iter().map(row).collect::<Result<_, _>>()?))
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
