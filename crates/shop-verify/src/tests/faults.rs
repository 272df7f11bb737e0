//! One fault each, between each two stages.

use aqueduct_core::Position;
use serde_json::{Value, json};

use super::shopkeeper::Happening;
use super::{World, pipeline};
use aqueduct_verify::Stage;
use aqueduct_verify::testing::{ParkedEvent, Record};

const HEADER: &str = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country";

/// Two months: customers, a guest, a bank fee, a correction, charges, free goods, an order that is undone
/// wholly, one that is rejected.
const LINES: [&str; 16] = [
    "1,22423,CAKESTAND,6,2010-12-01 08:26:00,10.95,17850,United Kingdom",
    "1,84406b,\"HANGER, HEART\",2,2010-12-01 08:26:00,2.75,17850,United Kingdom",
    "1,84406B,\"HANGER, HEART\",1,2010-12-01 08:26:00,0.001,17850,United Kingdom",
    "1,POST,POSTAGE,1,2010-12-01 08:26:00,18,17850,United Kingdom",
    "2,22423,CAKESTAND,1,2010-12-01 09:00:00,12.75,,EIRE",
    "3,22423,damaged,-4,2010-12-01 09:05:00,0,,United Kingdom",
    "4,BANK CHARGES,BANK CHARGES,1,2010-12-01 09:06:00,15,,United Kingdom",
    "5,22423,CAKESTAND,3,2010-12-01 10:00:00,10.95,13047,France",
    "5,PADS,PADS TO MATCH,1,2010-12-01 10:00:00,0,13047,France",
    "C6,84406B,\"HANGER, HEART\",-1,2010-12-02 10:00:00,2.75,17850,United Kingdom",
    "C6,D,Discount,-1,2010-12-02 10:00:00,1.5,17850,United Kingdom",
    "C7,22423,CAKESTAND,-3,2010-12-03 10:00:00,10.95,13047,France",
    "C7,PADS,PADS TO MATCH,-1,2010-12-03 10:00:00,0,13047,France",
    "8,22423,CAKESTAND,2,2011-01-04 10:00:00,10.95,17850,United Kingdom",
    "8,22423,CAKESTAND,2,2011-01-04 10:00:00,10.95,17850,United Kingdom",
    "9,M,Manual,1,2011-01-04 11:00:00,4.5,13047,France",
];

fn csv(lines: &[&str]) -> String {
    format!("{HEADER}\n{}\n", lines.join("\n"))
}

fn world() -> World {
    World::honest(&csv(&LINES), 1)
}

/// The stage says exactly one thing about it, or the given number.
#[track_caller]
fn says(world: &World, stage: Stage, parts: &[&str]) {
    let found = world.judge_stage(stage);
    let said = found.iter().any(|text| parts.iter().all(|part| text.contains(part)));
    assert!(said, "expected {parts:?} among {found:#?}");
}

fn place(world: &World, reference: &str) -> usize {
    world.happenings.iter().position(|it| it.event.reference() == reference).expect(reference)
}

/// The event of that type that concerns that order or return.
fn answer(world: &World, event_type: &str, id: &str) -> usize {
    let about = |it: &Happening| {
        it.latest.get("orderId").or_else(|| it.latest.get("returnId")) == Some(&json!(id))
            && it.event.event_type == event_type
    };
    world.happenings.iter().position(about).expect(event_type)
}

fn alter(happening: &mut Happening, field: &str, value: Value) {
    let mut data: Value = serde_json::from_slice(&happening.event.data).unwrap();
    assert!(data.get(field).is_some_and(|before| *before != value));
    data[field] = value;
    happening.event.data = serde_json::to_vec(&data).unwrap().into();
}

/// Revisions and positions as the store would have given them.
fn renumber(happenings: &mut [Happening]) {
    let mut next = std::collections::HashMap::new();
    for (number, Happening { event, .. }) in happenings.iter_mut().enumerate() {
        let revision = next.entry(event.stream.clone()).or_insert(0);
        (event.revision, event.position) = (*revision, Position::at(number as u64 * 100));
        *revision += 1;
    }
}

