//! What recordings do not show of subscriptions: slow readers and the end of the server.

use std::time::Instant;

use aqueduct_devstore::Options;
use eventstore::{Client, SubscribeToAllOptions};
use serde_json::json;
use tonic::Code;

use crate::{
    player::call::{Protocol, Received},
    recordings::connect,
    support::Running,
    wire::{append, new_ids},
};

/// The real server cuts a slow reader off. This one lets it read at its own pace, without a hole.
#[tokio::test(flavor = "multi_thread")]
async fn a_slow_reader_gets_everything_in_order() {
    const APPENDS: usize = 40;
    const EVENTS: usize = 500;
    let server = Running::start(Options::in_memory()).await;
    let client = Client::new(server.handle.connection_string().parse().unwrap()).unwrap();
    let channel = connect(&server).await;
    let mut subscription = client.subscribe_to_all(&SubscribeToAllOptions::default()).await;
    append(&channel, "s", &new_ids(1)).await.unwrap();
    subscription.next().await.unwrap();
    for _ in 0..APPENDS {
        append(&channel, "s", &new_ids(EVENTS)).await.unwrap();
    }
    for revision in 1..=(APPENDS * EVENTS) as u64 {
        assert_eq!(subscription.next().await.unwrap().get_original_event().revision, revision);
    }
    drop((subscription, client, channel));
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
