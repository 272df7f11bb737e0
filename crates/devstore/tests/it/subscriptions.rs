//! What recordings do not show of subscriptions: slow readers and the end of the server.

use std::time::Instant;

use aqueduct_devstore::Options;
use eventstore::{
    AppendToStreamOptions, Client, EventData, Position, ReadStreamOptions, StreamPosition,
    SubscribeToAllOptions, SubscriptionEvent,
};
use serde_json::json;
use tonic::Code;

use crate::{
    player::call::{Protocol, Received},
    recordings::connect,
    support::Running,
    wire::{append, new_ids},
};

/// One append of more events than may wait does not hurt a client that reads.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_reads_gets_large_appends_in_order() {
    const APPENDS: usize = 40;
    const EVENTS: usize = 500;
    let server = Running::start(Options::in_memory()).await;
    let client = Client::new(server.handle.connection_string().parse().unwrap()).unwrap();
    let channel = connect(&server).await;
    let mut subscription = client.subscribe_to_all(&SubscribeToAllOptions::default()).await;
    for _ in 0..APPENDS {
        append(&channel, "s", &new_ids(EVENTS)).await.unwrap();
    }
    // The transport accepts what is far below its window, read or not.
    let last = (APPENDS * EVENTS) as u64 - 1;
    for revision in 0..=last {
        assert_eq!(subscription.next().await.unwrap().get_original_event().revision, revision);
    }
    drop((subscription, client, channel));
    server.stop().await;
}

/// More than the windows of HTTP/2, the transport's buffers and two pages together.
const LARGE_EVENTS: u64 = 100;

/// Appends [`LARGE_EVENTS`] of 100 KB.
async fn append_large_events(client: &Client) {
    let text = "x".repeat(100_000);
    for _ in 0..LARGE_EVENTS {
        let event = EventData::json("happened", &text).unwrap();
        client.append_to_stream("s", &AppendToStreamOptions::default(), event).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_does_not_read_live_events_is_cut_off_without_a_gap() {
    let server = Running::start(Options::in_memory()).await;
    let client = Client::new(server.handle.connection_string().parse().unwrap()).unwrap();
    let writer = Client::new(server.handle.connection_string().parse().unwrap()).unwrap();
    let (mut next, mut cuts) = (0, 0);
    let mut subscription = client.subscribe_to_all(&SubscribeToAllOptions::default()).await;
    assert!(matches!(subscription.next_subscription_event().await.unwrap(), SubscriptionEvent::Confirmed(_)));
    append_large_events(&writer).await;
    while next < LARGE_EVENTS {
        match subscription.next().await {
            Ok(event) => {
                let event = event.get_original_event();
                assert_eq!(event.revision, next);
                next += 1;
            }
            Err(error) => {
                let error = error.to_string();
                assert!(error.contains("Consumer too slow to handle event while live"), "{error}");
                cuts += 1;
                let last = reading_from(&writer, next).await;
                let from = SubscribeToAllOptions::default().position(last);
                subscription = client.subscribe_to_all(&from).await;
            }
        }
    }
    assert_eq!(cuts, 1);
    drop((subscription, client, writer));
    server.stop().await;
}

/// Where a subscription begins that wants event `next` of the stream first.
async fn reading_from(client: &Client, next: u64) -> StreamPosition<Position> {
    let Some(last) = next.checked_sub(1) else { return StreamPosition::Start };
    let options = ReadStreamOptions::default().position(StreamPosition::Position(last)).max_count(1);
    let mut read = client.read_stream("s", &options).await.unwrap();
    StreamPosition::Position(read.next().await.unwrap().unwrap().get_original_event().position)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_client_reads_at_its_own_pace_where_that_is_configured() {
    let options = Options { cut_off_slow_consumers: false, ..Options::in_memory() };
    let server = Running::start(options).await;
    let client = Client::new(server.handle.connection_string().parse().unwrap()).unwrap();
    let writer = Client::new(server.handle.connection_string().parse().unwrap()).unwrap();
    let mut subscription = client.subscribe_to_all(&SubscribeToAllOptions::default()).await;
    subscription.next_subscription_event().await.unwrap();
    append_large_events(&writer).await;
    for revision in 0..LARGE_EVENTS {
        assert_eq!(subscription.next().await.unwrap().get_original_event().revision, revision);
    }
    drop((subscription, client, writer));
    server.stop().await;
}

/// With OK the `eventstore` crate would spin for ever.
#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_the_server_ends_them_with_unavailable() {
    let server = Running::start(Options::in_memory()).await;
    let channel = connect(&server).await;
    let mut calls = Vec::new();
    for source in [
        json!({ "all": { "start": {} } }),
        json!({ "stream": { "stream_identifier": { "stream_name": "cw==" }, "start": {} } }),
    ] {
        let mut options = json!({ "uuid_option": { "string": {} }, "subscription": {}, "no_filter": {} });
        options.as_object_mut().unwrap().append(&mut source.as_object().unwrap().clone());
        let mut call = Protocol::new(channel.clone()).open("event_store.client.streams.Streams/Read", None);
        call.send(&json!({ "options": options }));
        call.half_close();
        assert!(
            matches!(call.next().await, Received::Message(message) if message.get("confirmation").is_some())
        );
        calls.push(call);
    }
    let began = Instant::now();
    server.stop().await;
    assert!(began.elapsed().as_secs() < 4, "the end took {:?}", began.elapsed());
    for mut call in calls {
        let status = loop {
            if let Received::End(status) = call.next().await {
                break status;
            }
        };
        assert_eq!(status.code(), Code::Unavailable, "{status}");
        assert_eq!(status.message(), "the server is shutting down");
    }
}
