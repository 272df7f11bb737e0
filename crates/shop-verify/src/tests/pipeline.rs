//! Relay and projections as they should be, in a few lines.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use serde_avro_fast::ser::SerializerConfig;
use serde_json::Value;

use super::shopkeeper::Happening;
use super::{PARTITIONS, SOURCE};
use aqueduct_verify::testing::{Inbox, InboxOffset, InboxStream, Record, partition};
use aqueduct_verify::{Cells, Route};

use crate::book::Book;
use crate::lines::read;
use crate::options::{default_projections, default_topics};

/// The schemas of the repository, latest versions, numbered as a registry would.
pub(super) struct Schemas(Vec<(String, serde_avro_fast::Schema, String)>);

impl Schemas {
    pub(super) fn shipped() -> Self {
        let types = [
            ("users", "UserRegistered/v1"),
            ("orders", "OrderCreated/v2"),
            ("orders", "OrderConfirmed/v1"),
            ("orders", "OrderRejected/v1"),
            ("orders", "OrderCancelled/v1"),
            ("orders", "ReturnReceived/v1"),
            ("inventory", "StockReceived/v1"),
            ("inventory", "StockReserved/v1"),
            ("inventory", "StockRefused/v1"),
            ("inventory", "StockReturned/v1"),
            ("inventory", "StockCorrected/v1"),
        ];
        let schemas: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schemas");
        let read = |(context, file): &(&str, &str)| {
            let text = std::fs::read_to_string(schemas.join(context).join(format!("{file}.avsc"))).unwrap();
            let name = file.split_once('/').unwrap().0.to_owned();
            (name, text.parse().unwrap(), text)
        };
        Self(types.iter().map(read).collect())
    }

    /// The schemas by the id that the registry gave them.
    pub(super) fn texts(self) -> BTreeMap<u32, String> {
        (1..).zip(self.0.into_iter().map(|(.., text)| text)).collect()
    }

    /// The value of a record in the wire format.
    pub(super) fn encode(&self, event_type: &str, data: &Value) -> Vec<u8> {
        let index = self.0.iter().position(|(name, ..)| name == event_type).unwrap();
        let mut value = vec![0];
        value.extend(u32::try_from(index + 1).unwrap().to_be_bytes());
        let mut config = SerializerConfig::new(&self.0[index].1);
        serde_avro_fast::to_datum(&numbered(data), value, &mut config).unwrap()
    }
}

/// The plain JSON with its times and days as the numbers that Avro wants.
fn numbered(data: &Value) -> Value {
    let mut data = data.clone();
    for (name, value) in data.as_object_mut().unwrap() {
        let text = value.as_str().unwrap_or_default();
        match name.as_str() {
            "placedAt" | "registeredAt" | "receivedAt" => {
                let at: jiff::Timestamp = format!("{text}Z").parse().unwrap();
                *value = at.as_millisecond().into();
            }
            "day" => {
                let at: jiff::Timestamp = format!("{text}T00:00:00Z").parse().unwrap();
                *value = (at.as_second() / 86_400).into();
            }
            _ => {}
        }
    }
    data
}

pub(super) fn relay(happenings: &[Happening]) -> BTreeMap<String, Vec<Record>> {
    let schemas = Schemas::shipped();
    let topics = default_topics();
    let mut records: BTreeMap<String, Vec<Record>> =
        topics.keys().map(|it| (it.clone(), Vec::new())).collect();
    // Offset 0 of each partition holds a transaction marker: offsets have holes.
    let mut next: HashMap<(&str, i32), i64> = HashMap::new();
    for happening in happenings {
        let event = &happening.event;
        let carries = |it: &(&String, &Route)| it.1.selection.selects(&event.stream, &event.event_type);
        let topic = topics.iter().find(carries).unwrap().0;
        let key = event.stream.as_str().as_bytes();
        let partition = partition(key, PARTITIONS);
        let offset = next.entry((topic, partition)).or_insert(1);
        records.get_mut(topic).unwrap().push(Record {
            partition,
            offset: *offset,
            key: Some(key.to_vec()),
            headers: headers(topic, happening),
            unnamed_headers: 0,
            value: Some(schemas.encode(&event.event_type, &happening.latest)),
        });
        *offset += 2;
    }
    for records in records.values_mut() {
        records.sort_by_key(|record| record.partition);
    }
    records
}

