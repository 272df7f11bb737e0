//! The addresses of the store's nodes.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use eventstore::{ClientSettings, Endpoint};

use crate::nodelay;

/// A name server that does not respond must not delay an operation.
const RESOLVE_WITHIN: Duration = Duration::from_secs(2);

/// Every address under which a node was ever known: a name may resolve differently each time, and a
/// cluster's leader may be one that no connection string names.
pub(crate) struct Peers {
    cluster: bool,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    names: HashSet<(String, u16)>,
    addresses: HashSet<SocketAddr>,
}

impl Peers {
    pub(crate) fn of(settings: &ClientSettings) -> Self {
        let peers = Self {
            cluster: settings.is_dns_discovery_enabled() || settings.hosts().len() > 1,
            known: Mutex::default(),
        };
        settings.hosts().iter().for_each(|host| peers.add(host));
        peers
    }

    /// Whether the client chooses between nodes.
    pub(crate) fn is_cluster(&self) -> bool {
        self.cluster
    }

    pub(crate) fn add(&self, node: &Endpoint) {
        let Ok(port) = u16::try_from(node.port) else { return };
        let host = node.host.trim_matches(['[', ']']).to_owned();
        self.with(|known| known.names.insert((host, port)));
    }

    /// Resolves the names.
    pub(crate) async fn resolve(&self) {
        let names = self.with(|known| known.names.clone());
        for name in names {
            let resolved = tokio::time::timeout(RESOLVE_WITHIN, tokio::net::lookup_host(name)).await;
            // If a name cannot be resolved now, its known addresses stay.
            if let Ok(Ok(addresses)) = resolved {
                self.with(|known| {
                    known
                        .addresses
                        .extend(addresses.map(|a| SocketAddr::new(a.ip().to_canonical(), a.port())));
                });
            }
        }
    }

    /// Sets TCP_NODELAY on the process's sockets to the known addresses; on how many.
    pub(crate) fn set_nodelay(&self) -> u64 {
        nodelay::set(&self.with(|known| known.addresses.clone()))
    }

    fn with<T>(&self, f: impl FnOnce(&mut Known) -> T) -> T {
        f(&mut self.known.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
