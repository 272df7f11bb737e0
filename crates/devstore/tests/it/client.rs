//! Through the `eventstore` crate, as the product does it.

use aqueduct_devstore::Options;
use eventstore::{
    AppendToStreamOptions, Client, EventData, ExpectedRevision, Position, ReadStreamOptions, StreamPosition,
    SubscribeToAllOptions,
};
use serde_json::json;

use crate::support::Running;

fn client(server: &Running) -> Client {
    Client::new(server.handle.connection_string().parse().unwrap()).unwrap()
}

fn event(n: u32) -> EventData {
    EventData::json("happened", &json!({ "n": n })).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn appends_reads_and_subscribes() {
    let server = Running::start(Options::in_memory()).await;
    let client = client(&server);

    let none = AppendToStreamOptions::default().expected_revision(ExpectedRevision::NoStream);
    let written = client.append_to_stream("order-1", &none, vec![event(0), event(1)]).await.unwrap();
    assert_eq!(written.next_expected_version, 1);

    let wrong = client.append_to_stream("order-1", &none, event(2)).await.unwrap_err();
    let eventstore::Error::WrongExpectedVersion { expected, current } = wrong else { panic!("{wrong}") };
    assert_eq!(expected, ExpectedRevision::NoStream);
    assert_eq!(current, eventstore::CurrentRevision::Current(1));

    let from_start = ReadStreamOptions::default().position(StreamPosition::Start);
    let mut read = client.read_stream("order-1", &from_start).await.unwrap();
    for n in 0..2 {
        let read = read.next().await.unwrap().unwrap();
        let original = read.get_original_event();
        assert_eq!(original.revision, n);
        assert_eq!(original.as_json::<serde_json::Value>().unwrap(), json!({ "n": n }));
    }
    assert!(read.next().await.unwrap().is_none());

    let missing = client.read_stream("order-2", &from_start).await.unwrap().next().await.unwrap_err();
    assert!(matches!(missing, eventstore::Error::ResourceNotFound), "{missing}");

    let behind_first = SubscribeToAllOptions::default()
        .position(StreamPosition::Position(Position { commit: 1, prepare: 1 }));
    let mut subscription = client.subscribe_to_all(&behind_first).await;
    let caught_up = subscription.next().await.unwrap();
    assert_eq!(caught_up.get_original_event().revision, 1);
    client.append_to_stream("order-3", &AppendToStreamOptions::default(), event(3)).await.unwrap();
    let live = subscription.next().await.unwrap();
    assert_eq!(live.get_original_event().stream_id, "order-3");

    server.stop().await;
    let end = subscription.next().await.unwrap_err();
    assert!(!matches!(end, eventstore::Error::ResourceNotFound), "{end}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_is_there_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let any = AppendToStreamOptions::default();

    let server = Running::start(Options::durable(folder.path())).await;
    client(&server).append_to_stream("order-1", &any, vec![event(0), event(1)]).await.unwrap();
    server.stop().await;

    let server = Running::start(Options::durable(folder.path())).await;
    let client = client(&server);
    let written = client.append_to_stream("order-1", &any, event(2)).await.unwrap();
    assert_eq!(written.next_expected_version, 2);
    let mut read = client.read_stream("order-1", &ReadStreamOptions::default()).await.unwrap();
    let mut revisions = Vec::new();
    while let Some(read) = read.next().await.unwrap() {
        revisions.push(read.get_original_event().revision);
    }
    assert_eq!(revisions, [0, 1, 2]);
    server.stop().await;
}
