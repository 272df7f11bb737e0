//! Events that other programs wrote.

use std::collections::BTreeMap;

use aqueduct_core::ExpectedRevision::Any;
use aqueduct_core::{ContentType, NewEvent};
use aqueduct_relay::{OnBadEvent, Route, create_topics, header};
use aqueduct_schema::RecordDecoder;

use crate::faults::halted;
use crate::support::{Seen, World, shared_stack};

const NOTE: &str = r#"{"text":"x","colour":"red"}"#;

/// Appends an event of any content type.
fn append_as(world: &World, content_type: ContentType, event_type: &str, data: &[u8], metadata: &[u8]) {
    let event = NewEvent {
        id: uuid::Uuid::new_v4(),
        event_type: event_type.to_owned(),
        data: data.to_vec().into(),
        metadata: metadata.to_vec().into(),
    };
    world.store.append_as(content_type, &"note-0".into(), Any, &[event]).unwrap();
}

fn append(world: &World, event_type: &str, data: &str, metadata: &str) {
    append_as(world, ContentType::Json, event_type, data.as_bytes(), metadata.as_bytes());
}

/// `ce_id` and previous revision of each record, sorted.
fn ids(records: &[Seen]) -> Vec<(&str, &str)> {
    let mut ids: Vec<_> = records
        .iter()
        .map(|it| (it.headers[header::ID].as_str(), it.headers[header::PREVIOUS_REVISION].as_str()))
        .collect();
    ids.sort_unstable();
    ids
}

/// Two routes carry the same events by their types; each counts its own predecessors.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn routes_select_by_type_prefix_and_exclusion() {
    let mut world = World::new(shared_stack().await).await;
    let first = world.options.routes[0].clone();
    let all = Route {
        stream_prefixes: ["note-a".to_owned()].into(),
        ..Route::of_categories(&format!("{}-all", first.name), &format!("{}-all", first.topic), [""; 0])
    };
    let mut of_types = first.clone();
    of_types.categories.clear();
    of_types.event_types = ["Not*".to_owned(), "Closed".to_owned()].into();
    of_types.exclude.stream_prefixes = ["note-b".to_owned()].into();
    of_types.exclude.event_types = ["*sed".to_owned()].into();
    world.options.routes = vec![of_types, all];
    create_topics(&world.cluster, &world.options).await.unwrap();
    world.publish(&["Noted", "Closed"]).await;
    for (stream, event_type) in [
        ("note-a", "Noted"),
        ("note-a", "Closed"),
        ("note-b", "Noted"),
        ("note-a", "Noted"),
        ("memo-a", "Noted"),
    ] {
        let data = if event_type == "Noted" { NOTE } else { r#"{"reason":"done"}"# };
        world.append_with(stream, event_type, data, "").await;
    }
    let relay = world.start();

    let records = world.records(3).await;
    assert_eq!(ids(&records), [("0@memo-a", "-1"), ("0@note-a", "-1"), ("2@note-a", "0")]);
    world.options.routes.swap(0, 1);
    let records = world.records(3).await;
    assert_eq!(ids(&records), [("0@note-a", "-1"), ("1@note-a", "0"), ("2@note-a", "1")]);
    relay.stop().await;
}

/// Events of the server itself are selected where their exact type is named; links never are.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_system_event_is_a_record_where_its_type_is_named() {
    let mut world = World::new(shared_stack().await).await;
    world.options.routes[0].categories.clear();
    world.options.routes[0].event_types = ["$settings".to_owned(), "Closed".to_owned()].into();
    world.options.events.types = [("$settings", "Closed")].into_iter().collect();
    let closed = r#"{"reason":"done"}"#;
    for (stream, event_type) in [
        ("$config", "$metadata"),
        ("$config", "$settings"),
        ("$config", "Closed"),
        ("note-0", "$>"),
        ("note-0", "Closed"),
    ] {
        world.append_with(stream, event_type, closed, "").await;
    }
    let relay = world.start();

    let records = world.records(3).await;
    assert_eq!(ids(&records), [("1@$config", "-1"), ("1@note-0", "-1"), ("2@$config", "1")]);
    relay.stop().await;
}

