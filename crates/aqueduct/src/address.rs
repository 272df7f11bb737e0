//! Which machine an address names.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use sqlx::postgres::PgConnectOptions;

/// A server in an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Endpoint {
    pub(crate) host: String,
    pub(crate) port: Option<u16>,
}

impl Endpoint {
    fn parse(text: &str) -> Self {
        if let Some((host, rest)) = text.strip_prefix('[').and_then(|text| text.split_once(']')) {
            let port = rest.strip_prefix(':').and_then(|port| port.parse().ok());
            return Self { host: host.to_owned(), port };
        }
        match text.rsplit_once(':') {
            Some((host, port)) => Self { host: host.to_owned(), port: port.parse().ok() },
            None => Self { host: text.to_owned(), port: None },
        }
    }

    /// Whether it is on this machine for certain.
    fn is_loopback(&self) -> bool {
        if self.host.eq_ignore_ascii_case("localhost") {
            return true;
        }
        match self.host.parse::<IpAddr>() {
            Ok(IpAddr::V4(address)) => Ipv4Addr::is_loopback(&address),
            Ok(IpAddr::V6(address)) => Ipv6Addr::is_loopback(&address),
            Err(_) => false,
        }
    }
}

/// Whether all servers are on this machine. An address that names none counts as another machine's.
pub(crate) fn all_loopback(endpoints: &[Endpoint]) -> bool {
    !endpoints.is_empty() && endpoints.iter().all(Endpoint::is_loopback)
}

/// The servers of `scheme://user:password@host:port,host:port/path?query`.
pub(crate) fn of_url(url: &str) -> Vec<Endpoint> {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let hosts = authority.rsplit_once('@').map_or(authority, |(_, hosts)| hosts);
    list(hosts.split(','))
}

/// The servers of `host:port,protocol://host:port`.
pub(crate) fn of_brokers(brokers: &str) -> Vec<Endpoint> {
    list(brokers.split(',').map(|broker| broker.split_once("://").map_or(broker, |(_, rest)| rest)))
}

/// The server of a Postgres URL, which may name it in its query. One that cannot be parsed names none.
pub(crate) fn of_postgres(url: &str) -> Vec<Endpoint> {
    let Ok(options) = url.parse::<PgConnectOptions>() else { return Vec::new() };
    // A socket is not what `dev` starts.
    if options.get_socket().is_some() {
        return Vec::new();
    }
    vec![Endpoint { host: options.get_host().to_owned(), port: Some(options.get_port()) }]
}

fn list<'a>(hosts: impl Iterator<Item = &'a str>) -> Vec<Endpoint> {
    hosts.map(str::trim).filter(|host| !host.is_empty()).map(Endpoint::parse).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_host_of_an_address_must_be_this_machine() {
        for (local, endpoints) in [
            (true, of_url("esdb://localhost:2113?tls=false")),
            (true, of_url("esdb://admin:change@it@127.0.0.1:2113,127.0.0.2:2113/?tls=true")),
            (true, of_url("http://[::1]:8081/apis/ccompat/v7")),
            (false, of_url("esdb://127.0.0.1:2113,store-2:2113")),
            (false, of_url("esdb+discover://store.example?tls=true")),
            (false, of_url("http://localhost.example:8081")),
            (false, of_url("http://localhost:1@registry.example")),
            (false, of_url("")),
            (true, of_brokers("localhost:9092, PLAINTEXT://127.0.0.1:9093")),
            (false, of_brokers("SSL://kafka-1:9092,localhost:9092")),
            (false, of_brokers("10.0.0.7:9092")),
            (true, of_postgres("postgres://me:secret@LOCALHOST/shop")),
            (false, of_postgres("postgres://me@localhost/shop?host=db.example")),
            (false, of_postgres("postgres://me@db.example/shop")),
            (false, of_postgres("postgres:///shop?host=/var/run/postgresql")),
            (false, of_postgres("nonsense")),
        ] {
            assert_eq!(all_loopback(&endpoints), local, "{endpoints:?}");
        }
    }

    #[test]
    fn the_port_is_found() {
        assert_eq!(of_url("esdb://[::1]:2114")[0].port, Some(2114));
        assert_eq!(of_url("http://localhost/")[0].port, None);
        assert_eq!(of_brokers("localhost:9093")[0].port, Some(9093));
        assert_eq!(of_postgres("postgres://me@localhost/shop")[0].port, Some(5432));
    }
}
