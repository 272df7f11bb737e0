//! Which servers `dev` starts, and which running ones it uses.

use std::fmt;
use std::path::Path;

use aqueduct_devstack::{Data, Options, Part};

use super::arguments::Arguments;
use crate::address::{Endpoint, all_loopback, of_brokers, of_postgres, of_url};
use crate::app::Failure;
use crate::configuration::Configuration;
use crate::sections::{EventStore, Kafka, Postgres, Registry};

/// A server of the pipeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub(super) enum Server {
    Eventstore,
    Kafka,
    Registry,
    Postgres,
}

pub(super) const SERVERS: [Server; 4] =
    [Server::Eventstore, Server::Kafka, Server::Registry, Server::Postgres];

impl Server {
    /// The key of its address in the configuration.
    pub(super) fn key(self) -> &'static str {
        match self {
            Self::Eventstore => EventStore::ADDRESS,
            Self::Kafka => Kafka::ADDRESS,
            Self::Registry => Registry::ADDRESS,
            Self::Postgres => Postgres::ADDRESS,
        }
    }

    /// Its name in the options of the command.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Eventstore => "eventstore",
            Self::Kafka => "kafka",
            Self::Registry => "registry",
            Self::Postgres => "postgres",
        }
    }

    pub(super) fn default_port(self) -> u16 {
        match self {
            Self::Eventstore => 2113,
            Self::Kafka => 9092,
            Self::Registry => 8081,
            Self::Postgres => 5432,
        }
    }

    pub(super) fn configured(self, configuration: &Configuration) -> Option<&str> {
        match self {
            Self::Eventstore => configuration.eventstore.configured(),
            Self::Kafka => configuration.kafka.configured(),
            Self::Registry => configuration.registry.configured(),
            Self::Postgres => configuration.postgres.configured(),
        }
    }

    fn endpoints(self, address: &str) -> Vec<Endpoint> {
        match self {
            Self::Eventstore | Self::Registry => of_url(address),
            Self::Kafka => of_brokers(address),
            Self::Postgres => of_postgres(address),
        }
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The options of the stack.
///
/// # Errors
/// An address names another machine and is not allowed by `--remote`, or `--remote` names a server without an address.
pub(super) fn plan(
    configuration: &Configuration,
    arguments: &Arguments,
    data: &Path,
) -> Result<Options, Failure> {
    let part = |server: Server| part(configuration, arguments, server);
    Ok(Options {
        data: Data::Kept(data.to_owned()),
        event_store: part(Server::Eventstore)?,
        kafka: part(Server::Kafka)?,
        registry: part(Server::Registry)?,
        postgres: part(Server::Postgres)?,
        ..Options::none()
    })
}

fn part(configuration: &Configuration, arguments: &Arguments, server: Server) -> Result<Part, Failure> {
    let configured = server.configured(configuration);
    let port = arguments.port(server);
    if arguments.remote.contains(&server) {
        let address = configured.ok_or_else(|| {
            format!("--remote {server}: `{}` is not configured, so there is no server to use", server.key())
        })?;
        if port.is_some() {
            return Err(format!("--remote {server} and --{server}-port exclude each other").into());
        }
        return Ok(Part::Given(address.to_owned()));
    }
    let endpoints = configured.map(|address| server.endpoints(address));
    if let Some(endpoints) = &endpoints
        && !all_loopback(endpoints)
    {
        return Err(format!(
            "`{}` names another machine ({}): `dev` starts its own servers. Remove the address, or use the \
             server with --remote {server}, where `dev` creates only what carries a prefix of its own",
            server.key(),
            hosts(endpoints),
        )
        .into());
    }
    let of_address = endpoints.and_then(|endpoints| endpoints.first().and_then(|endpoint| endpoint.port));
    Ok(Part::Start { port: port.or(of_address).or(Some(server.default_port())) })
}

/// Without user and password.
fn hosts(endpoints: &[Endpoint]) -> String {
    if endpoints.is_empty() {
        return "its host cannot be told".to_owned();
    }
    endpoints.iter().map(|endpoint| endpoint.host.as_str()).collect::<Vec<_>>().join(", ")
}
