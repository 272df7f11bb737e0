//! What the read models must hold: folded from the store, except what was ordered and returned, which is
//! counted from the input.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::Value;

use crate::book::{Book, Money};
use crate::expect::minor;
use crate::inventory::StockEvent;
use crate::log::{Entry, Log};
use crate::upcast::latest;
use aqueduct_verify::scaled;
use aqueduct_verify::{Cells, Table};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct UserRegistered {
    country: String,
    registered_at: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OrderCreated {
    customer_id: Option<String>,
    placed_at: String,
    country: String,
    lines: Vec<IgnoredAny>,
    total: String,
}

#[derive(Deserialize)]
struct OrderConfirmed {
    day: String,
    country: String,
    confirmed: String,
}

/// The latest version of an event, `None` where it cannot be read, which is a finding of the store.
fn read<T: DeserializeOwned>(entry: &Entry) -> Option<T> {
    let version = entry.metadata.as_ref()?.schema_version;
    let data = serde_json::from_slice::<Value>(&entry.event.data).ok()?;
    let (_, data) = latest(&entry.event.event_type, version, data).ok()?;
    serde_json::from_value(data).ok()
}

fn of_category<'a>(log: &'a Log, category: &'static str) -> impl Iterator<Item = Vec<&'a Entry>> {
    let streams = log.streams().filter(move |stream| stream.category() == category);
    streams.map(|stream| log.stream(stream).collect())
}

/// `2010-12-01T08:26:00.000` as Postgres shows it: `2010-12-01 08:26:00`.
fn shown(timestamp: &str) -> String {
    let text = timestamp.replacen('T', " ", 1);
    match text.split_once('.') {
        Some((seconds, fraction)) if fraction.trim_end_matches('0').is_empty() => seconds.to_owned(),
        _ => text,
    }
}

/// A decimal string of minor units as Postgres shows it without trailing zeros.
fn amount(text: &str) -> Option<Money> {
    scaled(text, 3)
}

fn cells(values: impl IntoIterator<Item = String>) -> Cells {
    values.into_iter().map(Some).collect()
}

pub(crate) fn customers(log: &Log) -> Table {
    let mut rows = BTreeMap::new();
    for entries in of_category(log, "user") {
        let Some(entry) = entries.first() else { continue };
        if let (Some(id), Some(user)) = (entry.event.stream.id(), read::<UserRegistered>(entry)) {
            rows.insert(vec![id.to_owned()], cells([user.country, shown(&user.registered_at)]));
        }
    }
    Table {
        name: "shop.customers",
        query: "select user_id, country, registered_at::text from shop.customers",
        key: 1,
        columns: &["country", "registered_at"],
        rows,
        empty: None,
    }
}

pub(crate) fn orders(log: &Log) -> Table {
    let mut rows = BTreeMap::new();
    for entries in of_category(log, "order") {
        let (Some(first), Some(last)) = (entries.first(), entries.last()) else { continue };
        let Some((id, order)) = first.event.stream.id().zip(read::<OrderCreated>(first)) else { continue };
        let (mut state, mut confirmed) = ("created", None);
        for entry in &entries {
            match entry.event.event_type.as_str() {
                "OrderConfirmed" => {
                    state = "confirmed";
                    confirmed = read::<OrderConfirmed>(entry).and_then(|it| amount(&it.confirmed)).map(minor);
                }
                "OrderRejected" => state = "rejected",
                "OrderCancelled" => state = "cancelled",
                _ => {}
            }
        }
        let row = vec![
            order.customer_id,
            Some(shown(&order.placed_at)),
            order.placed_at.get(..10).map(ToOwned::to_owned),
            Some(order.country),
            Some(state.to_owned()),
            Some(order.lines.len().to_string()),
            amount(&order.total).map(minor),
            confirmed,
            Some(last.event.revision.to_string()),
            Some(last.event.position.to_string()),
        ];
        rows.insert(vec![id.to_owned()], row);
    }
    Table {
        name: "shop.orders",
        query: "select order_id, customer_id, placed_at::text, day::text, country, state::text, lines::text, \
                trim_scale(total)::text, trim_scale(confirmed)::text, revision::text, position::text \
                from shop.orders",
        key: 1,
        columns: &[
            "customer_id",
            "placed_at",
            "day",
            "country",
            "state",
            "lines",
            "total",
            "confirmed",
            "revision",
            "position",
        ],
        rows,
        empty: None,
    }
}

pub(crate) fn stock(log: &Log) -> Table {
    let mut rows = BTreeMap::new();
    for entries in of_category(log, "inventory") {
        let Some(last) = entries.last() else { continue };
        let (mut received, mut reserved, mut returned, mut corrected, mut refused) = (0, 0, 0, 0, 0);
        for entry in &entries {
            match StockEvent::read(entry) {
                Ok(StockEvent::Received(it)) => received += it.quantity,
                Ok(StockEvent::Reserved(it)) => reserved += it.quantity,
                Ok(StockEvent::Refused(it)) => refused += it.quantity,
                Ok(StockEvent::Returned(it)) => returned += it.quantity,
                Ok(StockEvent::Corrected(it)) => corrected += it.applied,
                Err(_) => {}
            }
        }
        let on_hand = received - reserved + returned + corrected;
        let numbers = [received, reserved, returned, corrected, refused, on_hand].map(|it| it.to_string());
        let row = cells(numbers.into_iter().chain([last.event.revision.to_string()]));
        rows.insert(vec![last.event.stream.id().unwrap_or_default().to_owned()], row);
    }
    Table {
        name: "shop.stock",
        query: "select sku, received::text, reserved::text, returned::text, corrected::text, refused::text, \
                on_hand::text, revision::text from shop.stock",
        key: 1,
        columns: &["received", "reserved", "returned", "corrected", "refused", "on_hand", "revision"],
        rows,
        empty: None,
    }
}

pub(crate) fn revenue(log: &Log, book: &Book) -> Table {
    // Ordered, returned, confirmed.
    let mut sums: BTreeMap<Vec<String>, [Money; 3]> = BTreeMap::new();
    let mut add = |day: &str, country: &str, column: usize, amount: Money| {
        sums.entry(vec![day.to_owned(), country.to_owned()]).or_default()[column] += amount;
    };
    for order in &book.orders {
        add(order.day(), &order.country, 0, order.total());
    }
    for returned in &book.returns {
        add(returned.day(), &returned.country, 1, returned.total());
    }
    for entry in log.events().iter().filter(|entry| entry.event.event_type == "OrderConfirmed") {
        if let Some(it) = read::<OrderConfirmed>(entry)
            && let Some(confirmed) = amount(&it.confirmed)
        {
            add(&it.day, &it.country, 2, confirmed);
        }
    }
    Table {
        name: "shop.revenue",
        query: "select day::text, country, trim_scale(ordered)::text, trim_scale(returned)::text, \
                trim_scale(confirmed)::text from shop.revenue",
        key: 2,
        columns: &["ordered", "returned", "confirmed"],
        rows: sums.into_iter().map(|(key, sums)| (key, cells(sums.map(minor)))).collect(),
        empty: Some(cells([0, 0, 0].map(minor))),
    }
}