fn record<'a>(world: &'a mut World, topic: &str, id: &str) -> (&'a mut Vec<Record>, usize) {
    let records = world.records.get_mut(topic).unwrap();
    let is_it =
        |it: &Record| it.headers.iter().any(|(name, value)| name == "ce_id" && value == id.as_bytes());
    let at = records.iter().position(is_it).expect(id);
    (records, at)
}

#[test]
fn an_honest_run_has_no_findings() {
    for seed in 0..50 {
        assert_eq!(World::honest(&csv(&LINES), seed).judge(), [], "seed {seed}");
    }
}

#[test]
fn input_to_store_a_line_dropped() {
    for dropped in 0..LINES.len() {
        let mut lines = LINES.to_vec();
        let line = lines.remove(dropped);
        let short = World::honest(&csv(&lines), 1);
        let world = World { csv: csv(&LINES), ..short };
        // A fee and a line at price zero that nobody bought leave nothing behind.
        let found = world.judge_stage(Stage::Store);
        assert_eq!(found.is_empty(), line.contains("BANK CHARGES"), "{line}: {found:#?}");
    }
}

#[test]
fn input_to_store_an_event_dropped() {
    for at in 0..world().happenings.len() {
        let mut world = world();
        let dropped = world.happenings.remove(at);
        renumber(&mut world.happenings);
        let found = world.judge_stage(Stage::Store);
        // An order that is cancelled before its end has none, so this one is not missed.
        let missed = !(dropped.event.reference() == "1@order-5" && world.happenings.iter().any(cancels_5));
        let missing = found.iter().any(|text| text.starts_with("store: missing"));
        assert_eq!(missing, missed, "{:?}: {found:#?}", dropped.event.reference());
    }
}

fn cancels_5(it: &Happening) -> bool {
    it.event.event_type == "OrderCancelled" && it.event.stream.as_str() == "order-5"
}

#[test]
fn input_to_store_an_event_doubled() {
    for at in 0..world().happenings.len() {
        let mut world = world();
        let doubled = world.happenings[at].clone();
        world.happenings.insert(at + 1, doubled.clone());
        renumber(&mut world.happenings);
        let found = world.judge_stage(Stage::Store);
        let twice = found.iter().any(|text| text.starts_with("store: duplicate"));
        assert!(twice, "{:?}: {found:#?}", doubled.event.reference());
    }
}

#[test]
fn input_to_store_two_events_swapped() {
    let mut world = world();
    let (created, ended) = (place(&world, "0@order-1"), place(&world, "1@order-1"));
    world.happenings.swap(created, ended);
    renumber(&mut world.happenings);
    says(&world, Stage::Store, &["out of order", "0@order-1 OrderConfirmed"]);

    let mut world = self::world();
    let (created, answered) = (place(&world, "0@order-1"), answer(&world, "StockReserved", "1"));
    world.happenings.swap(created, answered);
    renumber(&mut world.happenings);
    says(&world, Stage::Store, &["out of order", "StockReserved", "comes before 0@order-1"]);
}

#[test]
fn input_to_store_an_event_altered() {
    let cases = [
        ("0@user-17850", "country", json!("France"), ".country"),
        ("0@order-1", "placed", json!("2010-12-01 08:26:01"), ".placed"),
        ("0@order-1", "lines", json!([]), ".lines: expected 3 entries"),
        ("0@order-8", "total", json!("4380.001"), ".total"),
        ("0@return-C7", "undoes", json!("1"), ".undoes"),
        ("1@order-1", "confirmed", json!("1.000"), ".confirmed"),
        ("0@inventory-22423", "quantity", json!(13), "delivery 2010-12/22423 brings 13, 14"),
        ("StockCorrected", "requested", json!(-3), "line 7 asks for -4, not -3"),
        ("StockCorrected", "applied", json!(-3), "applies -3 where -4 was possible"),
        ("StockReturned", "quantity", json!(7), "return C6 holds 1, not 7"),
        ("StockReserved", "quantity", json!(7), "order 1 wants 6, not 7"),
    ];
    for (reference, field, value, text) in cases {
        let mut world = world();
        let is_it = |it: &Happening| it.event.reference() == reference || it.event.event_type == reference;
        let at = world.happenings.iter().position(is_it).expect(reference);
        alter(&mut world.happenings[at], field, value);
        says(&world, Stage::Store, &["mismatch", reference, text]);
    }
}

