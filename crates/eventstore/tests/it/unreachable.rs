//! Stores that cannot be reached.

use aqueduct_core::{AppendError, ErrorKind, EventStore, ExpectedRevision, StreamName};

use aqueduct_eventstore::{EventStoreDb, Options};

use crate::support::{Server, event, next_event, until};

#[tokio::test(flavor = "multi_thread")]
async fn an_unreachable_store_is_named_without_its_password_and_works_once_it_is_there() {
    let mut server = Server::not_yet().await;
    let store = server.store();
    let stream = StreamName::from("note-late");
    let mut subscription = store.subscribe_all(None);

    let error = match store.append(&stream, ExpectedRevision::NoStream, &[event("0")]).await {
        Err(AppendError::Store(error)) => error,
        other => panic!("{other:?}"),
    };
    assert_eq!(error.kind(), ErrorKind::Retry);
    let shown = format!("{error} {error:?} {store:?}");
    assert!(
        shown.contains(&server.address().to_string()) && shown.contains("check that the server is running"),
        "{shown}"
    );
    assert!(!shown.contains("s3cret"), "{shown}");
    for error in [
        store.read_stream(&stream, 0, 1).await.unwrap_err(),
        store.read_stream_back(&stream, 0, 1).await.unwrap_err(),
        store.last_position().await.unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::Retry);
    }

    server.resume().await;
    until(|| async { store.append(&stream, ExpectedRevision::NoStream, &[event("0")]).await.is_ok() }).await;
    assert_eq!(next_event(&mut subscription).await.stream, stream);
}

/// Several hosts make the client look for a node by gossip, and stay with it when it is gone.
#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_is_found_by_whichever_seed_is_alive_and_found_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::durable(folder.path()).await;
    let dead = Server::not_yet().await;
    let url = format!("esdb://{},{}?tls=false", dead.address(), server.address());
    let store = EventStoreDb::new(Options::new(url)).unwrap();
    let stream = StreamName::from("note-cluster");
    let mut subscription = store.subscribe_all(None);
    for revision in 0..3 {
        let expected = ExpectedRevision::after(u64::checked_sub(revision, 1));
        until(|| async { store.append(&stream, expected, &[event("x")]).await.is_ok() }).await;
        assert_eq!(next_event(&mut subscription).await.revision, revision);
        server.stop().await;
        server.resume().await;
    }
}
