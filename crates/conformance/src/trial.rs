//! A trial: a database, topics and a consumer group of its own, in which the consumer is disturbed.

mod difference;
mod halt;
mod progress;

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;

use aqueduct_devstack::tail;
use aqueduct_kafka::{LogContext, create_client};
use aqueduct_schema::{SchemaSet, publish};
use nix::sys::signal::Signal;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::error::KafkaError;
use sqlx::PgPool;

use crate::databases::{Database, Databases};
use crate::definition::Definition;
use crate::error::Error;
use crate::events::carried;
use crate::history::Event;
use crate::instance::Instance;
use crate::proxy::Proxy;
use crate::report::Failure;
use crate::script::{Sent, Transaction, transactions};
use crate::servers::Servers;
use crate::tables::Tables;
use crate::trial::progress::{LONG_QUIET, QUIET};
use crate::trial_error::TrialError;
use crate::written::{Writer, Written};

/// The shortest session that Kafka allows: a killed member's partitions are free after it.
pub(crate) const SESSION_TIMEOUT_MS: u64 = 6000;

/// What the trials have in common.
#[derive(Clone, Copy)]
pub(crate) struct Setup<'a> {
    pub(crate) definition: &'a Definition,
    pub(crate) program: &'a [OsString],
    pub(crate) servers: &'a Servers,
    pub(crate) databases: &'a Databases,
    pub(crate) schemas: &'a Arc<SchemaSet>,
    pub(crate) events: &'a [Event],
    /// What the names of its databases, topics and logs begin with.
    pub(crate) test: &'a str,
}

/// How many records a transaction of the consumer may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Batch {
    /// As the consumer decides.
    Own,
    /// A few, so that there are many transactions, each of several records.
    Few,
    /// One.
    Single,
}

impl Batch {
    /// The value of `AQUEDUCT_BATCH`.
    fn variable(self) -> Option<&'static str> {
        match self {
            Self::Own => None,
            Self::Few => Some("5"),
            Self::Single => Some("1"),
        }
    }
}

pub(crate) struct Trial<'a> {
    setup: Setup<'a>,
    name: String,
    /// The names of the definition's topics in this trial.
    topics: Vec<String>,
    environment: Vec<(String, OsString)>,
    log: PathBuf,
    writer: Arc<Writer>,
    pub(crate) database: PgPool,
    postgres: Database,
    pub(crate) instances: Vec<Instance>,
    /// Before the last instance was started.
    claims_before: i64,
    /// In the order in which they were written.
    written: Vec<Written>,
}

impl<'a> Trial<'a> {
    /// Creates database and topics. The name must be one that no other trial of the test has.
    pub(crate) async fn create(setup: Setup<'a>, name: &str) -> Result<Self, Error> {
        let Setup { definition, servers, databases, schemas, events, test, .. } = setup;
        let name = format!("{test}_{name}");
        let postgres = databases.create(&name).await?;
        let topics: Vec<_> = definition.topics.iter().map(|topic| format!("{name}.{topic}")).collect();
        create_topics(&admin(setup)?, setup, &topics).await?;
        publish(schemas, &servers.registry, &carried(events, &topics)).await?;
        let writer = create_writer(setup, &name, &topics).await?;
        let environment = [
            ("AQUEDUCT_KAFKA__BROKERS", servers.stack.kafka_bootstrap()?.into()),
            ("AQUEDUCT_KAFKA__GROUP", format!("conformance.{name}").into()),
            ("AQUEDUCT_KAFKA__PROPERTIES__SESSION_TIMEOUT_MS", SESSION_TIMEOUT_MS.to_string().into()),
            ("AQUEDUCT_REGISTRY__URL", servers.stack.registry_url()?.into()),
            ("AQUEDUCT_POSTGRES__URL", postgres.consumer_url(&postgres.address).into()),
            ("AQUEDUCT_SCHEMAS__DIRECTORY", definition.schemas.clone().into_os_string()),
            ("AQUEDUCT_TOPICS", topics.join(",").into()),
            ("AQUEDUCT_HTTP__CONSUMER", "127.0.0.1:0".into()),
        ];
        Ok(Self {
            setup,
            log: servers.stack.data_dir().join(format!("{name}.log")),
            name,
            topics,
            environment: environment.map(|(key, value): (&str, OsString)| (key.to_owned(), value)).into(),
            writer: Arc::new(writer),
            database: postgres.pool.clone(),
            postgres,
            instances: Vec::new(),
            claims_before: 0,
            written: Vec::new(),
        })
    }

