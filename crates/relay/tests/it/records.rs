//! The records in the topic.

use std::collections::BTreeMap;

use aqueduct_relay::{header, partition_of};
use aqueduct_schema::RecordDecoder;

use crate::support::{World, shared_stack};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_event_once_in_order_with_its_headers() {
    let world = World::new(shared_stack().await).await;
    world.append("note-1", "Noted", 1, r#"{"text":"old"}"#).await;
    world.append("other-1", "Unknown", 1, "{}").await;
    world.append("$settings", "$settings", 1, "{}").await;
    world.append("note-2", "Noted", 2, r#"{"text":"new","colour":"red"}"#).await;
    let position = world.append("note-1", "Closed", 1, r#"{"reason":"done"}"#).await;
    let relay = world.start();

    let records = world.assert_complete(3).await;

    let of = |id: &str| records.iter().find(|it| it.headers[header::ID] == id).unwrap();
    let closed = of("1@note-1");
    assert_eq!(closed.key, "note-1");
    assert_eq!(closed.partition, partition_of("note-1", 4) as i32);
    let stored = &world.stored("note-1").await[1];
    let expected = [
        ("ce_causationid", "00000000-0000-0000-0000-000000000002"),
        ("ce_correlationid", "00000000-0000-0000-0000-000000000001"),
        ("ce_eventid", &stored.id.to_string()),
        ("ce_id", "1@note-1"),
        ("ce_position", &position.to_string()),
        ("ce_previousrevision", "0"),
        ("ce_revision", "1"),
        ("ce_schemaversion", "1"),
        ("ce_source", "aqueduct/eventstore"),
        ("ce_specversion", "1.0"),
        ("ce_subject", "note-1"),
        ("ce_time", "2010-12-01T08:26:00Z"),
        ("ce_type", "test.notes.Closed"),
        ("content-type", "application/avro"),
        ("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
    ];
    let expected: BTreeMap<_, _> = expected.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
    assert_eq!(closed.headers, expected);

    let decoder = RecordDecoder::new(world.registry.clone());
    let upcast = of("0@note-1");
    assert_eq!(upcast.headers[header::SCHEMA_VERSION], "2");
    assert_eq!(upcast.headers[header::PREVIOUS_REVISION], "-1");
    let json = decoder.decode(&upcast.value).await.unwrap().json;
    assert_eq!(json, serde_json::json!({"text": "old", "colour": "white"}));
    relay.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_goes_on_where_the_last_run_ended() {
    let world = World::new(shared_stack().await).await;
    world.append_notes(7, 500).await;
    for round in 1..=3 {
        let relay = world.start();
        world.assert_complete(500 * round).await;
        relay.stop().await;
        world.append_notes(7, 500).await;
    }
    let mut relay = world.start();
    let records = world.assert_complete(2000).await;
    for record in records {
        let previous: i64 = record.headers[header::PREVIOUS_REVISION].parse().unwrap();
        assert_eq!(previous, record.revision() as i64 - 1, "{}", record.headers[header::ID]);
    }
    relay.ready().await;
    relay.stop().await;
}
