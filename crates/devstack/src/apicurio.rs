//! Apicurio Registry, a second registry with Confluent's interface, for tests.

use std::path::PathBuf;

use nix::sys::signal::Signal;

use crate::cache::Cache;
use crate::data::DataDir;
use crate::error::StartError;
use crate::maven;
use crate::port;
use crate::probe::Probe;
use crate::process::Conditions;
use crate::server::{Definition, Server};

pub(crate) const PART: &str = "apicurio";

/// The last line that runs on Java 17.
const ARTIFACT: &str = "io.apicurio:apicurio-registry-app:2.6.13.Final:tar.gz:all";
const ENTRY: &str = "apicurio-registry-app-2.6.13.Final";
/// The path of Confluent's interface.
pub(crate) const INTERFACE: &str = "/apis/ccompat/v7";

pub(crate) fn is_cached(cache: &Cache) -> bool {
    cache.find(ENTRY).is_some()
}

/// The result of the preflight check.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) java: PathBuf,
    /// `None` if the artifact is in the cache.
    pub(crate) mvn: Option<PathBuf>,
    pub(crate) port: Option<u16>,
}

/// A running registry, and its port.
pub(crate) async fn start(plan: &Plan, cache: &Cache, data: &DataDir) -> Result<(Server, u16), StartError> {
    let make = async |dir: &std::path::Path| match &plan.mvn {
        Some(mvn) => maven::unpack(mvn, ARTIFACT, dir).await,
        // The preflight saw the entry; somebody has removed it since.
        None => Err(StartError::io("find", dir)(std::io::ErrorKind::NotFound.into())),
    };
    let jar = cache.entry(ENTRY, make).await?.join(format!("{ENTRY}-runner.jar"));
    port::start_on(PART, plan.port, async |port| {
        let server = Server::new(Definition {
            part: PART,
            program: plan.java.clone(),
            arguments: vec![
                "-Xmx256m".into(),
                "-XX:+UseSerialGC".into(),
                "-XX:TieredStopAtLevel=1".into(),
                "-jar".into(),
                jar.clone().into_os_string(),
            ],
            environment: vec![
                ("QUARKUS_HTTP_HOST", "127.0.0.1".to_owned()),
                ("QUARKUS_HTTP_PORT", port.to_string()),
            ],
            conditions: Conditions { inherit: vec![data.lock()], ..Conditions::plain() },
            stop_by: Signal::SIGTERM,
            probe: Probe::Http(port, format!("{INTERFACE}/subjects")),
            log: data.path().join("apicurio.log"),
        });
        server.start().await?;
        Ok(server)
    })
    .await
}