    /// Starts a further instance.
    pub(crate) async fn start(&mut self, batch: Batch) -> Result<(), Error> {
        self.claims_before = self.claims().await?;
        let mut environment = self.environment.clone();
        environment.extend(batch.variable().map(|records| ("AQUEDUCT_BATCH".to_owned(), records.into())));
        let program = self.setup.program;
        let instance = Instance::start(program, &environment, &self.log).map_err(Error::io(format!(
            "run {}",
            program.first().map_or("".into(), |it| it.to_string_lossy())
        )))?;
        self.instances.push(instance);
        Ok(())
    }

    fn set(&mut self, variable: &str, value: OsString) {
        self.environment.retain(|(name, _)| name != variable);
        self.environment.push((variable.to_owned(), value));
    }

    /// Lets the instances that are started from now on use another registry.
    pub(crate) fn use_registry(&mut self, url: &str) {
        self.set("AQUEDUCT_REGISTRY__URL", url.into());
    }

    /// Lets the instances that are started from now on connect to Postgres through a proxy.
    pub(crate) async fn connect_through_proxy(&mut self) -> Result<Proxy, Error> {
        let proxy = Proxy::start(self.postgres.address.clone()).await.map_err(Error::io("start a proxy"))?;
        let url = self.postgres.consumer_url(&proxy.address().to_string());
        self.set("AQUEDUCT_POSTGRES__URL", url.into());
        Ok(proxy)
    }

    /// Deletes the topics and creates them again. Returns how many of them had records.
    pub(crate) async fn create_topics_again(&mut self) -> Result<usize, Error> {
        let admin = admin(self.setup)?;
        let doing = "delete a trial's topics";
        let names: Vec<_> = self.topics.iter().map(String::as_str).collect();
        let deleted = admin.delete_topics(&names, &AdminOptions::new()).await;
        for deleted in deleted.map_err(Error::kafka(doing))? {
            deleted.map_err(|(_, code)| Error::kafka(doing)(KafkaError::AdminOp(code)))?;
        }
        create_topics(&admin, self.setup, &self.topics).await?;
        // The former one would continue the sequence of its records, which the new partitions do not know.
        self.writer = Arc::new(create_writer(self.setup, &self.name, &self.topics).await?);
        let written = std::mem::take(&mut self.written);
        Ok(written.iter().map(|written| written.place.topic).collect::<BTreeSet<_>>().len())
    }

    /// Writes records as the relay does.
    pub(crate) async fn write(&mut self, all: Vec<Transaction>) -> Result<(), Error> {
        let writer = Arc::clone(&self.writer);
        let written = blocking(move || {
            let written: Result<Vec<_>, _> =
                all.iter().map(|transaction| writer.write(transaction)).collect();
            written
        });
        let written = written.await?.map_err(Error::kafka("write records"))?;
        self.written.extend(written.into_iter().flatten());
        Ok(())
    }

    /// Writes records in transactions of the usual size.
    pub(crate) async fn write_all(&mut self, records: Vec<Sent>) -> Result<(), Error> {
        self.write(transactions(records)).await
    }

