//! The servers that the trials share.

use std::sync::atomic::{AtomicUsize, Ordering};

use aqueduct_devstack::{DevStack, Options, Part};
use aqueduct_kafka::Cluster;
use aqueduct_schema::{Registry, RegistryOptions};
use tokio::sync::{Semaphore, SemaphorePermit};
use uuid::Uuid;

use crate::error::Error;

/// Trials that run at the same time. They mostly wait.
const TRIALS: usize = 4;

/// Kafka, Postgres and a registry. Several consumers may be tested on them at the same time.
pub struct Servers {
    pub(crate) stack: DevStack,
    pub(crate) cluster: Cluster,
    pub(crate) registry: Registry,
    /// Of the consumers' roles.
    pub(crate) password: String,
    trials: Semaphore,
    /// How many were begun.
    tests: AtomicUsize,
}

impl Servers {
    /// Starts the servers.
    ///
    /// # Errors
    /// A program is missing, or a server does not start.
    pub async fn start() -> Result<Self, Error> {
        let start = Part::start;
        let options = Options { kafka: start(), postgres: start(), registry: start(), ..Options::none() };
        let stack = DevStack::start(options).await?;
        let cluster = Cluster::new(stack.kafka_bootstrap()?);
        let registry = Registry::new(&RegistryOptions::new(stack.registry_url()?))?;
        Ok(Self {
            stack,
            cluster,
            registry,
            password: Uuid::new_v4().simple().to_string(),
            trials: Semaphore::new(TRIALS),
            tests: AtomicUsize::new(0),
        })
    }

    /// Stops the servers.
    pub async fn shutdown(self) {
        self.stack.shutdown().await;
    }

    /// A name that no other test on these servers has.
    pub(crate) fn name_test(&self) -> String {
        format!("test{}", self.tests.fetch_add(1, Ordering::Relaxed) + 1)
    }

    /// Waits until a trial may run, which is as long as the value is kept.
    pub(crate) async fn wait_for_turn(&self) -> Option<SemaphorePermit<'_>> {
        // It is never closed.
        self.trials.acquire().await.ok()
    }
}