fn headers(topic: &str, happening: &Happening) -> Vec<(String, Vec<u8>)> {
    let (event, metadata) = (&happening.event, &happening.metadata);
    let previous = i64::try_from(event.revision).unwrap() - 1;
    let mut headers = vec![
        ("content-type", "application/avro".to_owned()),
        ("ce_specversion", "1.0".to_owned()),
        ("ce_id", format!("{}@{}", event.revision, event.stream)),
        ("ce_type", format!("{topic}.{}", event.event_type)),
        ("ce_source", SOURCE.to_owned()),
        ("ce_subject", event.stream.to_string()),
        ("ce_time", metadata.timestamp.to_string()),
        ("ce_eventid", event.id.to_string()),
        ("ce_revision", event.revision.to_string()),
        ("ce_previousrevision", previous.to_string()),
        ("ce_position", event.position.to_string()),
        ("ce_schemaversion", happening.latest_version.to_string()),
        ("ce_correlationid", metadata.correlation_id.to_string()),
        ("ce_causationid", metadata.causation_id.to_string()),
    ];
    headers.extend(metadata.traceparent.clone().map(|it| ("traceparent", it)));
    headers.into_iter().map(|(name, value)| (name.to_owned(), value.into_bytes())).collect()
}

pub(super) fn inbox(happenings: &[Happening], records: &BTreeMap<String, Vec<Record>>) -> Inbox {
    let topics = default_topics();
    let mut inbox = Inbox::default();
    for (projection, reads) in default_projections() {
        for topic in reads {
            let mut last = BTreeMap::new();
            for Happening { event, .. } in happenings {
                if topics[&topic].selection.selects(&event.stream, &event.event_type) {
                    last.insert(event.stream.to_string(), i64::try_from(event.revision).unwrap());
                }
            }
            let row = |(stream, revision)| InboxStream {
                projection: projection.clone(),
                source: "aqueduct/eventstore".to_owned(),
                topic: topic.clone(),
                stream,
                revision,
            };
            inbox.streams.extend(last.into_iter().map(row));
            let mut ends = BTreeMap::new();
            for record in &records[&topic] {
                ends.insert(record.partition, record.offset + 1);
            }
            let row = |(partition, next)| InboxOffset {
                projection: projection.clone(),
                topic: topic.clone(),
                partition,
                next: Some(next),
            };
            inbox.offsets.extend(ends.into_iter().map(row));
        }
    }
    inbox
}

