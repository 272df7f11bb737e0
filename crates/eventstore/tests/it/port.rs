//! What core's port promises, by whichever store keeps it.

use aqueduct_core::{
    AllItem, AppendError, ContentType, ErrorKind, EventStore, ExpectedRevision, MemoryStore, StreamName,
};
use eventstore::{Client, EventData, TombstoneStreamOptions};
use futures::StreamExt as _;

use crate::support::{Server, Subscription, event, next_event, soon};

#[tokio::test]
async fn memory_store_behaves() {
    port_suite(&MemoryStore::default()).await;
}

#[tokio::test]
async fn adapter_behaves() {
    let server = Server::in_memory().await;
    port_suite(&server.store()).await;
}

async fn port_suite(store: &dyn EventStore) {
    appends_are_read_back(store).await;
    revisions_are_checked(store).await;
    reads_stop_at_the_ends(store).await;
    subscriptions_begin_after_a_position(store).await;
}

async fn appends_are_read_back(store: &dyn EventStore) {
    let stream = StreamName::from("note-read");
    let events = [event("one"), event("two")];
    let appended = store.append(&stream, ExpectedRevision::NoStream, &events).await.unwrap();
    assert_eq!(appended.revision, 1);
    let read = store.read_stream(&stream, 0, 10).await.unwrap();
    assert_eq!(read.len(), 2);
    for (n, (read, sent)) in read.iter().zip(&events).enumerate() {
        assert_eq!((read.revision, read.stream.as_str()), (n as u64, "note-read"));
        assert_eq!((read.id, &read.event_type), (sent.id, &sent.event_type));
        assert_eq!((&read.data, &read.metadata), (&sent.data, &sent.metadata));
    }
    assert!(read[0].position < read[1].position);
    assert_eq!(read[1].position, appended.position);
    assert!(store.last_position().await.unwrap() >= Some(appended.position));
}

async fn revisions_are_checked(store: &dyn EventStore) {
    let stream = StreamName::from("note-expected");
    store.append(&stream, ExpectedRevision::NoStream, &[event("0")]).await.unwrap();
    store.append(&stream, ExpectedRevision::Exact(0), &[event("1")]).await.unwrap();
    store.append(&stream, ExpectedRevision::Any, &[event("2")]).await.unwrap();
    for (wrong, stream, is) in [
        (ExpectedRevision::NoStream, "note-expected", Some(2)),
        (ExpectedRevision::Exact(1), "note-expected", Some(2)),
        (ExpectedRevision::Exact(3), "note-expected", Some(2)),
        (ExpectedRevision::Exact(0), "note-none", None),
    ] {
        match store.append(&stream.into(), wrong, &[event("x")]).await {
            Err(AppendError::WrongExpectedRevision { stream: named, expected, actual }) => {
                assert_eq!((named.as_str(), expected, actual), (stream, wrong, is));
            }
            other => panic!("{wrong:?}: {other:?}"),
        }
    }
    assert_eq!(store.read_stream(&stream, 0, 10).await.unwrap().len(), 3);
}

async fn reads_stop_at_the_ends(store: &dyn EventStore) {
    let stream = StreamName::from("note-ends");
    let events: Vec<_> = (0..5).map(|n| event(&n.to_string())).collect();
    store.append(&stream, ExpectedRevision::NoStream, &events).await.unwrap();
    for (from, limit, revisions) in [
        (0, 5, vec![0, 1, 2, 3, 4]),
        (1, 2, vec![1, 2]),
        (4, 10, vec![4]),
        (5, 10, vec![]),
        (u64::MAX, 10, vec![]),
        (0, 0, vec![]),
    ] {
        let read = store.read_stream(&stream, from, limit).await.unwrap();
        assert_eq!(read.iter().map(|e| e.revision).collect::<Vec<_>>(), revisions, "from {from}");
    }
    for (from, limit, revisions) in [
        (4, 10, vec![4, 3, 2, 1, 0]),
        (2, 2, vec![2, 1]),
        (0, 3, vec![0]),
        (100, 1, vec![4]),
        (u64::MAX, 2, vec![4, 3]),
        (4, 0, vec![]),
    ] {
        let read = store.read_stream_back(&stream, from, limit).await.unwrap();
        assert_eq!(read.iter().map(|e| e.revision).collect::<Vec<_>>(), revisions, "back from {from}");
    }
    let none = StreamName::from("note-none");
    assert_eq!(store.read_stream(&none, 0, 1).await.unwrap(), []);
    assert_eq!(store.read_stream_back(&none, u64::MAX, 1).await.unwrap(), []);
}

