//! The connections of a process, each made when it is first asked for.

use std::fmt::Display;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use aqueduct_core::mapping::{ConfigurationError, EventMapping};
use aqueduct_core::{Aggregate, Codec, EventBus, EventStore};
use aqueduct_eventstore::EventStoreDb;
use aqueduct_evolution::{Policy, PolicyError, Topic};
use aqueduct_projection::{Decoder, PostgresOptions, Projection, Reactor, registry_decoder};
use aqueduct_relay::EventsOptions;
use aqueduct_schema::{LoadError, Registry, RegistryError, SchemaSet, TopicEvents, TopicSchemas};
use aqueduct_service::{Component, Health};
use sqlx::PgPool;

use crate::configuration::Configuration;
use crate::execute::{Command, Commands};
use crate::sections::{NotConfigured, Schemas};

/// Pause between two checks whether a server can be reached.
const CHECK_EVERY: Duration = Duration::from_secs(5);
/// How long a query waits for a connection to Postgres.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);
/// Maximum number of connections for queries.
const QUERY_CONNECTIONS: u32 = 10;
/// Time limit of a statement in the sessions for queries, see [`PostgresOptions::session`].
const SESSION_LIMIT: Duration = Duration::from_secs(10);

/// The servers of a configuration, and the schemas. Clones share the connections.
///
/// A connection is made when it is first asked for, and only then must its address be configured: a process
/// needs only the addresses and secrets that it uses. No method waits for a server; a service may start before
/// its servers do.
#[derive(Clone)]
pub struct Connections {
    shared: Arc<Shared>,
}

struct Shared {
    configuration: Configuration,
    event_store: OnceLock<Arc<dyn EventStore>>,
    schemas: OnceLock<Arc<SchemaSet>>,
    policy: OnceLock<Arc<Policy>>,
    decoder: OnceLock<Arc<dyn Decoder>>,
    postgres: OnceLock<PgPool>,
}