    /// Asks an instance to stop and waits for its end, which must be a success.
    pub(crate) async fn stop(&mut self, index: usize) -> Result<(), TrialError> {
        self.wait_until_claimed().await?;
        let Definition { stop_signal, .. } = *self.setup.definition;
        let at_most = self.setup.definition.stop_timeout();
        let mut instance = self.instances.remove(index);
        instance.signal(stop_signal);
        let ended = instance.wait(at_most).await.map_err(Error::io("wait for the consumer"))?;
        let problem = match ended {
            Some(status) if status.success() => return Ok(()),
            Some(status) => {
                format!(
                    "the consumer did not end with exit status 0 when {stop_signal} asked it to stop: {status}"
                )
            }
            None => format!("the consumer did not stop within {at_most:?} of {stop_signal}"),
        };
        Err(TrialError::Consumer(self.failure(problem)))
    }

    /// Kills an instance.
    pub(crate) async fn kill(&mut self, index: usize) -> Result<(), Error> {
        let mut instance = self.instances.remove(index);
        instance.signal(Signal::SIGKILL);
        let at_most = self.setup.definition.stop_timeout();
        instance.wait(at_most).await.map_err(Error::io("wait for the consumer")).map(drop)
    }

    /// Waits until nothing is left to do, stops the consumer and compares.
    pub(crate) async fn finish(mut self, expected: &Tables) -> Result<(), TrialError> {
        self.settle(QUIET).await?;
        if self.compare(expected).await?.is_some() {
            self.settle(LONG_QUIET).await?;
        }
        let stopped = self.stop_all().await;
        // It says more than an exit status.
        self.compare(expected).await?.map_or(stopped, |failure| Err(TrialError::Consumer(failure)))
    }

    /// The same without anything to compare with. Returns the tables.
    pub(crate) async fn finish_as_oracle(mut self) -> Result<Tables, TrialError> {
        self.settle(QUIET).await?;
        self.stop_all().await?;
        match self.wrongly_parked().await? {
            Some(failure) => Err(TrialError::Consumer(failure)),
            None => Ok(Tables::read(&self.database, self.setup.definition).await?),
        }
    }

    async fn stop_all(&mut self) -> Result<(), TrialError> {
        while !self.instances.is_empty() {
            self.stop(0).await?;
        }
        Ok(())
    }

    /// The role as which the consumer connects.
    pub(crate) fn role(&self) -> &str {
        &self.setup.definition.projection
    }

    /// A failure with the end of the log.
    fn failure(&self, problem: String) -> Failure {
        Failure { problem, log: tail(&self.log), ..Failure::default() }
    }
}

fn admin(setup: Setup<'_>) -> Result<AdminClient<LogContext>, Error> {
    let created = create_client(&setup.servers.cluster.config(&[]), LogContext);
    created.map_err(Error::kafka("create an admin client"))
}

async fn create_topics(
    admin: &AdminClient<LogContext>,
    Setup { definition, .. }: Setup<'_>,
    topics: &[String],
) -> Result<(), Error> {
    let failed = || Error::kafka("create a trial's topics");
    let new = topics
        .iter()
        .map(|topic| NewTopic::new(topic, i32::from(definition.partitions), TopicReplication::Fixed(1)));
    let new: Vec<_> = new.collect();
    for created in admin.create_topics(&new, &AdminOptions::new()).await.map_err(failed())? {
        created.map_err(|(_, code)| failed()(KafkaError::AdminOp(code)))?;
    }
    Ok(())
}

async fn create_writer(setup: Setup<'_>, id: &str, topics: &[String]) -> Result<Writer, Error> {
    let (cluster, id, topics) = (setup.servers.cluster.clone(), id.to_owned(), topics.to_vec());
    let writer = blocking(move || Writer::new(&cluster, &id, topics)).await?;
    writer.map_err(Error::kafka("create a producer"))
}

async fn blocking<T: Send + 'static>(call: impl FnOnce() -> T + Send + 'static) -> Result<T, Error> {
    tokio::task::spawn_blocking(call).await.map_err(|_| Error::Panicked)
}
