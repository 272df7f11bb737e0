//! `[shop]` of the configuration.

use std::net::{Ipv4Addr, SocketAddr};

use serde::Deserialize;

/// Where each service listens; port 0 takes a free one.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Listen address of the users service.
    pub users: SocketAddr,
    /// Listen address of the orders service.
    pub orders: SocketAddr,
    /// The old version of the orders service.
    pub legacy_orders: SocketAddr,
    /// Listen address of the inventory service.
    pub inventory: SocketAddr,
}

impl Default for Settings {
    fn default() -> Self {
        let local = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        Self { users: local(9103), orders: local(9104), legacy_orders: local(9105), inventory: local(9106) }
    }
}
