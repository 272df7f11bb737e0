//! Apache Kafka: one node, broker and controller in one process.

use std::path::{Path, PathBuf};

use nix::sys::signal::Signal;

use crate::cache::Cache;
use crate::data::DataDir;
use crate::error::StartError;
use crate::maven::{self, Artifact};
use crate::port;
use crate::probe::Probe;
use crate::process::Conditions;
use crate::server::{Definition, Server};

mod storage;

pub(crate) const PART: &str = "kafka";

const BROKER: Artifact = Artifact { group: "org.apache.kafka", name: "kafka_2.13", version: "4.3.0" };
/// Kafka logs through SLF4J 1.7 and has no binding of its own.
const BINDING: Artifact = Artifact { group: "org.slf4j", name: "slf4j-simple", version: "1.7.36" };
/// The name of the cache entry: change it with the jars.
const JARS: &str = "kafka_2.13-4.3.0-slf4j-1.7.36";

pub(crate) fn is_cached(cache: &Cache) -> bool {
    cache.find(JARS).is_some()
}

/// A Java option.
const NO_OPTIMIZING_COMPILER: &str = "-XX:TieredStopAtLevel=1";

/// The result of the preflight check.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) java: PathBuf,
    /// `None` if the jars are in the cache.
    pub(crate) mvn: Option<PathBuf>,
    pub(crate) port: Option<u16>,
    pub(crate) runs_long: bool,
}

/// A running broker, and its port.
pub(crate) async fn start(plan: &Plan, cache: &Cache, data: &DataDir) -> Result<(Server, u16), StartError> {
    let jars = jars(plan, cache).await?;
    let home = data.path().join("kafka");
    std::fs::create_dir_all(&home).map_err(StartError::io("create", &home))?;
    let storage = home.join("data");
    if !storage.join(storage::META).exists() {
        storage::make(&plan.java, &jars, cache, &storage).await?;
    }
    port::start_on(PART, plan.port, async |port| {
        let config = home.join("server.properties");
        let properties = properties(port, port::choose("kafka's controller", None)?, &storage);
        std::fs::write(&config, properties).map_err(StartError::io("write", &config))?;
        let mut arguments = java_arguments(&jars);
        if !plan.runs_long {
            // With the optimizing compiler, a demo took a quarter more CPU time.
            arguments.push(NO_OPTIMIZING_COMPILER.into());
        }
        arguments.extend(["kafka.Kafka".into(), config.into_os_string()]);
        let server = Server::new(Definition {
            part: PART,
            program: plan.java.clone(),
            arguments,
            environment: Vec::new(),
            conditions: Conditions { inherit: vec![data.lock()], ..Conditions::plain() },
            stop_by: Signal::SIGTERM,
            probe: Probe::Kafka(port),
            log: home.join("kafka.log"),
        });
        server.start().await?;
        Ok(server)
    })
    .await
}

async fn jars(plan: &Plan, cache: &Cache) -> Result<PathBuf, StartError> {
    cache
        .entry(JARS, async |dir| match &plan.mvn {
            Some(mvn) => maven::fetch(mvn, &[BROKER, BINDING], dir).await,
            // The preflight saw the entry; somebody has removed it since.
            None => Err(StartError::io("find", dir)(std::io::ErrorKind::NotFound.into())),
        })
        .await
}

fn java_arguments(jars: &Path) -> Vec<std::ffi::OsString> {
    vec![
        "-Xmx512m".into(),
        "-XX:+UseSerialGC".into(),
        "-Dorg.slf4j.simpleLogger.showDateTime=true".into(),
        "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSSZ".into(),
        "-cp".into(),
        jars.join("*").into_os_string(),
    ]
}

/// Kafka's default durability, with the listeners and the replication of a single node.
fn properties(broker: u16, controller: u16, storage: &Path) -> String {
    // A fixed list of voters rather than `--standalone`: that writes the controller's port into the storage, and
    // another run on the same data may have to take another port.
    format!(
        "process.roles=broker,controller\n\
         node.id=1\n\
         controller.quorum.voters=1@127.0.0.1:{controller}\n\
         listeners=BROKER://127.0.0.1:{broker},CONTROLLER://127.0.0.1:{controller}\n\
         advertised.listeners=BROKER://127.0.0.1:{broker}\n\
         listener.security.protocol.map=BROKER:PLAINTEXT,CONTROLLER:PLAINTEXT\n\
         controller.listener.names=CONTROLLER\n\
         inter.broker.listener.name=BROKER\n\
         log.dirs={storage}\n\
         auto.create.topics.enable=false\n\
         offsets.topic.replication.factor=1\n\
         transaction.state.log.replication.factor=1\n\
         transaction.state.log.min.isr=1\n\
         share.coordinator.state.topic.replication.factor=1\n\
         share.coordinator.state.topic.min.isr=1\n\
         # One disk gains nothing from many partitions, and each costs time when the first client comes.\n\
         offsets.topic.num.partitions=4\n\
         transaction.state.log.num.partitions=4\n\
         share.coordinator.state.topic.num.partitions=4\n\
         group.initial.rebalance.delay.ms=0\n\
         # Kept data stays readable, however long ago the run before was.\n\
         log.retention.ms=-1\n\
         offsets.retention.minutes=5256000\n",
        storage = escape(&storage.to_string_lossy()),
    )
}

/// A value in a properties file: a backslash begins an escape there.
fn escape(value: &str) -> String {
    value.replace('\\', "\\\\")
}
