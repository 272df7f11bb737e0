//! What the services need of the world.

use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use aqueduct_core::{Codec, EventStore};
use aqueduct_eventstore::{EventStoreDb, OptionsError};
use aqueduct_schema::SchemaSet;
use aqueduct_service::Process;
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;

/// Between two looks at whether store and read models can be reached.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// How long a request waits for a connection to the read models.
const VIEWS_TIMEOUT: Duration = Duration::from_secs(5);

/// What a service needs of the world. Clones share the connections.
#[derive(Clone)]
pub struct Deps {
    /// Where the events are.
    pub store: Arc<dyn EventStore>,
    /// What they look like.
    pub schemas: Arc<SchemaSet>,
    /// Where the read models are.
    pub views: PgPool,
}

/// An address can't be used.
#[derive(Debug, thiserror::Error)]
pub enum DepsError {
    /// The event store's.
    #[error("the event store's connection string can't be used")]
    EventStore(#[from] OptionsError),
    /// The read models'.
    #[error("the url of postgres can't be used: write postgres://user:password@host/database")]
    Postgres(#[from] sqlx::Error),
}

impl Deps {
    /// Connects when first used, so a service may start before its servers do.
    pub fn new(
        eventstore: aqueduct_eventstore::Options,
        postgres: &str,
        schemas: Arc<SchemaSet>,
    ) -> Result<Self, DepsError> {
        let views = PgPoolOptions::new().acquire_timeout(VIEWS_TIMEOUT).connect_lazy(postgres)?;
        Ok(Self { store: Arc::new(EventStoreDb::new(eventstore)?), schemas, views })
    }

    /// The schemas as the repositories want them.
    pub(crate) fn codec(&self) -> Arc<dyn Codec> {
        Arc::clone(&self.schemas) as _
    }

    /// Keeps the readiness of both servers up to date until the process is asked to end.
    pub(crate) fn watch(&self, process: &Process) -> impl Future<Output = Result<(), Infallible>> + use<> {
        let (store, views) = (process.health().component("event store"), process.health().component("views"));
        let (deps, shutdown) = (self.clone(), process.shutdown());
        let watching = async move {
            let mut ticks = tokio::time::interval(LOOK_EVERY);
            loop {
                ticks.tick().await;
                let look = sqlx::query("SELECT 1").execute(&deps.views);
                let (stored, viewed) = tokio::join!(deps.store.last_position(), look);
                store.show(stored.err().map(|error| error.to_string()));
                views.show(viewed.err().map(|error| error.to_string()));
            }
        };
        async move {
            shutdown.run_until_cancelled_owned(watching).await;
            Ok(())
        }
    }
}