async fn subscriptions_begin_after_a_position(store: &dyn EventStore) {
    let stream = StreamName::from("note-all");
    let mut positions = Vec::new();
    for text in ["a", "b", "c"] {
        positions.push(store.append(&stream, ExpectedRevision::Any, &[event(text)]).await.unwrap().position);
    }
    let mut from_start = store.subscribe_all(None);
    while next_event(&mut from_start).await.position < positions[2] {}
    let mut after_first = store.subscribe_all(Some(positions[0]));
    assert_eq!(next_event(&mut after_first).await.position, positions[1]);
    assert_eq!(next_event(&mut after_first).await.position, positions[2]);
    caught_up(&mut after_first).await;
    caught_up(&mut from_start).await;
    let live = store.append(&stream, ExpectedRevision::Any, &[event("live")]).await.unwrap().position;
    assert_eq!(next_event(&mut after_first).await.position, live);
    assert_eq!(next_event(&mut from_start).await.position, live);
}

async fn caught_up(subscription: &mut Subscription) {
    assert_eq!(soon(subscription.next()).await.unwrap().unwrap(), AllItem::CaughtUp);
}

#[tokio::test]
async fn what_the_server_refuses_is_parked_with_the_reason() {
    let server = Server::in_memory().await;
    let store = server.store();
    let stream = StreamName::from("note-refused");
    let refused = |outcome: Result<_, AppendError>| match outcome {
        Err(AppendError::Store(error)) if error.kind() == ErrorKind::Park => error.to_string(),
        other => panic!("{other:?}"),
    };

    // By the server: up to EventStoreDB 24.10 an append is limited to 1 MiB.
    let large = event(&"x".repeat(2 << 20));
    let problem = refused(store.append(&stream, ExpectedRevision::Any, &[large]).await);
    assert!(problem.contains("note-refused") && problem.contains("1048576"), "{problem}");
    let huge = event(&"x".repeat(17 << 20));
    let problem = refused(store.append(&stream, ExpectedRevision::Any, &[huge]).await);
    assert!(problem.contains("note-refused") && problem.contains("16 MiB"), "{problem}");

    let mut broken = event("x");
    broken.data = "{".into();
    let problem = refused(store.append(&stream, ExpectedRevision::Any, &[event("y"), broken]).await);
    assert!(problem.contains("event 1 (Noted)"), "{problem}");
    assert_eq!(store.read_stream(&stream, 0, 1).await.unwrap(), []);

    store.append(&stream, ExpectedRevision::Any, &[event("x")]).await.unwrap();
    let client = Client::new(server.options().url.parse().unwrap()).unwrap();
    client.tombstone_stream(stream.as_str(), &TombstoneStreamOptions::default()).await.unwrap();
    let problem = refused(store.append(&stream, ExpectedRevision::Any, &[event("x")]).await);
    assert!(problem.contains("tombstone"), "{problem}");
    for read in [store.read_stream(&stream, 0, 1).await, store.read_stream_back(&stream, 0, 1).await] {
        let error = read.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Park);
        assert!(error.is_stream_deleted());
        assert!(error.to_string().contains("tombstone"), "{error}");
    }
}

/// Others write bytes that are not JSON, and say so.
#[tokio::test]
async fn the_content_type_is_what_the_writer_declared() {
    let server = Server::in_memory().await;
    let (store, stream) = (server.store(), StreamName::from("note-bytes"));
    let client = Client::new(server.options().url.parse().unwrap()).unwrap();
    let bytes = EventData::binary("Noted", b"{}".as_slice().into());
    client.append_to_stream(stream.as_str(), &Default::default(), bytes).await.unwrap();
    store.append(&stream, ExpectedRevision::Any, &[event("x")]).await.unwrap();

    let expected = [ContentType::Binary, ContentType::Json];
    let read = store.read_stream(&stream, 0, 10).await.unwrap();
    assert_eq!(read.iter().map(|it| it.content_type).collect::<Vec<_>>(), expected);
    let mut subscription = store.subscribe_all(None);
    let mut subscribed = Vec::new();
    while subscribed.len() < expected.len() {
        let event = next_event(&mut subscription).await;
        if event.stream == stream {
            subscribed.push(event.content_type);
        }
    }
    assert_eq!(subscribed, expected);
}

#[tokio::test]
async fn the_time_of_recording_is_not_cut_to_seconds() {
    let server = Server::in_memory().await;
    let store = server.store();
    let stream = StreamName::from("note-created");
    let mut fractions = 0;
    for _ in 0..20 {
        store.append(&stream, ExpectedRevision::Any, &[event("x")]).await.unwrap();
    }
    for event in store.read_stream(&stream, 0, 20).await.unwrap() {
        assert!((jiff::Timestamp::now() - event.created).total(jiff::Unit::Second).unwrap().abs() < 3_600.0);
        fractions += u32::from(event.created.subsec_nanosecond() > 0);
    }
    assert!(fractions > 0, "20 events, all recorded at whole seconds");
}
