//! The command line of `dev`.

use std::path::PathBuf;

use super::server::Server;

/// Run Kafka, Postgres, registry and event store on this machine, with the relay and the projections
///
/// The servers listen on 127.0.0.1 only. Their data is kept in `.aqueduct` next to the configuration. `dev` publishes the
/// schemas, creates topics and tables, prints the addresses as lines for a shell, and runs until Ctrl-C. A configured
/// address that names this machine says on which port the server is started; one that names another machine is refused
/// unless --remote names its server.
#[derive(clap::Args)]
pub(in crate::commands) struct Arguments {
    /// Keep the servers' data here [default: .aqueduct next to the configuration]
    #[arg(long, value_name = "DIR")]
    pub(super) data: Option<PathBuf>,
    /// Port of the event store [default: of `eventstore.url`, else 2113]
    #[arg(long, value_name = "PORT")]
    eventstore_port: Option<u16>,
    /// Port of Kafka [default: of `kafka.brokers`, else 9092]
    #[arg(long, value_name = "PORT")]
    kafka_port: Option<u16>,
    /// Port of the schema registry [default: of `registry.url`, else 8081]
    #[arg(long, value_name = "PORT")]
    registry_port: Option<u16>,
    /// Port of Postgres [default: of `postgres.url`, else 5432]
    #[arg(long, value_name = "PORT")]
    postgres_port: Option<u16>,
    /// Port of health and metrics of relay and projections; 0 takes a free one [default: of `http.relay`]
    #[arg(long, value_name = "PORT", conflicts_with = "servers_only")]
    pub(super) http_port: Option<u16>,
    /// Use this server as it is configured instead of starting one; may be repeated
    #[arg(long, value_name = "NAME", value_enum, value_delimiter = ',')]
    pub(super) remote: Vec<Server>,
    /// Only start the servers: no topics, no schemas, no relay, no projections
    #[arg(long)]
    pub(super) servers_only: bool,
}

impl Arguments {
    /// The port that was given for a server.
    pub(super) fn port(&self, server: Server) -> Option<u16> {
        match server {
            Server::Eventstore => self.eventstore_port,
            Server::Kafka => self.kafka_port,
            Server::Registry => self.registry_port,
            Server::Postgres => self.postgres_port,
        }
    }
}
