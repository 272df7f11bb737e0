//! The servers of the pipeline.

use std::fmt;

use crate::address::{Endpoint, of_brokers, of_postgres, of_url};
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

    pub(super) fn endpoints(self, address: &str) -> Vec<Endpoint> {
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
