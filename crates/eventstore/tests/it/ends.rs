//! Subscriptions that the server ends, with each kind of status. On OK the client alone would spin.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use aqueduct_core::{ErrorKind, EventStore as _};
use aqueduct_eventstore::{EventStoreDb, Options};
use axum::Router;
use axum::http::{HeaderMap, Uri};
use futures::StreamExt as _;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;

use crate::support::{soon, until};

/// Ends every read at once. Returns its URL and the number of reads.
async fn server_that_ends_every_call(read_status: Option<&'static str>) -> (String, Arc<AtomicUsize>) {
    let reads = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&reads);
    let router = Router::new().fallback(move |uri: Uri| async move {
        let mut headers = HeaderMap::new();
        headers.insert("content-type", "application/grpc".parse().unwrap());
        if uri.path().ends_with("/Read") {
            counter.fetch_add(1, Ordering::SeqCst);
            if let Some(status) = read_status {
                headers.insert("grpc-status", status.parse().unwrap());
            }
        } else {
            headers.insert("grpc-status", "12".parse().unwrap());
        }
        headers
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("esdb://{}?tls=false", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let service = TowerToHyperService::new(router.clone());
            tokio::spawn(async move {
                let builder = auto::Builder::new(TokioExecutor::new());
                let _ = builder.serve_connection(TokioIo::new(socket), service).await;
            });
        }
    });
    (url, reads)
}

async fn leads_to_a_resubscription(read_status: Option<&'static str>) {
    let (url, reads) = server_that_ends_every_call(read_status).await;
    let store = EventStoreDb::new(Options::new(url)).unwrap();
    let mut subscription = store.subscribe_all(None);
    tokio::select! {
        item = subscription.next() => panic!("unexpected item {item:?}"),
        () = until(|| async { reads.load(Ordering::SeqCst) >= 4 }) => {}
    }
}

/// Any code but a refusal.
#[tokio::test(flavor = "multi_thread")]
async fn an_end_with_an_error_leads_to_a_resubscription() {
    for code in ["1", "2", "4", "8", "9", "10", "13", "14"] {
        leads_to_a_resubscription(Some(code)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_login_ends_the_subscription() {
    for code in ["7", "16"] {
        let (url, reads) = server_that_ends_every_call(Some(code)).await;
        let store = EventStoreDb::new(Options::new(url)).unwrap();
        let mut subscription = store.subscribe_all(None);
        let error = soon(subscription.next()).await.unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Stop);
        assert!(error.to_string().contains("user and password"), "{error}");
        assert!(soon(subscription.next()).await.is_none());
        assert_eq!(reads.load(Ordering::SeqCst), 1);
        assert_eq!(store.last_position().await.unwrap_err().kind(), ErrorKind::Stop);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_with_status_ok_leads_to_a_resubscription() {
    leads_to_a_resubscription(Some("0")).await;
}

/// A proxy sends this when its server goes away.
#[tokio::test(flavor = "multi_thread")]
async fn an_end_without_a_status_leads_to_a_resubscription() {
    leads_to_a_resubscription(None).await;
}
