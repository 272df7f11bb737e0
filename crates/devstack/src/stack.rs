use std::path::{Path, PathBuf};

use sqlx::ConnectOptions;

use crate::cache::Cache;
use crate::data::DataDir;
use crate::embedded::Embedded;
use crate::error::{Missing, PartError, StartError};
use crate::options::{Options, Part};
use crate::server::Server;
use crate::{kafka, port, postgres, registry, tools};

/// The running parts. [`shutdown`](Self::shutdown) ends them in order; dropping it kills them.
#[derive(Debug)]
pub struct DevStack {
    kafka: Slot<Server>,
    postgres: Slot<Server>,
    registry: Slot<Embedded>,
    // After the parts: they write into it until they have ended.
    data: DataDir,
}

/// A part of a stack, or its absence.
#[derive(Debug)]
enum Slot<T> {
    Off,
    Given(Secret),
    Started(T, Secret),
}

/// A URL, which may hold a password.
struct Secret(String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("…")
    }
}

/// What has to be there, found before anything is started.
struct Plan {
    kafka: Option<kafka::Plan>,
    postgres: Option<postgres::Plan>,
    registry_port: Option<u16>,
}

impl DevStack {
    /// Starts what the options ask for and waits until all of it serves.
    ///
    /// # Errors
    /// What is missing on this machine, a port or data directory that is in use: found before anything is started.
    /// Where a part does not start, those that did are ended again, and the error holds the end of its log.
    pub async fn start(options: Options) -> Result<Self, StartError> {
        let cache = Cache::locate(options.cache.as_deref());
        let kept = match &options.data {
            crate::Data::Kept(path) => Some(path.as_path()),
            crate::Data::Temporary => None,
        };
        let plan = Plan::make(&options, &cache, kept)?;
        let mut data = DataDir::open(&options.data).await?;
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
        let registry = async {
            let Some(port) = plan.registry_port else { return Ok(Slot::not_started(&options.registry)) };
            let registry = registry::registry(port, data.path().join("registry.jsonl"));
            registry.start().await?;
            Ok(Slot::started(registry, format!("http://127.0.0.1:{port}")))
        };
        let started = tokio::try_join!(kafka, postgres, registry);
        let (kafka, postgres, registry) = started.inspect_err(|_| data.leave())?;
        Ok(Self { kafka, postgres, registry, data })
    }

    /// Ends the parts in order, clients of others first. Temporary data is removed.
    pub async fn shutdown(self) {
        let Self { kafka, postgres, registry, data } = self;
        if let Slot::Started(registry, _) = &registry {
            registry.stop().await;
        }
        let kafka = async {
            if let Slot::Started(server, _) = &kafka {
                server.stop().await;
            }
        };
        let postgres = async {
            if let Slot::Started(server, _) = &postgres {
                server.stop().await;
            }
        };
        tokio::join!(kafka, postgres);
        drop(data);
    }

    /// Kafka's bootstrap servers.
    pub fn kafka_bootstrap(&self) -> Result<&str, PartError> {
        self.kafka.url(kafka::PART)
    }

    /// The URL of the Postgres database `aqueduct`, or the one given. It holds a password: do not log it.
    pub fn postgres_url(&self) -> Result<&str, PartError> {
        self.postgres.url(postgres::PART)
    }

    /// The URL of the schema registry.
    pub fn registry_url(&self) -> Result<&str, PartError> {
        self.registry.url(registry::PART)
    }

    /// Kafka, to be stopped, killed and started again.
    pub fn kafka(&self) -> Result<&Server, PartError> {
        self.kafka.control(kafka::PART)
    }

    /// Postgres, to be stopped, killed and started again.
    pub fn postgres(&self) -> Result<&Server, PartError> {
        self.postgres.control(postgres::PART)
    }

    /// The schema registry, to be stopped, killed and started again.
    pub fn registry(&self) -> Result<&Embedded, PartError> {
        self.registry.control(registry::PART)
    }

    /// Creates a database on the stack's Postgres, started or given, and returns its URL: one server is enough for
    /// many tests that must not see each other.
    ///
    /// # Errors
    /// There is no Postgres, it cannot be reached, or it has a database of that name.
    pub async fn create_database(&self, name: &str) -> Result<String, CreateDatabaseError> {
        let server = self.postgres_url()?;
        let failed = |source| CreateDatabaseError::Refused { name: name.to_owned(), source };
        postgres::create_database(server, name).await.map_err(failed)
    }

    /// Where the parts keep their data and logs.
    pub fn data_dir(&self) -> &Path {
        self.data.path()
    }
}

/// Why a database was not created.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CreateDatabaseError {
    /// The stack has no Postgres.
    #[error(transparent)]
    NoPostgres(#[from] PartError),
    /// Postgres refused, or could not be reached.
    #[error("could not create the database {name}")]
    Refused {
        /// The database.
        name: String,
        /// What Postgres said.
        #[source]
        source: sqlx::Error,
    },
}

impl Plan {
    fn make(options: &Options, cache: &Cache, kept: Option<&Path>) -> Result<Self, StartError> {
        let mut missing = Vec::new();
        let kafka = options.kafka.is_started().then(|| {
            let java = note(tools::java(), &mut missing);
            let mvn = (!kafka::is_cached(cache)).then(|| note(tools::maven("Apache Kafka"), &mut missing));
            Some(kafka::Plan { java: java?, mvn: mvn.flatten(), port: options.kafka.port() })
        });
        let postgres = options.postgres.is_started().then(|| {
            let binaries = note(postgres::Binaries::find(options.postgres_from, cache), &mut missing);
            let cluster = kept.map_or_else(PathBuf::new, |dir| dir.join("postgres/cluster"));
            let user = note(postgres::run_as(&cluster), &mut missing);
            Some(postgres::Plan { binaries: binaries?, user: user?, port: options.postgres.port() })
        });
        if !missing.is_empty() {
            return Err(StartError::Missing(missing));
        }
        for (part, wanted) in [
            (kafka::PART, &options.kafka),
            (postgres::PART, &options.postgres),
            (registry::PART, &options.registry),
        ] {
            if let Some(wanted) = wanted.port() {
                port::choose(part, Some(wanted))?;
            }
        }
        let registry_port = match options.registry.is_started() {
            true => Some(port::choose(registry::PART, options.registry.port())?),
            false => None,
        };
        Ok(Self { kafka: kafka.flatten(), postgres: postgres.flatten(), registry_port })
    }
}

fn note<T>(found: Result<T, Missing>, missing: &mut Vec<Missing>) -> Option<T> {
    found.map_err(|what| missing.push(what)).ok()
}

impl<T> Slot<T> {
    fn started(control: T, url: String) -> Self {
        Self::Started(control, Secret(url))
    }

    fn not_started(part: &Part) -> Self {
        match part {
            Part::Given(url) => Self::Given(Secret(url.clone())),
            Part::Off | Part::Start { .. } => Self::Off,
        }
    }

    fn url(&self, part: &'static str) -> Result<&str, PartError> {
        match self {
            Self::Off => Err(PartError::Off(part)),
            Self::Given(Secret(url)) | Self::Started(_, Secret(url)) => Ok(url),
        }
    }

    fn control(&self, part: &'static str) -> Result<&T, PartError> {
        match self {
            Self::Off => Err(PartError::Off(part)),
            Self::Given(_) => Err(PartError::Given(part)),
            Self::Started(control, _) => Ok(control),
        }
    }
}
