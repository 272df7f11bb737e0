//! Subscriptions that outlive their server.

use std::time::{Duration, Instant};

use aqueduct_core::{AppendError, ErrorKind, EventStore, ExpectedRevision, Position, StreamName};
use aqueduct_eventstore::{EventStoreDb, Options};
use futures::StreamExt as _;

use crate::support::proxy::Proxy;
use crate::support::{Server, Subscription, event, next_event, soon, until};

/// Appends one event and retries until the store has it, as a writer who reads the stream after each failure.
async fn append_surely(store: &EventStoreDb, stream: &StreamName, revision: u64) {
    until(|| async {
        let expected = ExpectedRevision::after(revision.checked_sub(1));
        store.append(stream, expected, &[event(&revision.to_string())]).await.is_ok()
            || store.read_stream(stream, revision, 1).await.is_ok_and(|read| !read.is_empty())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_duplicated_or_reordered_while_the_server_restarts() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::durable(folder.path()).await;
    let store = server.store();
    let stream = StreamName::from("note-restart");
    let mut subscription = store.subscribe_all(None);
    let mut appended = 0;
    let mut seen = Vec::new();
    for _ in 0..3 {
        // Some before the server goes, read ahead but not yet consumed; some after it is back.
        for _ in 0..20 {
            append_surely(&store, &stream, appended).await;
            appended += 1;
        }
        seen.push(next_event(&mut subscription).await);
        server.stop().await;
        server.resume().await;
        for _ in 0..20 {
            append_surely(&store, &stream, appended).await;
            appended += 1;
        }
    }
    while (seen.len() as u64) < appended {
        seen.push(next_event(&mut subscription).await);
    }
    assert!(seen.windows(2).all(|pair| pair[0].position < pair[1].position));
    let revisions: Vec<_> = seen.iter().map(|event| event.revision).collect();
    assert_eq!(revisions, (0..appended).collect::<Vec<_>>());

    append_surely(&store, &stream, appended).await;
    assert_eq!(next_event(&mut subscription).await.revision, appended, "and nothing came twice in between");
}

/// A subscription through the proxy, up to date; the store's operations use connection 0, it uses 1.
async fn subscribed_through(
    proxy: &Proxy,
    silence_check_ms: u64,
) -> (EventStoreDb, StreamName, Subscription) {
    let store = EventStoreDb::new(Options { silence_check_ms, ..Options::new(proxy.url()) }).unwrap();
    let stream = StreamName::from("note-silence");
    store.append(&stream, ExpectedRevision::Any, &[event("0")]).await.unwrap();
    assert_eq!(proxy.connections(), 1);
    let mut subscription = store.subscribe_all(None);
    assert_eq!(next_event(&mut subscription).await.revision, 0);
    assert_eq!(proxy.connections(), 2);
    (store, stream, subscription)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_that_falls_silent_is_replaced() {
    let server = Server::in_memory().await;
    let proxy = Proxy::to(server.address()).await;
    let (store, stream, mut subscription) = subscribed_through(&proxy, 100).await;

    proxy.mute(1..2);
    store.append(&stream, ExpectedRevision::Any, &[event("1")]).await.unwrap();
    let begun = Instant::now();
    assert_eq!(next_event(&mut subscription).await.revision, 1);
    assert!(begun.elapsed() < Duration::from_secs(10), "by the check, not by HTTP/2's pings of 10 s");
    assert_eq!(proxy.connections(), 3);
}

/// Without a network the check cannot read the end of the store: HTTP/2 pings end the connections.
#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_survives_a_silent_network() {
    let server = Server::in_memory().await;
    let proxy = Proxy::to(server.address()).await;
    let (store, stream, mut subscription) = subscribed_through(&proxy, 100).await;

    proxy.mute(0..2);
    let appended = store.append(&stream, ExpectedRevision::Exact(0), &[event("1")]).await;
    assert!(matches!(&appended, Err(AppendError::Store(e)) if e.kind() == ErrorKind::Retry), "{appended:?}");
    append_surely(&store, &stream, 1).await;
    assert_eq!(next_event(&mut subscription).await.revision, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_ends_before_our_position_is_refused() {
    let server = Server::in_memory().await;
    let store = server.store();
    let stream = StreamName::from("note-other");
    let end = store.append(&stream, ExpectedRevision::Any, &[event("0")]).await.unwrap().position;
    let mut subscription = store.subscribe_all(Some(Position::at(end.commit + 1_000_000)));
    let error = soon(subscription.next()).await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Stop);
    assert!(error.to_string().contains("another store"), "{error}");
    assert!(soon(subscription.next()).await.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_stream_ends_its_subscription_and_frees_the_connection() {
    let server = Server::in_memory().await;
    let proxy = Proxy::to(server.address()).await;
    let (store, ..) = subscribed_through(&proxy, 5_000).await;
    until(|| async {
        let before = proxy.connections();
        let mut subscription = store.subscribe_all(None);
        next_event(&mut subscription).await;
        proxy.connections() == before
    })
    .await;
}
