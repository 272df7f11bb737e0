use std::path::PathBuf;

use crate::cache::Cache;
use crate::error::{Missing, StartError};
use crate::options::{Data, Options, Part};
use crate::{event_store, kafka, port, postgres, registry, tools};

/// What is needed for the parts to be started, found before anything is.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) kafka: Option<kafka::Plan>,
    pub(crate) postgres: Option<postgres::Plan>,
    /// The ports of the parts in this process.
    pub(crate) registry: Option<u16>,
    pub(crate) event_store: Option<u16>,
}

impl Plan {
    pub(crate) fn make(options: &Options, cache: &Cache) -> Result<Self, StartError> {
        let mut missing = Vec::new();
        let kafka = options.kafka.is_started().then(|| {
            let java = note(tools::java(), &mut missing);
            let mvn = (!kafka::is_cached(cache)).then(|| note(tools::maven("Apache Kafka"), &mut missing));
            Some(kafka::Plan { java: java?, mvn: mvn.flatten(), port: options.kafka.port() })
        });
        let postgres = options.postgres.is_started().then(|| {
            let binaries = note(postgres::Binaries::find(options.postgres_from, cache), &mut missing);
            let kept = match &options.data {
                Data::Kept(dir) => postgres::cluster_in(dir),
                Data::Temporary => PathBuf::new(),
            };
            let user = note(postgres::run_as(&kept), &mut missing);
            Some(postgres::Plan { binaries: binaries?, user: user?, port: options.postgres.port() })
        });
        if !missing.is_empty() {
            return Err(StartError::Missing(missing));
        }
        for (part, wanted) in [(kafka::PART, &options.kafka), (postgres::PART, &options.postgres)] {
            if let Some(wanted) = wanted.port() {
                port::choose(part, Some(wanted))?;
            }
        }
        Ok(Self {
            kafka: kafka.flatten(),
            postgres: postgres.flatten(),
            registry: port_for(registry::PART, &options.registry)?,
            event_store: port_for(event_store::PART, &options.event_store)?,
        })
    }
}

fn note<T>(found: Result<T, Missing>, missing: &mut Vec<Missing>) -> Option<T> {
    found.map_err(|what| missing.push(what)).ok()
}

fn port_for(part: &'static str, wanted: &Part) -> Result<Option<u16>, StartError> {
    wanted.is_started().then(|| port::choose(part, wanted.port())).transpose()
}