#[test]
fn input_to_store_a_product_answered_twice() {
    let mut world = world();
    let at = answer(&world, "StockReserved", "2");
    let mut again = world.happenings[at].clone();
    again.event.event_type = "StockRefused".to_owned();
    world.happenings.push(again);
    renumber(&mut world.happenings);
    says(&world, Stage::Store, &["duplicate", "inventory-22423 StockRefused", "order 2 was answered before"]);
}

#[test]
fn input_to_store_an_answer_that_does_not_follow_from_the_stock() {
    let mut world = world();
    let at = answer(&world, "StockReserved", "1");
    world.happenings[at].event.event_type = "StockRefused".to_owned();
    says(&world, Stage::Store, &["mismatch", "StockRefused", "with"]);

    let mut world = self::world();
    let delivered = place(&world, "0@inventory-22423");
    let event = world.happenings.remove(delivered);
    world.happenings.push(event);
    renumber(&mut world.happenings);
    says(&world, Stage::Store, &["mismatch", "StockReserved", "on the shelf"]);
    says(&world, Stage::Store, &["mismatch", "leaves -"]);
    says(&world, Stage::Store, &["out of order", "the delivery of 2010-12 is not before it"]);
}

#[test]
fn input_to_store_something_else_in_the_store() {
    for (stream, event_type) in [("order-77", "OrderCreated"), ("user-1", "UserRegistered")] {
        let mut world = world();
        let mut more = world.happenings[0].clone();
        (more.event.stream, more.event.event_type) = (stream.into(), event_type.to_owned());
        world.happenings.push(more);
        renumber(&mut world.happenings);
        says(&world, Stage::Store, &["mismatch", stream, "nothing in the input accounts for this stream"]);
    }
}

#[test]
fn input_to_store_an_effect_of_another_request() {
    for (event_type, id) in [("StockReserved", "1"), ("OrderConfirmed", "1"), ("StockReturned", "C7")] {
        let mut world = world();
        let at = answer(&world, event_type, id);
        world.happenings[at].metadata.correlation_id =
            "00000000-0000-4000-8000-000000000000".parse().unwrap();
        let metadata = serde_json::to_vec(&world.happenings[at].metadata).unwrap();
        world.happenings[at].event.metadata = metadata.into();
        says(&world, Stage::Store, &["mismatch", event_type, "has another correlation id than 0@"]);
    }
}

#[test]
fn the_metadata_of_an_event_is_looked_at() {
    let mut world = world();
    let at = place(&world, "0@order-1");
    world.happenings[at].event.metadata = "{}".into();
    says(&world, Stage::Store, &["mismatch", "0@order-1", "metadata cannot be read"]);

    let mut world = self::world();
    world.happenings[at].metadata.aggregate_id = "2".to_owned();
    let metadata = serde_json::to_vec(&world.happenings[at].metadata).unwrap();
    world.happenings[at].event.metadata = metadata.into();
    says(&world, Stage::Store, &["mismatch", "0@order-1", "metadata names aggregate order 2"]);
}

