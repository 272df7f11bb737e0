//! JSON to Avro: the product's one walk over JSON and schema against the Avro crate's own way through its
//! `Value`. Both start from the stored bytes and give the same Avro, which is checked first.
//!
//!     cargo bench -p aqueduct-schema

#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on should say where")]

use std::hint::black_box;
use std::path::Path;

use apache_avro::schema::Schema;
use apache_avro::types::Value as Avro;
use apache_avro::writer::datum::GenericDatumWriter;
use aqueduct_schema::SchemaSet;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use num_bigint::BigInt;
use serde_json::{Value, json};

#[path = "../../shop/src/events/generated.rs"]
#[allow(dead_code, unreachable_pub, reason = "written for the shop; one of its events is measured")]
mod events;

use events::OrderCreated;

const EVENT: &str = "OrderCreated";

fn order(lines: usize, version: u32) -> Value {
    let mut order = json!({"orderId": "536365", "country": "United Kingdom", "charges": []});
    let (customer, placed) = match version {
        1 => ("customer", ("placed", "2010-12-01 08:26:00")),
        _ => ("customerId", ("placedAt", "2010-12-01T08:26:00.000")),
    };
    order[customer] = "17850".into();
    order[placed.0] = placed.1.into();
    let price = if version == 1 { "2.55" } else { "255.000" };
    let line =
        json!({"sku": "85123A", "description": "WHITE HANGING HEART", "quantity": 6, "unitPrice": price});
    order["lines"] = vec![line; lines].into();
    if version == 2 {
        order["currency"] = "GBP".into();
        order["total"] = format!("{}.000", lines * 6 * 255).into();
    }
    order
}

/// What one would write against the Avro crate for this event alone.
fn through_value(writer: &GenericDatumWriter<'_>, json: &[u8]) -> Vec<u8> {
    let json: Value = serde_json::from_slice(json).unwrap();
    let text = |json: &Value| Avro::String(json.as_str().unwrap().to_owned());
    let money = |json: &Value| {
        let unscaled: BigInt = json.as_str().unwrap().replace('.', "").parse().unwrap();
        Avro::Decimal(apache_avro::Decimal::from(unscaled.to_signed_bytes_be()))
    };
    let placed: jiff::civil::DateTime = json["placedAt"].as_str().unwrap().parse().unwrap();
    let since = placed.duration_since(jiff::civil::DateTime::constant(1970, 1, 1, 0, 0, 0, 0));
    let line = |json: &Value| {
        Avro::Record(vec![
            ("sku".to_owned(), text(&json["sku"])),
            ("description".to_owned(), text(&json["description"])),
            ("quantity".to_owned(), Avro::Int(json["quantity"].as_i64().unwrap() as i32)),
            ("unitPrice".to_owned(), money(&json["unitPrice"])),
        ])
    };
    let event = Avro::Record(vec![
        ("orderId".to_owned(), text(&json["orderId"])),
        ("customerId".to_owned(), Avro::Union(1, Box::new(text(&json["customerId"])))),
        ("placedAt".to_owned(), Avro::LocalTimestampMillis(since.as_millis() as i64)),
        ("country".to_owned(), text(&json["country"])),
        ("currency".to_owned(), Avro::Enum(0, "GBP".to_owned())),
        ("lines".to_owned(), Avro::Array(json["lines"].as_array().unwrap().iter().map(line).collect())),
        ("charges".to_owned(), Avro::Array(Vec::new())),
        ("total".to_owned(), money(&json["total"])),
    ]);
    writer.write_value_to_vec(event).unwrap()
}

fn encode(criterion: &mut Criterion) {
    let set = SchemaSet::load(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schemas")).unwrap();
    let schema = Schema::parse_str(set.event(EVENT).unwrap().schema(2).unwrap()).unwrap();
    let writer = GenericDatumWriter::builder(&schema).build().unwrap();
    for lines in [1, 25] {
        let version_1 = order(lines, 1).to_string().into_bytes();
        let version_2 = order(lines, 2).to_string().into_bytes();
        let avro = set.to_avro(EVENT, 2, &version_2).unwrap();
        assert_eq!(avro, through_value(&writer, &version_2));
        assert_eq!(avro, set.to_avro(EVENT, 1, &version_1).unwrap());
        let mut group = criterion.benchmark_group(format!("OrderCreated with {lines} lines"));
        group.throughput(Throughput::Bytes(version_2.len() as u64));
        group.bench_function("JSON to Avro", |bencher| {
            bencher.iter(|| set.to_avro(EVENT, 2, black_box(&version_2)).unwrap());
        });
        // What an event of the latest version took before there was a way without the tree; upcasting still takes it.
        group.bench_function("JSON to Avro through a tree, when it is appended", |bencher| {
            bencher.iter(|| set.check(EVENT, 2, black_box(&version_2).clone()).unwrap());
        });
        group.bench_function("JSON to Avro through the Avro crate's Value", |bencher| {
            bencher.iter(|| through_value(&writer, black_box(&version_2)));
        });
        group.bench_function("JSON parsed only", |bencher| {
            bencher.iter(|| serde_json::from_slice::<Value>(black_box(&version_2)).unwrap());
        });
        group.bench_function("version 1 upcast to Avro", |bencher| {
            bencher.iter(|| set.to_avro(EVENT, 1, black_box(&version_1)).unwrap());
        });
        group.bench_function("Avro to JSON", |bencher| {
            bencher.iter(|| set.from_avro::<Value>(EVENT, 2, black_box(&avro)).unwrap());
        });
        group.bench_function("Avro to the event's struct", |bencher| {
            bencher.iter(|| set.from_avro::<OrderCreated>(EVENT, 2, black_box(&avro)).unwrap());
        });
        group.bench_function("Avro to the event's struct through JSON", |bencher| {
            bencher.iter(|| {
                let json: Value = set.from_avro(EVENT, 2, black_box(&avro)).unwrap();
                serde_json::from_slice::<OrderCreated>(&serde_json::to_vec(&json).unwrap()).unwrap()
            });
        });
        group.finish();
    }
}

criterion_group!(benches, encode);
criterion_main!(benches);
