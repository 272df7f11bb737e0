//! TCP_NODELAY on the client's sockets.
//!
//! The `eventstore` crate never sets it and offers no hook for its connector. It writes a request in two
//! pieces (headers, then data); Nagle's algorithm delays the second until the first is acknowledged, and the
//! server's kernel delays that by 40 ms: 22 sequential appends a second with any server. So this module finds the
//! sockets from outside: those of the process's descriptors that are connected to the store.

use std::collections::HashSet;
use std::net::SocketAddr;

/// Sets TCP_NODELAY on each socket of the process that is connected to one of the peers and does not have it yet, and
/// returns their number. Other clients of the same peers in the process get it as well.
///
/// Linux only: elsewhere it does nothing, and sequential appends stay slow.
pub(crate) fn set(peers: &HashSet<SocketAddr>) -> u64 {
    imp::set(peers)
}

#[cfg(not(target_os = "linux"))]
mod imp {
    pub(super) fn set(_: &std::collections::HashSet<std::net::SocketAddr>) -> u64 {
        0
    }
}

#[cfg(target_os = "linux")]
mod imp {
    use std::collections::HashSet;
    use std::net::SocketAddr;
    use std::os::fd::{BorrowedFd, RawFd};

    use socket2::SockRef;

    pub(super) fn set(peers: &HashSet<SocketAddr>) -> u64 {
        let Ok(descriptors) = std::fs::read_dir("/proc/self/fd") else { return 0 };
        descriptors
            .flatten()
            .filter(|entry| {
                std::fs::read_link(entry.path())
                    .is_ok_and(|target| target.as_os_str().as_encoded_bytes().starts_with(b"socket:"))
            })
            .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
            .filter(|&descriptor| set_one(descriptor, peers))
            .count() as u64
    }

    /// Whether the descriptor is such a socket and was set now.
    fn set_one(descriptor: RawFd, peers: &HashSet<SocketAddr>) -> bool {
        // SAFETY: the descriptor belongs to someone else, who may close it at any moment, so that the number
        // is free, or names something new, between any two of the calls below. None of them touches memory
        // or closes anything: on a free number, or a descriptor that is not a TCP socket, they fail and nothing happens; on
        // another socket that has just taken the number the worst outcome is that this connection of ours
        // gets TCP_NODELAY too, which changes its timing and never its data. (A duplicate would pin the
        // socket, but closing a duplicate of a *file* that had taken the number would drop the process's
        // POSIX locks on it.) The borrow does not outlive this function.
        let borrowed = unsafe { BorrowedFd::borrow_raw(descriptor) };
        let socket = SockRef::from(&borrowed);
        let Some(peer) = socket.peer_addr().ok().and_then(|peer| peer.as_socket()) else { return false };
        peers.contains(&canonical(peer))
            && socket.tcp_nodelay().is_ok_and(|set| !set)
            && socket.set_tcp_nodelay(true).is_ok()
    }

    fn canonical(peer: SocketAddr) -> SocketAddr {
        SocketAddr::new(peer.ip().to_canonical(), peer.port())
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn only_sockets_of_the_peer_are_set_and_only_once() {
        let [store, other] = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        let [to_store, to_other] =
            [&store, &other].map(|l| TcpStream::connect(l.local_addr().unwrap()).unwrap());
        let peers = HashSet::from([store.local_addr().unwrap()]);
        assert_eq!(set(&peers), 1);
        assert!(to_store.nodelay().unwrap() && !to_other.nodelay().unwrap());
        assert_eq!(set(&peers), 0);
    }
}
