use std::path::Path;

use sqlx::ConnectOptions;

use crate::apicurio;
use crate::cache::Cache;
use crate::data::DataDir;
use crate::embedded::Embedded;
use crate::error::{EndedError, NoSpaceError, PartError, StartError};
use crate::event_store;
use crate::kafka;
use crate::options::{Options, Part};
use crate::plan::Plan;
use crate::postgres;
use crate::registry;
use crate::server::Server;
use crate::slot::Slot;
use crate::space;

/// A start on new data writes about a quarter of it.
const FREE_SPACE: u64 = 256 << 20;

/// The running parts. [`shutdown`](Self::shutdown) stops them in order; dropping the stack kills them.
///
/// A stack may be shared by the tests of a binary, in a static: no part depends on the asynchronous runtime that
/// started it, and the kernel ends the parts with the process.
#[derive(Debug)]
pub struct DevStack {
    kafka: Slot<Server>,
    postgres: Slot<Server>,
    registry: Slot<Embedded>,
    event_store: Slot<Embedded>,
    apicurio: Slot<Server>,
    // Dropped after the parts: they write into it until they have ended.
    data: DataDir,
}

impl DevStack {
    /// Starts the parts of the options and waits until all are ready. Dropping the future kills what it started.
    ///
    /// # Errors
    /// Missing programs, and a port or data directory that is in use, are reported before anything is started. If a part
    /// does not start, the others are stopped, and the error contains the end of its log.
    pub async fn start(options: Options) -> Result<Self, StartError> {
        let cache = Cache::locate(options.cache.as_deref());
        let plan = Plan::make(&options, &cache)?;
        let mut data = DataDir::open(&options.data).await?;
        space::require(data.path(), FREE_SPACE)?;
        let kafka = async {
            let Some(plan) = &plan.kafka else { return Ok(Slot::not_started(&options.kafka)) };
            let (server, port) = kafka::start(plan, &cache, &data).await?;
            Ok(Slot::started(server, format!("127.0.0.1:{port}")))
        };
        let postgres = async {
            let Some(plan) = &plan.postgres else { return Ok(Slot::not_started(&options.postgres)) };
            let (server, connection) = postgres::start(plan, &cache, &data).await?;
            Ok(Slot::started(server, connection.to_url_lossy().into()))
        };
        let registry = embedded(&options.registry, plan.registry, "http://", "", |port| {
            registry::registry(port, data.path().join("registry.jsonl"))
        });
        // Without the parameter the `eventstore` crate waits half a second before each connection.
        let parameters = "?tls=false&discoveryInterval=1";
        let event_store = embedded(&options.event_store, plan.event_store, "esdb://", parameters, |port| {
            event_store::event_store(port, data.path().join("eventstore"))
        });
        let apicurio = async {
            let Some(plan) = &plan.apicurio else { return Ok(Slot::not_started(&options.apicurio)) };
            let (server, port) = apicurio::start(plan, &cache, &data).await?;
            Ok(Slot::started(server, format!("http://127.0.0.1:{port}{}", apicurio::INTERFACE)))
        };
        let started = tokio::try_join!(kafka, postgres, registry, event_store, apicurio);
        let (kafka, postgres, registry, event_store, apicurio) = started.inspect_err(|_| data.leave())?;
        Ok(Self { kafka, postgres, registry, event_store, apicurio, data })
    }

    /// Stops all parts in order and waits for their end. Temporary data is removed.
    pub async fn shutdown(self) {
        // No part is a client of another.
        let Self { kafka, postgres, registry, event_store, apicurio, data } = self;
        tokio::join!(kafka.stop(), postgres.stop(), registry.stop(), event_store.stop(), apicurio.stop());
        drop(data);
    }

    /// Fails if a part that was started as a process has ended unexpectedly. It is not restarted.
    pub async fn check(&self) -> Result<(), EndedError> {
        for slot in [&self.kafka, &self.postgres, &self.apicurio] {
            if let Slot::Started(server, _) = slot {
                server.check().await?;
            }
        }
        Ok(())
    }

    /// Fails if less than `bytes` are free where the data is.
    pub fn require_space(&self, bytes: u64) -> Result<(), NoSpaceError> {
        space::require(self.data.path(), bytes)
    }

    /// Kafka's bootstrap servers.
    pub fn kafka_bootstrap(&self) -> Result<&str, PartError> {
        self.kafka.url(kafka::PART)
    }

    /// The URL of the Postgres database `aqueduct`, or the one given. It contains a password: do not log it.
    pub fn postgres_url(&self) -> Result<&str, PartError> {
        self.postgres.url(postgres::PART)
    }

    /// The URL of the schema registry.
    pub fn registry_url(&self) -> Result<&str, PartError> {
        self.registry.url(registry::PART)
    }

    /// The connection string of the event store, `esdb://…`.
    pub fn event_store_url(&self) -> Result<&str, PartError> {
        self.event_store.url(event_store::PART)
    }

    /// The URL of Apicurio's Confluent-compatible interface.
    pub fn apicurio_url(&self) -> Result<&str, PartError> {
        self.apicurio.url(apicurio::PART)
    }

    /// Kafka, to stop, kill and restart it.
    pub fn kafka(&self) -> Result<&Server, PartError> {
        self.kafka.control(kafka::PART)
    }

    /// Postgres, to stop, kill and restart it.
    pub fn postgres(&self) -> Result<&Server, PartError> {
        self.postgres.control(postgres::PART)
    }

    /// The schema registry, to stop, kill and restart it.
    pub fn registry(&self) -> Result<&Embedded, PartError> {
        self.registry.control(registry::PART)
    }

    /// The event store, to stop, kill and restart it.
    pub fn event_store(&self) -> Result<&Embedded, PartError> {
        self.event_store.control(event_store::PART)
    }

    /// Apicurio, to stop, kill and restart it. It forgets its schemas.
    pub fn apicurio(&self) -> Result<&Server, PartError> {
        self.apicurio.control(apicurio::PART)
    }

    /// Creates a database on the stack's Postgres, started or given, and returns its URL: one server is enough for
    /// many isolated tests.
    ///
    /// # Errors
    /// The stack has no Postgres, Postgres cannot be reached, or the database exists.
    pub async fn create_database(&self, name: &str) -> Result<String, CreateDatabaseError> {
        let server = self.postgres_url()?;
        let failed = |source| CreateDatabaseError::Refused { name: name.to_owned(), source };
        postgres::create_database(server, name).await.map_err(failed)
    }

    /// The directory of the parts' data and logs.
    pub fn data_dir(&self) -> &Path {
        self.data.path()
    }
}

/// A database could not be created.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CreateDatabaseError {
    /// The stack has no Postgres.
    #[error(transparent)]
    NoPostgres(#[from] PartError),
    /// Postgres refused, or could not be reached.
    #[error("could not create the database {name}")]
    Refused {
        /// Name of the database that was asked for.
        name: String,
        /// Postgres's error.
        #[source]
        source: sqlx::Error,
    },
}

async fn embedded(
    option: &Part,
    port: Option<u16>,
    scheme: &str,
    parameters: &str,
    part: impl FnOnce(u16) -> Embedded,
) -> Result<Slot<Embedded>, StartError> {
    let Some(port) = port else { return Ok(Slot::not_started(option)) };
    let part = part(port);
    part.start().await?;
    Ok(Slot::started(part, format!("{scheme}127.0.0.1:{port}{parameters}")))
}
