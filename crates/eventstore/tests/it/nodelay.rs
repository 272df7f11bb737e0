//! The cure of the missing TCP_NODELAY, looked at on the sockets themselves.

use std::net::SocketAddr;
use std::os::fd::BorrowedFd;

use aqueduct_core::{EventStore, ExpectedRevision, StreamName};
use socket2::SockRef;

use crate::support::{Server, event, next_event, until};

/// TCP_NODELAY of each of this process's sockets that is connected to the address.
fn nodelay_of_sockets_to(address: SocketAddr) -> Vec<bool> {
    let descriptors = std::fs::read_dir("/proc/self/fd").unwrap();
    descriptors
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(|descriptor| {
            // SAFETY: only asks, and what it asks may be wrong if the number was given away meanwhile.
            let borrowed = unsafe { BorrowedFd::borrow_raw(descriptor) };
            let socket = SockRef::from(&borrowed);
            let peer = socket.peer_addr().ok()?.as_socket()?;
            (peer == address).then(|| socket.tcp_nodelay().ok()).flatten()
        })
        .collect()
}

#[cfg_attr(not(target_os = "linux"), ignore = "the cure exists on Linux only")]
#[tokio::test(flavor = "multi_thread")]
async fn every_connection_has_nodelay_also_after_a_reconnect() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::durable(folder.path()).await;
    let (store, address) = (server.store(), server.address());
    let stream = StreamName::from("note-nodelay");

    store.append(&stream, ExpectedRevision::Any, &[event("0")]).await.unwrap();
    assert_eq!(nodelay_of_sockets_to(address), [true], "before the first append returns");
    let mut subscription = store.subscribe_all(None);
    next_event(&mut subscription).await;
    until(|| async { nodelay_of_sockets_to(address) == [true, true] }).await;

    for _ in 0..2 {
        server.stop().await;
        until(|| async { nodelay_of_sockets_to(address).is_empty() }).await;
        server.resume().await;
        // The operations' connection comes back with an operation, the subscription's by itself.
        until(|| async {
            let _ = store.append(&stream, ExpectedRevision::Any, &[event("again")]).await;
            nodelay_of_sockets_to(address) == [true, true]
        })
        .await;
        next_event(&mut subscription).await;
    }
}

#[cfg_attr(not(target_os = "linux"), ignore = "the cure exists on Linux only")]
#[tokio::test(flavor = "multi_thread")]
async fn what_was_connected_ahead_serves_the_first_operation_and_the_first_subscription() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::durable(folder.path()).await;
    let (store, address) = (server.store(), server.address());
    let stream = StreamName::from("note-ahead");

    store.connect_ahead().await;
    assert_eq!(nodelay_of_sockets_to(address), [true, true]);
    store.append(&stream, ExpectedRevision::Any, &[event("0")]).await.unwrap();
    next_event(&mut store.subscribe_all(None)).await;
    assert_eq!(nodelay_of_sockets_to(address), [true, true], "no further connection");
}