/// Folds the events one after the other, as they come: no dedup, no look for gaps.
pub(super) fn views(csv: &str, happenings: &[Happening]) -> BTreeMap<String, Vec<Cells>> {
    let mut tables: BTreeMap<&str, BTreeMap<String, Cells>> = BTreeMap::new();
    for name in ["shop.customers", "shop.orders", "shop.stock", "shop.revenue"] {
        tables.insert(name, BTreeMap::new());
    }
    let of_day = day_and_country(csv);
    for Happening { event, latest, .. } in happenings {
        let id = event.stream.id().unwrap();
        let text = |name: &str| latest[name].as_str().map(ToOwned::to_owned);
        let time = |name: &str| text(name).map(|it| it.replacen('T', " ", 1).replace(".000", ""));
        let revision = Some(event.revision.to_string());
        let mut book = |column: usize, (day, country): (Option<String>, Option<String>), amount: &str| {
            let key = format!("{} {}", day.as_deref().unwrap(), country.as_deref().unwrap());
            let zero =
                || vec![day, country, Some("0".to_owned()), Some("0".to_owned()), Some("0".to_owned())];
            let row = tables.get_mut("shop.revenue").unwrap().entry(key).or_insert_with(zero);
            row[column] = Some(sum(row[column].as_deref().unwrap(), amount));
        };
        match event.event_type.as_str() {
            "OrderCreated" => book(2, of_day[id].clone(), latest["total"].as_str().unwrap()),
            "ReturnReceived" => book(3, of_day[id].clone(), latest["total"].as_str().unwrap()),
            "OrderConfirmed" => {
                book(4, (text("day"), text("country")), latest["confirmed"].as_str().unwrap());
            }
            _ => {}
        }
        match event.stream.category() {
            "user" => {
                let row = vec![Some(id.to_owned()), text("country"), time("registeredAt")];
                tables.get_mut("shop.customers").unwrap().insert(id.to_owned(), row);
            }
            "order" => {
                let row = tables.get_mut("shop.orders").unwrap().entry(id.to_owned()).or_insert_with(|| {
                    let mut row = vec![None; 11];
                    row[0] = Some(id.to_owned());
                    row
                });
                match event.event_type.as_str() {
                    "OrderCreated" => {
                        row[1] = text("customerId");
                        row[2] = time("placedAt");
                        row[3] = text("placedAt").map(|it| it[..10].to_owned());
                        row[4] = text("country");
                        row[5] = Some("created".to_owned());
                        row[6] = Some(latest["lines"].as_array().unwrap().len().to_string());
                        row[7] = Some(sum("0", latest["total"].as_str().unwrap()));
                    }
                    "OrderConfirmed" => {
                        row[5] = Some("confirmed".to_owned());
                        row[8] = Some(sum("0", latest["confirmed"].as_str().unwrap()));
                    }
                    "OrderRejected" => row[5] = Some("rejected".to_owned()),
                    _ => row[5] = Some("cancelled".to_owned()),
                }
                row[9] = revision;
                row[10] = Some(event.position.to_string());
            }
            "inventory" => {
                let row = tables.get_mut("shop.stock").unwrap().entry(id.to_owned()).or_insert_with(|| {
                    let mut row = vec![Some("0".to_owned()); 8];
                    row[0] = Some(id.to_owned());
                    row
                });
                let (column, change) = match event.event_type.as_str() {
                    "StockReceived" => (1, latest["quantity"].as_i64().unwrap()),
                    "StockReserved" => (2, -latest["quantity"].as_i64().unwrap()),
                    "StockReturned" => (3, latest["quantity"].as_i64().unwrap()),
                    "StockCorrected" => (4, latest["applied"].as_i64().unwrap()),
                    _ => (5, latest["quantity"].as_i64().unwrap()),
                };
                let mut add = |column: usize, number: i64| {
                    let before: i64 = row[column].as_deref().unwrap().parse().unwrap();
                    row[column] = Some((before + number).to_string());
                };
                add(column, if column == 2 { -change } else { change });
                add(6, if column == 5 { 0 } else { change });
                row[7] = revision;
            }
            _ => {}
        }
    }
    tables.into_iter().map(|(name, rows)| (name.to_owned(), rows.into_values().collect())).collect()
}

/// By order or return, its day and country.
fn day_and_country(csv: &str) -> HashMap<String, (Option<String>, Option<String>)> {
    let book = Book::of(read(csv.as_bytes(), Path::new("made up")).unwrap());
    let found = |id: &str, at: &str, country: &str| {
        (id.to_owned(), (Some(at[..10].to_owned()), Some(country.to_owned())))
    };
    let orders = book.orders.iter().map(|it| found(&it.id, &it.at, &it.country));
    orders.chain(book.returns.iter().map(|it| found(&it.id, &it.at, &it.country))).collect()
}

/// Adds two decimals of three places at most; no trailing zeros.
fn sum(a: &str, b: &str) -> String {
    let thousandths = |text: &str| {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        format!("{whole}{fraction:0<3}").parse::<i128>().unwrap()
    };
    let text = super::shopkeeper::pence(thousandths(a) + thousandths(b));
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