/// The real file, as far as it takes: the two readings of its rules are the same, so this shows that an honest
/// run of any part of it passes, and the figures that it has.
#[test]
fn an_honest_run_of_real_orders_has_no_findings() {
    let file = "../../tests/data/online-retail/orders-2010-12-to-2011-06.csv.gz";
    let file = std::fs::File::open(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap();
    let mut text = String::new();
    let mut file = std::io::BufReader::new(flate2::read::GzDecoder::new(file));
    std::io::Read::read_to_string(&mut file, &mut text).unwrap();
    let lines: Vec<&str> = text.lines().take(8_001).collect();
    let world = World::honest(&format!("{}\n", lines.join("\n")), 7);
    assert_eq!(world.judge(), []);
}

#[test]
fn others_streams_are_left_alone() {
    let mut world = world();
    for stream in ["$settings", "$$order-1", "invoices-1", "orders"] {
        let mut more = world.happenings[0].clone();
        more.event.stream = stream.into();
        more.event.position = Position::at(1_000_000);
        world.happenings.push(more);
    }
    assert_eq!(world.judge(), []);
}

#[test]
fn store_to_topic_an_event_dropped() {
    let mut world = world();
    let (records, at) = record(&mut world, "shop.orders", "1@order-1");
    records.remove(at);
    says(&world, Stage::Topics, &["missing", "shop.orders", "1@order-1 has no record"]);
}

#[test]
fn store_to_topic_an_event_doubled() {
    let mut world = world();
    let (records, at) = record(&mut world, "shop.orders", "0@order-1");
    let mut again = records[at].clone();
    again.offset = 1_000;
    records.push(again);
    says(&world, Stage::Topics, &["duplicate", "@1000", "0@order-1"]);
}

#[test]
fn store_to_topic_two_events_swapped() {
    let mut world = world();
    let (records, first) = record(&mut world, "shop.orders", "0@order-1");
    let second = records.iter().position(|it| it.headers[2].1 == b"1@order-1").unwrap();
    records.swap(first, second);
    says(&world, Stage::Topics, &["out of order", "0@order-1 comes after 1@order-1"]);
}

#[test]
fn store_to_topic_a_payload_altered() {
    let mut world = world();
    let (records, at) = record(&mut world, "shop.inventory", "0@inventory-22423");
    *records[at].value.as_mut().unwrap().iter_mut().find(|byte| **byte == 28).unwrap() = 30;
    says(&world, Stage::Topics, &["mismatch", "0@inventory-22423: payload.quantity: 15 instead of 14"]);
}

#[test]
fn store_to_topic_a_record_where_it_should_not_be() {
    type Change = fn(&mut Record);
    let cases: [(&str, Change); 8] = [
        ("1 headers have names that are not UTF-8", |it| it.unnamed_headers = 1),
        ("its key belongs to partition", |it| it.partition = (it.partition + 1) % 4),
        ("is not an event of this topic in the store", |it| it.key = Some(b"order-77".to_vec())),
        ("ce_revision is not a number", |it| it.headers.retain(|(name, _)| name != "ce_revision")),
        ("header ce_previousrevision is none, expected -1", |it| {
            it.headers.retain(|(name, _)| name != "ce_previousrevision");
        }),
        ("header ce_subindex is 1, expected none", |it| {
            it.headers.push(("ce_subindex".into(), b"1".to_vec()))
        }),
        ("its value is not in the wire format", |it| it.value = None),
        ("bytes are left over", |it| it.value.as_mut().unwrap().push(0)),
    ];
    for (text, change) in cases {
        let mut world = world();
        let (records, at) = record(&mut world, "shop.orders", "0@order-1");
        change(&mut records[at]);
        let found = world.judge_stage(Stage::Topics);
        assert!(found.iter().any(|it| it.contains(text)), "{text}: {found:#?}");
    }
}

#[test]
fn store_to_topic_each_header_altered() {
    let names: Vec<String> = {
        let mut world = world();
        let (records, at) = record(&mut world, "shop.orders", "0@order-1");
        records[at].headers.iter().map(|(name, _)| name.clone()).collect()
    };
    assert!(names.len() >= 14);
    for name in names.iter().filter(|name| *name != "ce_revision") {
        let mut world = world();
        let (records, at) = record(&mut world, "shop.orders", "0@order-1");
        records[at].headers.iter_mut().find(|(found, _)| found == name).unwrap().1 = b"7".to_vec();
        says(&world, Stage::Topics, &["mismatch", &format!("0@order-1: header {name} is 7")]);
    }
}

/// What the views show after `change` was done to the events on their way from the topics.
fn projected(change: impl FnOnce(&mut Vec<Happening>)) -> World {
    let mut world = world();
    let mut on_the_way = world.happenings.clone();
    change(&mut on_the_way);
    world.rows = pipeline::views(&world.csv, &on_the_way);
    world.inbox = pipeline::inbox(&on_the_way, &world.records);
    world
}

#[test]
fn topic_to_view_an_event_dropped() {
    let count = world().happenings.len();
    for at in 0..count {
        let mut dropped = None;
        let world = projected(|events| dropped = Some(events.remove(at)));
        let dropped = dropped.unwrap().event;
        let found = [world.judge_stage(Stage::Views), world.judge_stage(Stage::Inbox)].concat();
        assert!(!found.is_empty(), "{} {}", dropped.reference(), dropped.event_type);
    }
    let world = projected(|events| events.retain(|it| it.event.reference() != "1@order-1"));
    says(&world, Stage::Views, &["mismatch", "shop.orders 1", "state is created, expected confirmed"]);
    says(&world, Stage::Inbox, &["missing", "orders order-1", "applied up to revision 0, the last is 1"]);
}

#[test]
fn topic_to_view_an_event_doubled() {
    let world = projected(|events| {
        let at = events.iter().position(|it| it.event.event_type == "StockReturned").unwrap();
        events.insert(at, events[at].clone());
    });
    says(&world, Stage::Views, &["mismatch", "shop.stock", "returned is 2, expected 1"]);
    let world = projected(|events| {
        let at = events.iter().position(|it| it.event.reference() == "1@order-1").unwrap();
        events.insert(at, events[at].clone());
    });
    says(&world, Stage::Views, &["mismatch", "shop.revenue 2010-12-01 United Kingdom", "confirmed is"]);
}

#[test]
fn topic_to_view_two_events_swapped() {
    let world = projected(|events| {
        let at =
            |reference| events.iter().position(|it: &Happening| it.event.reference() == reference).unwrap();
        let (first, second) = (at("0@order-1"), at("1@order-1"));
        events.swap(first, second);
    });
    says(&world, Stage::Views, &["mismatch", "shop.orders 1", "state is created, expected confirmed"]);
}

#[test]
fn topic_to_view_an_event_altered() {
    let world = projected(|events| {
        let user = events.iter_mut().find(|it| it.event.event_type == "UserRegistered").unwrap();
        user.latest["country"] = json!("Elsewhere");
    });
    says(&world, Stage::Views, &["mismatch", "shop.customers 17850", "country is Elsewhere"]);
}

#[test]
fn topic_to_view_an_event_parked() {
    let mut world = world();
    world.inbox.parked.push(ParkedEvent {
        projection: "orders".to_owned(),
        source: "aqueduct/eventstore".to_owned(),
        topic: "shop.orders".to_owned(),
        stream: "order-1".to_owned(),
        revision: Some(1),
        is_discarded: false,
        reason: "gap".to_owned(),
    });
    says(&world, Stage::Inbox, &["parked", "orders 1@order-1", "gap"]);
}

#[test]
fn topic_to_view_a_partition_not_taken_to_its_end_or_beyond_it() {
    let mut world = world();
    let row = world.inbox.offsets.iter_mut().find(|row| row.projection == "stock").unwrap();
    row.next = row.next.map(|next| next - 1);
    says(&world, Stage::Inbox, &["missing", "stock shop.inventory[", "the last record is at"]);
    let row = world.inbox.offsets.iter_mut().find(|row| row.projection == "stock").unwrap();
    // Behind the last record is the marker of its transaction; the one after it is the end.
    row.next = row.next.map(|next| next + 3);
    says(&world, Stage::Inbox, &["mismatch", "stock shop.inventory[", "the partition ends at"]);
}