/// No key of ours is needed: what an event does not say has a default, and what has a wrong form is left out.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_without_our_metadata_become_records() {
    let mut world = World::new(shared_stack().await).await;
    let types = [
        ("Acme.Notes.{event}, Acme.Notes", "{event}"),
        ("V{version}.{event}", "{event}"),
        ("note.closed", "Closed"),
    ];
    world.options.events.types = types.into_iter().collect();
    world.options.events.metadata = serde_json::from_value(serde_json::json!({
        "correlation_id": ["metadata:/correlation"],
        "time": [{"pointer": "data:/at", "unit": "seconds"}],
    }))
    .unwrap();
    append(&world, "Acme.Notes.Noted, Acme.Notes", NOTE, "");
    append(&world, "V1.Noted", r#"{"text":"old"}"#, "null");
    append(&world, "note.closed", r#"{"reason":"done"}"#, r#"{"correlation":"auth0|7","$causationId":42}"#);
    let megabyte =
        format!(r#"{{"correlation":"{}","traceparent":"x","schemaVersion":"2"}}"#, "x".repeat(1 << 20));
    append(&world, "Noted", NOTE, &megabyte);
    append(&world, "Noted", r#"{"text":"without a colour"}"#, "not JSON");
    let relay = world.start();

    let records = world.assert_complete(5).await;
    let of = |revision: u64| records.iter().find(|it| it.revision() == revision).unwrap();
    let types: Vec<_> = (0..5).map(|n| &*of(n).headers[header::TYPE]).collect();
    let (noted, closed) = ("test.notes.Noted", "test.notes.Closed");
    assert_eq!(types, [noted, noted, closed, noted, noted]);
    assert_eq!(of(0).headers[header::TIME], "1970-01-01T00:00:00Z", "the store's");
    assert_eq!(of(2).headers[header::CORRELATION_ID], "auth0|7");
    assert_eq!(of(2).headers[header::CAUSATION_ID], "42");
    for absent in [header::CORRELATION_ID, header::CAUSATION_ID, header::TRACEPARENT] {
        assert!([0, 1, 3, 4].iter().all(|n| !of(*n).headers.contains_key(absent)), "{absent}");
    }
    let decoder = RecordDecoder::new(world.registry.clone());
    let mut texts = BTreeMap::new();
    for n in [1, 4] {
        texts.insert(n, decoder.decode(&of(n).value).await.unwrap().json);
    }
    assert_eq!(texts[&1], serde_json::json!({"text": "old", "colour": "white"}), "upcast from version 1");
    assert_eq!(texts[&4]["text"], "without a colour", "of the latest version");
    relay.stop().await;
}

/// Each halts its lane where the policy is to halt, which names the event, the reason and the command that passes it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_cannot_be_mapped_is_named_with_its_code() {
    let large = format!(r#"{{"text":"{}","colour":"red"}}"#, "x".repeat(16 << 20));
    for (content_type, event_type, data, metadata, code) in [
        (ContentType::Json, "Room Booked", NOTE, "", "unmapped_type"),
        (ContentType::Json, "Noted", NOTE, r#"{"timestamp":true}"#, "metadata"),
        (ContentType::Json, "V2.Noted", NOTE, r#"{"schemaVersion":1}"#, "versions_differ"),
        (ContentType::Json, "Noted", "", "", "not_json"),
        (ContentType::Json, "Noted", "[]", "", "not_json"),
        (ContentType::Json, "Noted", r#"{"text":"x""#, "", "not_json"),
        (ContentType::Binary, "Noted", NOTE, "", "not_json"),
        (ContentType::Json, "Unheard", "{}", "", "unknown_type"),
        (ContentType::Json, "V9.Noted", NOTE, "", "unknown_version"),
        (ContentType::Json, "Noted", r#"{"text":7}"#, "", "payload"),
        (ContentType::Json, "Noted", &large, "", "too_large"),
    ] {
        let mut world = World::new(shared_stack().await).await;
        world.options.events.types = [("V{version}.{event}", "{event}")].into_iter().collect();
        append(&world, "Noted", NOTE, "");
        append_as(&world, content_type, event_type, data.as_bytes(), metadata.as_bytes());
        let mut relay = world.start();
        let command = format!("aqueduct parked park 1@note-0 --route {}", world.route());
        halted(&mut relay, world.route(), &["event 1@note-0", event_type, code, &command]).await;
        assert_eq!(world.records(1).await.len(), 1, "{code}");
        relay.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_route_may_declare_a_type_to_be_json() {
    let mut world = World::new(shared_stack().await).await;
    world.options.routes[0].json_types = ["No*".to_owned()].into();
    append_as(&world, ContentType::Binary, "Noted", NOTE.as_bytes(), b"");
    let relay = world.start();
    world.assert_complete(1).await;
    relay.stop().await;
}

/// Events of a type that is added to a route count from the lane's checkpoint on, as predecessors too; the policy may
/// change at any time, the other keys of the selection may not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_type_may_be_added_to_a_route() {
    let mut world = World::new(shared_stack().await).await;
    let route = &mut world.options.routes[0];
    route.event_types = ["Noted".to_owned()].into();
    let closed = r#"{"reason":"done"}"#;
    append(&world, "Noted", NOTE, "");
    append(&world, "Closed", closed, "");
    let relay = world.start();
    let before = world.checkpoints(1).await.pop().unwrap();
    assert!(before.get("since").is_none(), "{before}");
    let passed = |checkpoint: &serde_json::Value| checkpoint["position"] == 1;
    let mut checkpoints = 1;
    while !passed(&world.checkpoints(checkpoints).await.pop().unwrap()) {
        checkpoints += 1;
    }
    relay.stop().await;

    world.options.routes[0].event_types.insert("Closed".to_owned());
    world.options.routes[0].on_bad_event = Some(OnBadEvent::Halt);
    let relay = world.start();
    append(&world, "Closed", closed, "");
    append(&world, "Noted", NOTE, "");
    let records = world.records(3).await;
    assert_eq!(ids(&records), [("0@note-0", "-1"), ("2@note-0", "0"), ("3@note-0", "2")]);
    let after = world.checkpoints(checkpoints + 1).await.pop().unwrap();
    assert_eq!(after["since"], serde_json::json!({"Closed": 1}), "{after}");
    relay.stop().await;

    let mut removed = world.options.clone();
    removed.routes[0].event_types.remove("Closed");
    crate::faults::expect_refusal(&world, &removed, "another event type").await;
    let mut changed = world.options.clone();
    changed.routes[0].exclude.categories = ["memo".to_owned()].into();
    crate::faults::expect_refusal(&world, &changed, "have changed since the lane's first record").await;
}