/// A connection cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum ConnectionError {
    /// Its address is not configured.
    #[error(transparent)]
    NotConfigured(#[from] NotConfigured),
    /// The event store's address is of the wrong form.
    #[error("`eventstore.url` cannot be used")]
    EventStore(#[from] aqueduct_eventstore::OptionsError),
    /// `[events]` cannot work.
    #[error("`events`")]
    Events(#[from] ConfigurationError),
    /// Postgres's address is of the wrong form.
    #[error("`postgres.url` cannot be used: write postgres://user:password@host/database")]
    Postgres(#[source] sqlx::Error),
    /// The registry cannot be used as it is configured.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// The schemas cannot be loaded.
    #[error(transparent)]
    Schemas(#[from] LoadError),
    /// The policy of the schemas cannot be used.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// What the topics carry is said twice.
    #[error(
        "{} is there, and {} has [schemas.contexts]: remove that section, which the policy replaces", policy.display(), configuration.display()
    )]
    TwoPolicies {
        /// The policy.
        policy: PathBuf,
        /// The configuration.
        configuration: PathBuf,
    },
}

impl Connections {
    /// Connects to nothing yet.
    pub fn new(configuration: Configuration) -> Self {
        let shared = Shared {
            configuration,
            event_store: OnceLock::new(),
            schemas: OnceLock::new(),
            policy: OnceLock::new(),
            decoder: OnceLock::new(),
            postgres: OnceLock::new(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// What was configured.
    pub fn configuration(&self) -> &Configuration {
        &self.shared.configuration
    }

    /// The event store.
    pub fn event_store(&self) -> Result<Arc<dyn EventStore>, ConnectionError> {
        once(&self.shared.event_store, || {
            Ok(Arc::new(EventStoreDb::new(self.configuration().eventstore_options()?)?))
        })
    }

    /// The schemas of the configured folder.
    pub fn schemas(&self) -> Result<Arc<SchemaSet>, ConnectionError> {
        let directory = &self.configuration().schemas.directory;
        once(&self.shared.schemas, || Ok(Arc::new(SchemaSet::load(directory)?)))
    }

    /// Which event types the topics carry, and how their schemas may change: `policy.toml` in the folder of the schemas, or where
    /// that does not exist what `[schemas.contexts]` says.
    pub fn policy(&self) -> Result<Arc<Policy>, ConnectionError> {
        once(&self.shared.policy, || {
            let Schemas { directory, contexts, topic_prefix } = &self.configuration().schemas;
            let mut policy = match Policy::read(directory)? {
                Some(_) if !contexts.is_empty() => {
                    let (policy, configuration) =
                        (directory.join(Policy::FILE), self.configuration().path.clone());
                    return Err(ConnectionError::TwoPolicies { policy, configuration });
                }
                Some(policy) => policy,
                None if contexts.is_empty() => Policy::default(),
                None => Policy::of_contexts(&*self.schemas()?, contexts),
            };
            if let Some(prefix) = topic_prefix {
                let topics = std::mem::take(&mut policy.topics).into_iter();
                policy.topics = topics.map(|(name, topic)| (format!("{prefix}.{name}"), topic)).collect();
            }
            Ok(Arc::new(policy))
        })
    }

    /// The event types of each topic, as the [`policy`](Self::policy) says.
    pub fn topic_events(&self) -> Result<Vec<TopicEvents>, ConnectionError> {
        let policy = self.policy()?;
        let topics = policy.topics.iter();
        let events = |(topic, of): (&String, &Topic)| TopicEvents {
            topic: topic.clone(),
            event_types: of.events.clone(),
        };
        Ok(topics.map(events).collect())
    }

    /// What is known of the events of topics: from the schema files and the registry, as far as there are any.
    pub(crate) fn topic_schemas(&self) -> Result<TopicSchemas, ConnectionError> {
        let configured = self.configuration().registry.configured();
        let registry = configured.map(|_| self.registry()).transpose()?;
        if !self.configuration().schemas.directory.is_dir() {
            return Ok(TopicSchemas { registry, ..TopicSchemas::default() });
        }
        let events =
            self.policy()?.topics.iter().map(|(topic, of)| (topic.clone(), of.events.clone())).collect();
        Ok(TopicSchemas { files: Some(self.schemas()?), events, registry })
    }

    /// The schemas as repositories need them: new events are checked, old ones are upcast.
    pub fn codec(&self) -> Result<Arc<dyn Codec>, ConnectionError> {
        Ok(self.schemas()?)
    }

    /// How repositories read events that others wrote, as `[events]` says; nothing where it says nothing.
    pub fn mapping(&self) -> Result<Option<Arc<EventMapping>>, ConnectionError> {
        let events = &self.configuration().events;
        if *events == EventsOptions::default() {
            return Ok(None);
        }
        Ok(Some(Arc::new(events.mapping()?)))
    }

    /// A client of the schema registry.
    pub fn registry(&self) -> Result<Registry, ConnectionError> {
        Ok(Registry::new(&self.configuration().registry_options()?)?)
    }

    /// The decoder of the records that the relay writes. Projections share it, and with it what it has cached.
    pub fn decoder(&self) -> Result<Arc<dyn Decoder>, ConnectionError> {
        once(&self.shared.decoder, || Ok(registry_decoder(&self.configuration().registry_options()?)?))
    }

    /// A pool for queries; run them with [`run_query`](crate::run_query). Its sessions have timeouts.
    pub fn postgres(&self) -> Result<PgPool, ConnectionError> {
        let configuration = self.configuration();
        once(&self.shared.postgres, || {
            let url = configuration.postgres.address(&configuration.path)?;
            let options = PostgresOptions {
                connections: QUERY_CONNECTIONS,
                timeout_seconds: ACQUIRE_TIMEOUT.as_secs(),
                ..PostgresOptions::new(url)
            };
            options.query_pool("aqueduct", SESSION_LIMIT).map_err(ConnectionError::Postgres)
        })
    }

    /// Executes commands to the aggregates of one type.
    pub fn commands<A: Aggregate>(&self) -> Result<Commands<A>, ConnectionError>
    where
        A::Command: Command,
    {
        let bus = Arc::new(EventBus::default());
        Ok(Commands::with_mapping(self.event_store()?, self.codec()?, bus, self.mapping()?))
    }

    /// A reactor that is ready to run.
    pub fn reactor<R: Reactor>(&self, reactor: R) -> Result<Projection, ConnectionError> {
        Ok(Projection::reactor(self.configuration().projection_options()?, self.decoder()?, reactor))
    }

    /// Keeps the health of the servers that were asked for until now up to date. Never completes.
    pub(crate) async fn watch(&self, health: &Health) {
        let store = self.shared.event_store.get().map(|store| (store, health.component("event store")));
        let postgres = self.shared.postgres.get().map(|pool| (pool, health.component("postgres")));
        let store = async {
            if let Some((store, component)) = store {
                keep_checking(&component, || store.last_position()).await;
            }
        };
        let postgres = async {
            if let Some((pool, component)) = postgres {
                keep_checking(&component, || sqlx::query("select 1").execute(pool)).await;
            }
        };
        tokio::join!(store, postgres);
        std::future::pending().await
    }
}

async fn keep_checking<T, E: Display>(component: &Component, check: impl AsyncFn() -> Result<T, E>) {
    let mut ticks = tokio::time::interval(CHECK_EVERY);
    loop {
        ticks.tick().await;
        component.show(check().await.err().map(|error| error.to_string()));
    }
}

/// What the cell contains, made if it is empty. Two threads may both make one; all get the same.
fn once<T: Clone>(
    cell: &OnceLock<T>,
    make: impl FnOnce() -> Result<T, ConnectionError>,
) -> Result<T, ConnectionError> {
    match cell.get() {
        Some(made) => Ok(made.clone()),
        None => {
            let made = make()?;
            Ok(cell.get_or_init(|| made).clone())
        }
    }
}
