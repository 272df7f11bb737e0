//! Upcasting by two steps of one rule each, against a serde struct of the latest version that needs no upcast; and how
//! long it takes until an event beyond the limits is refused.
//!
//!     cargo bench -p aqueduct-schema --bench upcast

#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on should say where")]

use std::hint::black_box;

use aqueduct_schema::{SchemaFiles, SchemaSet};
use criterion::{Criterion, criterion_group, criterion_main};
use serde::{Deserialize, Serialize};
use serde_avro_fast::Schema;
use serde_avro_fast::ser::SerializerConfig;
use serde_json::{Value, json};

/// The latest version, borrowed from the JSON as far as serde can.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Order<'a> {
    order_id: &'a str,
    customer: Option<&'a str>,
    placed: &'a str,
    #[serde(borrow)]
    lines: Vec<Line<'a>>,
    units: i64,
    label: &'a str,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Line<'a> {
    sku: &'a str,
    description: &'a str,
    quantity: i32,
    unit_price: i64,
}

fn schemas(versions: &[Value]) -> SchemaSet {
    let mut files = SchemaFiles::new("schemas");
    for (number, fields) in (1..).zip(versions) {
        let schema = json!({"type": "record", "name": "Order", "namespace": "a", "fields": fields});
        files.insert("a", "Order", number, schema.to_string());
    }
    SchemaSet::compile(&files).unwrap()
}

fn orders() -> SchemaSet {
    let line = json!({"type": "record", "name": "Line", "fields": [
        {"name": "sku", "type": "string"}, {"name": "description", "type": "string"},
        {"name": "quantity", "type": "int"}, {"name": "unitPrice", "type": "long"}]});
    let first = vec![
        json!({"name": "orderId", "type": "string"}),
        json!({"name": "customer", "type": ["null", "string"]}),
        json!({"name": "placed", "type": "string"}),
        json!({"name": "lines", "type": {"type": "array", "items": line}}),
    ];
    let with = |fields: &[Value], field: Value| [fields, &[field]].concat();
    let second = with(&first, json!({"name": "units", "type": "long", "upcast": "size(old.lines)"}));
    let plain = with(&first, json!({"name": "units", "type": "long"}));
    let label = json!({"name": "label", "type": "string", "upcast": "old.orderId + ' ' + old.placed"});
    schemas(&[first.into(), second.into(), with(&plain, label).into()])
}

fn order(lines: usize, latest: bool) -> Vec<u8> {
    let line =
        json!({"sku": "85123A", "description": "WHITE HANGING HEART", "quantity": 6, "unitPrice": 255});
    let mut order = json!({"orderId": "536365", "customer": "17850", "placed": "2010-12-01 08:26:00",
        "lines": vec![line; lines]});
    if latest {
        order["units"] = lines.into();
        order["label"] = "536365 2010-12-01 08:26:00".into();
    }
    order.to_string().into_bytes()
}

fn steps(criterion: &mut Criterion) {
    let set = orders();
    let schema: Schema = set.event("Order").unwrap().schema(3).unwrap().parse().unwrap();
    let mut config = SerializerConfig::new(&schema);
    for lines in [1, 25] {
        let (oldest, latest) = (order(lines, false), order(lines, true));
        let mut group = criterion.benchmark_group(format!("an order with {lines} lines"));
        let mut through_struct = |json: &[u8]| {
            let order: Order<'_> = serde_json::from_slice(json).unwrap();
            serde_avro_fast::to_datum_vec(&order, &mut config).unwrap()
        };
        let avro = through_struct(&latest);
        assert_eq!(avro, set.to_avro("Order", 3, &latest).unwrap());
        assert_eq!(avro, set.to_avro("Order", 1, &oldest).unwrap());
        group.bench_function("the latest version through a struct", |bencher| {
            bencher.iter(|| through_struct(black_box(&latest)));
        });
        group.bench_function("the latest version", |bencher| {
            bencher.iter(|| set.to_avro("Order", 3, black_box(&latest)).unwrap());
        });
        group.bench_function("upcast by two rules", |bencher| {
            bencher.iter(|| set.to_avro("Order", 1, black_box(&oldest)).unwrap());
        });
        group.finish();
    }
}

/// Each of them is refused.
fn limits(criterion: &mut Criterion) {
    let list = |of: Value| json!({"type": "array", "items": of});
    let by = |of: Value, rule: &str| {
        let old = json!([{"name": "x", "type": list(json!("int"))}, {"name": "t", "type": "string"}]);
        schemas(&[old, json!([{"name": "y", "type": of, "upcast": rule}])])
    };
    let event = |items: usize, text: usize| json!({"x": vec![1; items], "t": "t".repeat(text)}).to_string();
    let lines = |fields: Value| json!([{"name": "lines", "type": list(json!({"type": "record", "name": "Line", "fields": fields}))}]);
    let default = lines(json!([{"name": "t", "type": "string", "default": "t".repeat(1 << 20)}]));
    let cases = [
        ("a list of copies of it", by(list(list(json!("int"))), "old.x.map(a, old.x)"), event(4_000, 0)),
        ("a list of copies of a text", by(list(json!("string")), "old.x.map(a, old.t)"), event(4_000, 8_000)),
        ("joined texts", by(json!("long"), "size(old.x.map(a, old.t + old.t))"), event(4_000, 8_000)),
        (
            "three macros",
            by(json!("long"), "size(old.x.map(a, old.x.map(b, old.x.filter(c, c == a && c == b))))"),
            event(4_000, 0),
        ),
        (
            "a search in a text",
            by(json!("boolean"), "old.x.all(a, !old.t.contains('tttttttttttttttttttu'))"),
            event(100_000, 8_000),
        ),
        ("sums", by(json!("long"), "size(old.x.map(a, sum(old.x)))"), event(100_000, 0)),
        ("comparisons", by(json!("boolean"), "old.x.all(a, old.x == old.x + [])"), event(4_000, 0)),
        (
            "texts to numbers",
            by(json!("double"), "double(old.x.filter(a, double(old.t) > 1.0)[0])"),
            event(1_000_000, 1)
                .replace("\"t\":\"t\"", "\"t\":\"0.3333333333333333333333333333333333333333\""),
        ),
        (
            "defaults",
            schemas(&[lines(json!([])), default]),
            json!({"lines": vec![json!({}); 8_000]}).to_string(),
        ),
    ];
    let mut group = criterion.benchmark_group("an event that is refused");
    group.sample_size(10);
    for (name, set, event) in cases {
        group.bench_function(name, |bencher| {
            bencher.iter(|| set.to_avro("Order", 1, black_box(event.as_bytes())).unwrap_err());
        });
    }
    group.finish();
}

criterion_group!(benches, steps, limits);
criterion_main!(benches);
